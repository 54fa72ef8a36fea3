"""``from clips import write_clip, moving_dot, ...`` works in every test of this folder; see ``helpers/clips.py``."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent / "helpers"))
