"""Contact sheets: rows of frames as one PNG."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from PIL import Image


def save_sheet(path: Path, rows: list[np.ndarray], scale: int = 2, gap: int = 2) -> None:
    """Writes ``rows``, each ``uint8 [N, H, W, 3]``, one under the other; frames are enlarged ``scale`` times."""
    height, width = rows[0].shape[1:3]
    columns = max(len(row) for row in rows)
    sheet = np.full((len(rows) * (height + gap) - gap, columns * (width + gap) - gap, 3), 255, np.uint8)
    for y, row in enumerate(rows):
        for x, frame in enumerate(row):
            top, left = y * (height + gap), x * (width + gap)
            sheet[top : top + height, left : left + width] = frame
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(sheet).resize((sheet.shape[1] * scale, sheet.shape[0] * scale), Image.Resampling.NEAREST)
    temporary = path.with_name(f".{path.name}.tmp")
    image.save(temporary, format="PNG")
    os.replace(temporary, path)
