"""Labelled sheets of frames, for pages."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

GAP = 4
TEXT_SIZE = 15
BACKGROUND, INK = (255, 255, 255), (40, 40, 40)


def save_sheet(path: Path, rows: Sequence[tuple[str, np.ndarray]], columns: Sequence[str], scale: int = 2) -> None:
    """Writes a PNG: a label and frames ``uint8 [N, H, W, 3]`` a row (an empty label: a gap), a heading a column."""
    font = ImageFont.load_default(TEXT_SIZE)
    height, width = (side * scale + GAP for side in rows[0][1].shape[1:3])
    left = max(int(font.getlength(label)) for label, _ in rows) + 3 * GAP
    tops = np.cumsum([TEXT_SIZE + 3 * GAP, *(height if label else 2 * GAP for label, _ in rows)])
    sheet = Image.new("RGB", (left + len(columns) * width, int(tops[-1])), BACKGROUND)
    draw = ImageDraw.Draw(sheet)
    for column, heading in enumerate(columns):
        middle = left + column * width + (width - GAP) // 2
        draw.text((middle, GAP), heading, INK, font, anchor="ma")
    for (label, frames), top in zip(rows, tops[:-1], strict=True):
        if not label:
            continue
        draw.text((left - 2 * GAP, int(top) + (height - GAP) // 2), label, INK, font, anchor="rm")
        for column, frame in enumerate(frames):
            large = Image.fromarray(frame.repeat(scale, 0).repeat(scale, 1))
            sheet.paste(large, (left + column * width, int(top)))
    _save(sheet, path)


def _save(sheet: Image.Image, path: Path) -> None:
    """With 256 colours: a third of the bytes, and no difference to the eye."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    sheet.quantize(256, dither=Image.Dither.NONE).save(temporary, format="PNG", optimize=True)
    os.replace(temporary, path)
