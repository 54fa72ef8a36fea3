"""Where a clip jumps to another scene: PySceneDetect's verdict, confirmed by the colours of the picture.

PySceneDetect compares pixels in place, so that a camera that turns by a quarter of its view between two frames looks
to it like a cut. The colours that a picture is composed of survive a turn, and do not survive a cut.
"""

from __future__ import annotations

import importlib.util
from fractions import Fraction
from typing import Any

import numpy as np

COMPOSITION = 0.42
"""Share of pixels whose colours (8 levels a channel) both sides of a cut have in common, at most."""
CONTENT = 15.0
"""Threshold of PySceneDetect's ``ContentDetector``. Half of its default, which misses cuts between dark scenes: false
alarms are what the colours are asked for. ``AdaptiveDetector`` runs with its defaults."""
AROUND = 8
"""Frames before and after a suspected cut that PySceneDetect is shown."""
LEVEL = 32  # width of a colour's level


def available() -> bool:
    """Whether PySceneDetect is installed (the extra ``eval``)."""
    return importlib.util.find_spec("scenedetect") is not None


class CutFinder:
    """Takes the small pictures of a clip as they come, and remembers only the last few."""

    def __init__(self, fps: float) -> None:
        self.cuts: list[int] = []
        self._fps = Fraction(fps).limit_denominator(1000)
        self._frames = np.zeros((0, 1, 1, 3), np.uint8)
        self._first = 0  # of _frames, counted in the clip
        self._next = 1  # the first frame of which it is not known whether a scene begins there

    def add(self, small: np.ndarray) -> None:
        """``[n, h, w, 3]``, 0 to 255."""
        small = small.astype(np.uint8)
        self._frames = np.concatenate([self._frames, small]) if len(self._frames) else small
        self._decide(self._first + len(self._frames) - AROUND)

    def finish(self) -> list[int]:
        """First frames of new scenes."""
        self._decide(self._first + len(self._frames))
        return self.cuts

    def _decide(self, stop: int) -> None:
        if stop <= self._next:
            return
        common = in_common(self._frames)
        for frame in range(self._next, stop):
            if common[frame - self._first - 1] < COMPOSITION:
                start = max(frame - AROUND, self._first)
                around = self._frames[start - self._first : frame + AROUND - self._first]
                if frame - start in detected(around, self._fps):
                    self.cuts.append(frame)
        self._next = stop
        drop = max(stop - AROUND - self._first, 0)
        self._frames, self._first = self._frames[drop:], self._first + drop


def in_common(frames: np.ndarray) -> np.ndarray:
    """For each step between frames ``uint8 [n, h, w, 3]`` the share of colours that its sides have in common,
    ``float32 [n-1]``: the most that any of the two frames before has with any of the two after, so that a flash of one
    frame is no cut."""
    count, pixels = len(frames), frames.shape[1] * frames.shape[2]
    best = np.zeros(count - 1, np.float32)
    for shift in (0, LEVEL // 2):  # two grids, so that a shade on the edge of a level does not count as another colour
        levels = (frames.astype(np.int32) + shift) // LEVEL
        per_channel = 256 // LEVEL + 1
        codes = (levels[..., 0] * per_channel + levels[..., 1]) * per_channel + levels[..., 2]
        codes += np.arange(count, dtype=np.int32)[:, None, None] * per_channel**3
        histograms = np.bincount(codes.ravel(), minlength=count * per_channel**3).reshape(count, -1).astype(np.int32)
        for apart in range(1, min(4, count)):
            shared = np.minimum(histograms[:-apart], histograms[apart:]).sum(1) / pixels
            # the steps between the frames i and i + apart from which neither is more than two frames away
            for late in range(max(apart - 2, 0), min(apart, 2)):
                at = slice(late, late + len(shared))
                best[at] = np.maximum(best[at], shared)
    return best


def detected(frames: np.ndarray, fps: Fraction) -> set[int]:
    """First frames of new scenes in ``uint8 [n, h, w, 3]`` by either of PySceneDetect's detectors."""
    from scenedetect import AdaptiveDetector, ContentDetector, FrameTimecode

    found = set()
    detectors: list[Any] = [ContentDetector(threshold=CONTENT, min_scene_len=1), AdaptiveDetector(min_scene_len=1)]
    for detector in detectors:
        cuts = []
        for number, frame in enumerate(frames):
            cuts += detector.process_frame(FrameTimecode(number, fps), np.ascontiguousarray(frame[..., ::-1]))
        cuts += detector.post_process(FrameTimecode(len(frames) - 1, fps))
        found |= {int(cut.frame_num) for cut in cuts}
    return found
