"""What is measured of one camera's frames, in one pass, for all checks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from slowfast.datasets.doctor.cuts import CutFinder
from slowfast.datasets.doctor.motion import SIDE, described
from slowfast.datasets.doctor.shrink import LUMA, shrunk

THUMB = 16
PIXELS_AT_ONCE = 2**21
"""Frames become floating point numbers so many pixels at a time."""


@dataclass(frozen=True)
class Look:
    """Of T+1 frames; grey levels are 0 to 255, "small" means averaged down to 32 x 32.

    ``size``: (H, W). ``motion``: ``float32 [T, 22]``, see ``motion.py``. ``change``: ``float32 [T]``, the largest
    change of grey of any small pixel. ``identical``: ``bool [T]``, whether the next frame is the same bit for bit.
    ``brightness``, ``spread``: ``float32 [T+1]``, mean, and standard deviation over the pixels of a frame.
    ``thumbs``: ``uint8 [T+1, 256]``, grey at 16 x 16. ``rows``, ``columns``: ``float32 [H]``, ``[W]``, the brightest
    that the mean of a row or column is in any frame. ``cuts``: first frames of new scenes; None where they were not
    looked for.
    """

    size: tuple[int, int]
    motion: np.ndarray
    change: np.ndarray
    identical: np.ndarray
    brightness: np.ndarray
    spread: np.ndarray
    thumbs: np.ndarray
    rows: np.ndarray
    columns: np.ndarray
    cuts: list[int] | None


class Looker:
    """Takes the frames of a camera as they come. ``cuts``: whether to look for scene cuts."""

    def __init__(self, fps: float, cuts: bool) -> None:
        self._cuts = CutFinder(fps) if cuts else None
        self._parts: dict[str, list[np.ndarray]] = {
            name: [] for name in ("motion", "change", "identical", "brightness", "spread", "thumbs")
        }
        self._rows: np.ndarray | None = None
        self._columns: np.ndarray | None = None
        self._last: tuple[np.ndarray, np.ndarray] | None = None  # the last frame, and it small

    def add(self, frames: np.ndarray) -> None:
        """``uint8 [n, H, W, 3]``, the next n frames, all of one size."""
        at_once = max(PIXELS_AT_ONCE // (frames.shape[1] * frames.shape[2]), 1)
        for start in range(0, len(frames), at_once):
            self._add(frames[start : start + at_once])

    def look(self) -> Look:
        """What was seen; T+1 >= 2 frames have to have been added."""
        assert self._rows is not None
        assert self._columns is not None
        seen = {name: np.concatenate(parts) for name, parts in self._parts.items()}
        cuts = None if self._cuts is None else self._cuts.finish()
        size = (len(self._rows), len(self._columns))
        return Look(size=size, rows=self._rows, columns=self._columns, cuts=cuts, **seen)

    def _add(self, frames: np.ndarray) -> None:
        values = frames.astype(np.float32)
        small = shrunk(values, SIDE)
        self._keep_borders(values)
        grey = small @ LUMA
        self._keep("brightness", small.mean((1, 2, 3)))
        self._keep("spread", _spread(values, small))
        halves = grey.reshape(len(grey), THUMB, SIDE // THUMB, THUMB, SIDE // THUMB).mean((2, 4))
        self._keep("thumbs", halves.round().astype(np.uint8).reshape(len(grey), -1))
        if self._cuts is not None:
            self._cuts.add(small)
        if self._last is not None:
            frames, small = np.concatenate([self._last[0], frames]), np.concatenate([self._last[1], small])
            grey = small @ LUMA
        if len(frames) > 1:
            self._keep("motion", described(small))
            self._keep("change", np.abs(np.diff(grey, axis=0)).max((1, 2)))
            flat = frames.reshape(len(frames), -1)
            self._keep("identical", (flat[1:] == flat[:-1]).all(1))
        self._last = (frames[-1:].copy(), small[-1:].copy())

    def _keep(self, name: str, array: np.ndarray) -> None:
        self._parts[name].append(array)

    def _keep_borders(self, values: np.ndarray) -> None:
        rows, columns = (values.mean(axis).max(-1).max(0) for axis in (2, 1))
        self._rows = rows if self._rows is None else np.maximum(self._rows, rows)
        self._columns = columns if self._columns is None else np.maximum(self._columns, columns)


def _spread(values: np.ndarray, small: np.ndarray) -> np.ndarray:
    """Standard deviation within each frame; the fine grain is looked at only where the small picture is flat."""
    spread = small.std((1, 2)).max(-1)
    for flat in np.flatnonzero(spread < 2):
        spread[flat] = values[flat].std((0, 1)).max()
    return spread
