"""Where a clip jumps to another scene: PySceneDetect's verdict, confirmed by colours and by shifting.

PySceneDetect compares pixels in place, so that a camera that turns by a quarter of its view between two frames looks
to it like a cut. The colours that a picture is composed of survive a turn, and do not survive a cut. Where a camera
looks past a near wall not even they do; then a part of the old picture still fits a part of the new one.
"""

from __future__ import annotations

import importlib.util
from fractions import Fraction
from typing import Any

import numpy as np

COMPOSITION = 0.42
"""Share of pixels whose colours (8 levels a channel) both sides of a cut have in common, at most."""
SETTLED = 0.5
"""What the steps before and after a cut have in common, at least: a cut is a jump between two quiet stretches."""
SHIFTED = 20.0
"""Grey levels by which two pictures differ, at least, however they are shifted against each other."""
OVERLAP = 0.2
"""Part of the picture that has to lie on the other after a shift."""
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
        for step in range(self._next - 1 - self._first, stop - 1 - self._first):
            if common[step] < COMPOSITION and self._is_cut(step):
                self.cuts.append(self._first + step + 1)
        self._next = stop
        drop = max(stop - AROUND - self._first, 0)
        self._frames, self._first = self._frames[drop:], self._first + drop

    def _is_cut(self, step: int) -> bool:
        """Whether frame ``step + 1`` of those remembered begins a scene, by all that is asked beside its colours."""
        around = self._frames[max(step - 1, 0) : step + 3]
        beside = np.delete(in_common(around, within=1), min(step, 1))
        if len(beside) and beside.min() < SETTLED:
            return False
        start = max(step + 1 - AROUND, 0)
        if step + 1 - start not in detected(self._frames[start : step + 1 + AROUND], self._fps):
            return False
        return least_difference(self._frames[step], self._frames[step + 1]) >= SHIFTED


def in_common(frames: np.ndarray, within: int = 2) -> np.ndarray:
    """For each step between frames ``uint8 [n, h, w, 3]`` the share of colours that its sides have in common,
    ``float32 [n-1]``: the most that any of the ``within`` frames before has with any of those after, so that a flash
    of one frame is no cut."""
    count, pixels = len(frames), frames.shape[1] * frames.shape[2]
    best = np.zeros(count - 1, np.float32)
    for shift in (0, LEVEL // 2):  # two grids, so that a shade on the edge of a level does not count as another colour
        levels = (frames.astype(np.int32) + shift) // LEVEL
        per_channel = 256 // LEVEL + 1
        codes = (levels[..., 0] * per_channel + levels[..., 1]) * per_channel + levels[..., 2]
        codes += np.arange(count, dtype=np.int32)[:, None, None] * per_channel**3
        histograms = np.bincount(codes.ravel(), minlength=count * per_channel**3).reshape(count, -1).astype(np.int32)
        for apart in range(1, min(2 * within, count)):
            shared = np.minimum(histograms[:-apart], histograms[apart:]).sum(1) / pixels
            # the steps between the frames i and i + apart from which neither is too far
            for late in range(max(apart - within, 0), min(apart, within)):
                at = slice(late, late + len(shared))
                best[at] = np.maximum(best[at], shared)
    return best


def least_difference(before: np.ndarray, after: np.ndarray) -> float:
    """Mean difference in grey levels of two pictures ``uint8 [h, w, 3]`` where they lie on each other, for the shift at
    which it is least: any to the side (every pixel), and some up and down (every second)."""
    height, width, _ = before.shape
    one, other, least = before.astype(np.float32), after.astype(np.float32), np.inf
    for down in range(-height // 8, height // 8 + 1, 2):
        for right in range(-width + 1, width):
            rows, columns = height - abs(down), width - abs(right)
            if rows * columns < OVERLAP * height * width:
                continue
            here = one[max(-down, 0) :][:rows, max(-right, 0) :][:, :columns]
            there = other[max(down, 0) :][:rows, max(right, 0) :][:, :columns]
            least = min(least, float(np.abs(here - there).mean()))
    return least


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
