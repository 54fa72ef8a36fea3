"""Pictures brought to the size of a world: the same way when its clips are ingested and when it is shown others."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from PIL import Image

Fit = Literal["crop", "pad", "stretch"]
FITS = get_args(Fit)
"""``crop`` cuts the middle to the new shape, ``pad`` adds black bars, ``stretch`` distorts."""


def fitted(frame: np.ndarray, size: tuple[int, int] | None, fit: Fit) -> np.ndarray:
    """``uint8 [H, W, 3]`` at ``size``; averaging, so that small pictures of large ones do not flicker."""
    height, width = frame.shape[:2]
    if size is None or (height, width) == size:
        return frame
    image = Image.fromarray(frame)
    if fit == "stretch":
        return np.asarray(image.resize(size[::-1], Image.Resampling.BOX))
    scale = (max if fit == "crop" else min)(size[0] / height, size[1] / width)
    inner = (round(height * scale) or 1, round(width * scale) or 1)
    if fit == "crop":
        across, down = size[1] / scale, size[0] / scale  # the part of the picture that is kept, in its own pixels
        left, top = (width - across) / 2, (height - down) / 2
        box = (left, top, left + across, top + down)
        return np.asarray(image.resize(size[::-1], Image.Resampling.BOX, box=box))
    bars = np.zeros((*size, 3), np.uint8)
    top, left = (size[0] - inner[0]) // 2, (size[1] - inner[1]) // 2
    bars[top : top + inner[0], left : left + inner[1]] = np.asarray(image.resize(inner[::-1], Image.Resampling.BOX))
    return bars
