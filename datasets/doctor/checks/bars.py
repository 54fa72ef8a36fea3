"""Black bars around the picture."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from slowfast.datasets.doctor.check import Check, Place
from slowfast.datasets.doctor.finding import Finding
from slowfast.datasets.doctor.footage import Clip
from slowfast.datasets.doctor.spool import Spool

DARK = 16.0
"""Grey levels that the mean of a bar's row never exceeds in a whole clip; video codecs leave black a little grey."""
EDGE = 40.0
"""Grey levels that a row just inside the bar has to reach at some time: what fades into the dark has no bar."""
EVEN = 6.0
"""Grey levels by which the rows of a bar differ, at most: a fade grows darker towards the border."""
LEAST = 0.02
"""Of the height or width (and at least 2 pixels)."""

Bars = tuple[int, int, int, int]


class BlackBars(Check):
    """Rows and columns at the border that are black in all frames of a clip. Said once for all clips alike."""

    name = "black-bars"

    def __init__(self, spool: Spool) -> None:
        super().__init__(spool)
        self._found: dict[tuple[str, tuple[int, int], Bars, bool], tuple[Place, int]] = {}
        self._clips = 0

    def look(self, clip: Clip) -> Iterator[Finding]:
        self._clips += 1
        policy = clip.metadata.get("frames")
        padded = isinstance(policy, dict) and policy.get("fit") == "pad" and policy.get("size") is not None
        for camera, look in clip.looks.items():
            bars: Bars = (*_sides(look.rows), *_sides(look.columns))
            if any(bars):
                key = (camera, look.size, bars, padded)
                place, count = self._found.get(key, (Place.of(clip), 0))
                self._found[key] = (place, count + 1)
        yield from ()

    def conclude(self) -> Iterator[Finding]:
        for (camera, (height, width), bars, padded), (place, count) in self._found.items():
            sides = zip(("top", "bottom", "left", "right"), bars, strict=True)
            said = ", ".join(f"{name} {size}" for name, size in sides if size)
            said = f"black bars of {height}x{width} frames, in pixels: {said}; in {count} of {self._clips} episodes"
            if padded:
                yield self.found("note", said, "ingestion added them (--policy.fit pad)", place, 0, camera)
                continue
            opposite = (bars[0] and bars[1]) or (bars[2] and bars[3])
            inner = f"{height - bars[0] - bars[1]}x{width - bars[2] - bars[3]}"
            fix = f"crop to the {inner} pixels inside before ingesting: bars cost capacity and say nothing"
            yield self.found("warning" if opposite else "note", said, fix, place, 0, camera)


def _sides(brightest: np.ndarray) -> tuple[int, int]:
    """Widths of the bars before and after."""
    if (brightest <= DARK).all():
        return 0, 0  # black as a whole: another check's matter
    return _bar(brightest), _bar(brightest[::-1])


def _bar(brightest: np.ndarray) -> int:
    width = int((brightest > DARK).argmax())
    if width < max(2, LEAST * len(brightest)):
        return 0
    even = np.ptp(brightest[: width - 1]) <= EVEN  # a codec blurs the row at the edge
    sharp = brightest[width : width + 2].max() >= EDGE
    return width if even and sharp else 0
