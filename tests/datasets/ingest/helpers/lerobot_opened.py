"""A LeRobot set as ingestion opens it, and all the kinds of sets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from clips import counted
from lerobot_sets import FRONT

from slowfast.datasets.ingest.formats import SourceOptions, open_source
from slowfast.datasets.ingest.recording import Recording

EVERY_KIND = [
    {"version": "v2.1"},
    {"version": "v2.1", "pictures": True},
    {"version": "v3.0"},
    {"version": "v3.0", "one_group": True, "split_files": 2},
    {"version": "v3.0", "pictures": True, "one_group": True},
]


def opened(root: Path, **options: Any) -> Any:
    return open_source(root, "lerobot", SourceOptions(**options))[1]


def shown(recording: Recording, camera: str = FRONT) -> list[int]:
    return counted(np.stack(list(recording.frames[camera]())))
