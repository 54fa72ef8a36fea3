"""``from clips import write_clip, moving_dot, ...`` works in every test of this folder; see ``helpers/clips.py``."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent / "helpers"))


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where Minari looks for data sets, and nowhere else."""
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "home"))
    return tmp_path / "home"
