"""Pictures that stand still though something was done, that repeat at a beat, or that show nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from slowfast.datasets.doctor.acting import kinds
from slowfast.datasets.doctor.check import Check, Place
from slowfast.datasets.doctor.finding import Finding
from slowfast.datasets.doctor.footage import Clip
from slowfast.datasets.doctor.spool import Spool

UNCHANGED = 4.0
"""Grey levels of 255 by which no pixel of the small picture changes between two frames that count as the same: more
than a codec's noise, and far less than any motion that can be seen."""
LEAST_FROZEN = 3
"""Steps in a row that are frozen, at least."""
LONG = 8
"""Frozen steps from which it is an error."""
MOVES_ALWAYS = 0.005
"""Share of an action's steps, in the other episodes, that leave the picture unchanged, at most, for a still picture to
be a surprise. Walking against a wall and waiting are none."""
MOVES_MOSTLY = 0.5
"""An action that does so more often is waiting: a frozen stretch is counted from the first to the last other action."""
LEAST_SEEN = 50
"""Steps of an action in the other episodes that it takes to know that."""
STILL_SECONDS = 2.0
"""A still picture without known actions is noted from here on."""
BEAT_WINDOW = 128
BEAT_REPEATS = 12
BEAT_SLACK = 1.5
"""Repeats are at a beat, a lower frame rate written as a higher one, if their count leaves a steady rate by no more."""
FLAT = 1.0
"""Standard deviation (grey levels) below which a frame shows nothing."""
BLACK = 10.0


@dataclass(frozen=True)
class _Run:
    place: Place
    camera: str
    start: int
    kinds: np.ndarray  # of the run's actions
    own: dict[int, tuple[int, int]]  # kind → steps of it in this clip, and those unchanged
    exact: bool


class FrozenFrames(Check):
    """Runs of the same picture while actions were taken that change it everywhere else in the set."""

    name = "frozen-frames"

    def __init__(self, spool: Spool) -> None:
        super().__init__(spool)
        self._runs: list[_Run] = []
        self._seen: Counter[tuple[str, int]] = Counter()
        self._unchanged: Counter[tuple[str, int]] = Counter()

    def look(self, clip: Clip) -> Iterator[Finding]:
        kind = kinds(clip.spec, clip.actions)
        for camera, look in clip.looks.items():
            still = look.change < UNCHANGED
            own = _counted(kind, still)
            for key, (seen, unchanged) in own.items():
                self._seen[camera, key] += seen
                self._unchanged[camera, key] += unchanged
            for start, stop in runs(still):
                run = kind[start:stop]
                if (run >= 0).sum() >= LEAST_FROZEN:
                    here = {int(key): own[int(key)] for key in np.unique(run)}
                    exact = bool(look.identical[start:stop].all())
                    self._runs.append(_Run(Place.of(clip), camera, start, run, here, exact))
                elif (run < 0).all() and stop - start >= STILL_SECONDS * clip.fps and not still.all():
                    said = f"the picture stands still for {stop - start} steps, without known actions"
                    yield self.found("note", said, "see whether the recording hung there", clip, start, camera)

    def conclude(self) -> Iterator[Finding]:
        for run in self._runs:
            unchanged = {key: self._unchanged_elsewhere(run, key) for key in run.own if key >= 0}
            surprising = [key for key, share in unchanged.items() if share <= MOVES_ALWAYS]
            if np.isin(run.kinds, surprising).sum() < LEAST_FROZEN:
                continue
            at = np.flatnonzero(np.isin(run.kinds, [key for key, share in unchanged.items() if share <= MOVES_MOSTLY]))
            start, frames, frozen = run.start + int(at[0]), int(at[-1] - at[0]) + 2, len(at)
            same = "the same bit for bit" if run.exact else "the same"
            said = f"{frames} frames are {same}, through {frozen} actions that elsewhere change the picture"
            fix = "the recording hung or repeats frames: cut the clip there, or leave it out"
            yield self.found("error" if frozen >= LONG else "warning", said, fix, run.place, start, run.camera)

    def _unchanged_elsewhere(self, run: _Run, key: int) -> float:
        """Share of the steps of a kind that leave the picture unchanged in the other episodes; 1 if too few are."""
        seen = self._seen[run.camera, key] - run.own[key][0]
        unchanged = self._unchanged[run.camera, key] - run.own[key][1]
        return unchanged / seen if seen >= LEAST_SEEN else 1.0


class RepeatedFrames(Check):
    """Frames that repeat at a beat, as in a film of 24 frames a second that was written as one of 30."""

    name = "repeated-frames"

    def look(self, clip: Clip) -> Iterator[Finding]:
        for camera, look in clip.looks.items():
            still = look.change < UNCHANGED
            rates = [rate for start in _windows(len(still)) if (rate := beat(still[start : start + BEAT_WINDOW]))]
            if len(rates) * 2 <= len(list(_windows(len(still)))):
                continue
            rate = float(np.median(rates))
            said = (
                f"{rate:.0%} of the frames repeat the one before at a steady beat: {clip.fps * (1 - rate):.4g} frames "
            )
            said += f"a second were written as {clip.fps:.4g}"
            fix = f"ingest with --policy.fps {clip.fps * (1 - rate):.4g}, so that every step shows something new"
            yield self.found("warning", said, fix, clip, int(still.argmax()), camera)


class FlatFrames(Check):
    """Frames that are black or of one colour."""

    name = "flat-frames"

    def look(self, clip: Clip) -> Iterator[Finding]:
        for camera, look in clip.looks.items():
            flat = look.spread < FLAT
            if not flat.any():
                continue
            first = int(flat.argmax())
            black = look.brightness[flat].max() < BLACK
            said = f"{flat.sum()} of {len(flat)} frames are {'black' if black else 'of one colour'}"
            fix = "cut them off, or leave the episode out"
            yield self.found("error" if flat.mean() > 0.5 else "warning", said, fix, clip, first, camera)


def runs(flags: np.ndarray) -> Iterator[tuple[int, int]]:
    """Start and stop of every stretch of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    yield from zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)


def beat(still: np.ndarray) -> float | None:
    """The share of unchanged steps where they come at a steady rate, None where they do not."""
    count, rate = int(still.sum()), float(still.mean())
    if count < BEAT_REPEATS or count == len(still):
        return None
    drift = still.cumsum() - rate * np.arange(1, len(still) + 1)
    return rate if drift.max() - drift.min() <= BEAT_SLACK else None


def _windows(steps: int) -> range:
    """Where windows start; the rest at the end, too short for one, belongs to none unless it is all there is."""
    return range(0, max(steps - BEAT_WINDOW, 0) + 1, BEAT_WINDOW)


def _counted(kind: np.ndarray, still: np.ndarray) -> dict[int, tuple[int, int]]:
    values, at = np.unique(kind, return_inverse=True)
    seen, unchanged = np.bincount(at), np.bincount(at, weights=still)
    return {int(key): (int(n), int(m)) for key, n, m in zip(values, seen, unchanged, strict=True)}
