"""What a user's own module of RLDS episodes looks like: a function without arguments that gives dictionaries of steps.

Ingested as ``foreign_rlds:episodes``; :data:`folder` says where its episodes lie, an npz file each.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

folder = Path()


def episodes() -> Iterator[dict[str, Any]]:
    for path in sorted(folder.glob("*.npz")):
        yield {"steps": _steps(path), "file": path.name}


def _steps(path: Path) -> Iterator[dict[str, Any]]:
    with np.load(path, allow_pickle=False) as file:
        rows = {name: file[name] for name in file.files}
    count = len(rows["image"])
    for t in range(count):
        yield {
            "observation": {"image": rows["image"][t], "colour": rows["colour"][t]},
            "action": rows["action"][t],
            "reward": rows["reward"][t],
            "discount": np.float32(1),
            "is_first": t == 0,
            "is_last": t == count - 1,
            "is_terminal": False,
            "language_instruction": str(rows["sentence"][t]),
        }
