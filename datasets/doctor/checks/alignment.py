"""Whether ``actions[t]`` leads from frame t to frame t+1, or is a row early or late.

Tested, not guessed: at which offset do the actions explain best what changes in the picture (``offsets.py``)? The
neighbours of an action resemble it, so that a wrong offset explains something too; it has to explain clearly more.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from slowfast.actions import Language
from slowfast.datasets.doctor.acting import known, numbers
from slowfast.datasets.doctor.check import Check, Place
from slowfast.datasets.doctor.finding import Finding
from slowfast.datasets.doctor.footage import Clip
from slowfast.datasets.doctor.offsets import FOLDS, OFFSETS, OffsetModel, Scales, Sums, design, usable
from slowfast.datasets.doctor.spool import Kept, Spool

LEAST_STEPS = 256
"""Below this nothing is said about the offset."""
BLOCK = 32
"""Steps of a clip that share a fold where there are fewer clips than folds."""
NOTHING = 0.01
"""A share of the variance below which actions explain nothing."""
MARGIN = 0.02
MARGIN_OF_BEST = 0.25
"""Another offset has to explain more than offset 0 by both: so much of the variance, and such a part of its own."""
WINS = FOLDS - 1
"""Folds in which it has to explain more: all but one, which may show nothing but walls."""
ADDS = 0.15
"""If the actions at offset 0, beside those at the better offset, explain such a part more, the world answers late."""
STRONG = 0.05
"""What actions have to explain before single clips are judged."""
LEAST_SLIPPED = 16
"""Steps from a slip to the end of a clip, at least."""
SURPRISE = 4.0
"""Standard errors between a clip's slipped part and what a clip without a slip would show there."""
EVIDENCE = 1.0
"""Standard errors by which the other offset explains the slipped part better in its own right."""
AS_WELL = 0.3
"""How well the other offset has to explain the slipped part, as a share of how well the usual one explains clips. What
no offset explains, such as a bare wall, has not slipped."""
CERTAIN = 6.0
"""A surprise from which a single clip's slip is an error and not a warning."""


@dataclass(frozen=True)
class _Kept:
    place: Place
    fold: int
    actions: Kept
    motion: Kept
    known: Kept


class Alignment(Check):
    """At which offset the actions explain best what changes in the picture, in all clips and in each."""

    name = "alignment"

    def __init__(self, spool: Spool) -> None:
        super().__init__(spool)
        self._clips: list[_Kept] = []
        self._continuous = np.zeros(0, bool)
        self._cameras: tuple[str, ...] | None = None
        self._action_sums, self._motion_sums = Sums(), Sums()
        self._measured: dict[str, Any] = {}
        self._acted = False

    def look(self, clip: Clip) -> Iterator[Finding]:
        cameras = tuple(sorted(clip.looks))
        self._cameras = self._cameras or cameras
        there = known(clip.spec, clip.actions)
        spoken = all(isinstance(component, Language) for component in clip.spec.acting)  # too slow to show a row
        if spoken or cameras != self._cameras or not there.any():
            return
        self._acted = True
        if not len(usable(there)):
            return
        actions, self._continuous = numbers(clip.spec, clip.actions)
        motion = np.concatenate([clip.looks[name].motion for name in cameras], 1)
        self._action_sums.add(actions[there])
        self._motion_sums.add(motion)
        put = self.spool.put
        self._clips.append(_Kept(Place.of(clip), len(self._clips) % FOLDS, put(actions), put(motion), put(there)))
        yield from ()

    def conclude(self) -> Iterator[Finding]:
        if not self._acted:
            return
        encodings = (False, True) if self._continuous.any() else (False,)
        models = [_Fitted(self, steps) for steps in encodings if self._clips]
        counts = models[0].model.count if models else np.zeros(FOLDS)
        count = int(counts.sum())
        if count < LEAST_STEPS or not counts.all():
            said = f"{count} steps have actions before and after them, too few to tell whether actions and frames fit"
            yield self.found("note", said, f"examine at least {LEAST_STEPS} steps, of several episodes if there are")
            return
        fitted = max(models, key=lambda fitted: max(fitted.shares.values()))
        shares = fitted.shares
        best = max(shares, key=lambda offset: shares[offset])
        self._measured = {
            "steps": count,
            "explained": {str(offset): round(share, 4) for offset, share in shares.items()},
        }
        if shares[best] < NOTHING:
            said = (
                f"the actions explain nothing of what is seen: at no offset from -3 to 3 more than "
                f"{max(shares[best], 0):.1%} of how the picture changes ({count} steps)"
            )
            fix = "see whether actions belong to these frames, and whether the camera shows what they act on"
            yield self.found("note", said, fix)
            return
        offset = best if self._clearly_better(fitted, best) else 0
        self._measured["offset"] = offset
        if offset:
            yield self._slipped(fitted, offset)
        if shares[offset] >= STRONG:
            yield from self._slipped_clips(fitted, offset)

    def measured(self) -> dict[str, Any]:
        return self._measured

    def _clearly_better(self, fitted: _Fitted, best: int) -> bool:
        shares = fitted.shares
        more = shares[best] - shares[0]
        if best == 0 or more < max(MARGIN, MARGIN_OF_BEST * shares[best]):
            return False
        return int((fitted.model.explained((best,)) > fitted.model.explained((0,))).sum()) >= WINS

    def _slipped(self, fitted: _Fitted, offset: int) -> Finding:
        shares, by = fitted.shares, abs(offset)
        figures = f"{shares[offset]:.1%} of how the picture changes, against {shares[0]:.1%} as the rows stand"
        rows = f"{by} row{'s' if by > 1 else ''}"
        if offset > 0:
            said = f"actions are {rows} late: actions[t+{by}] explains the change from frame t to t+1 best, {figures}"
            return self.found(
                "error", said, f"drop the first {by} of the actions and the last {by} of the frames of every episode"
            )
        both = float(np.nanmean(fitted.model.explained((offset, 0))))
        if both - shares[offset] > ADDS * shares[offset]:
            said = (
                f"the world answers late: actions[t-{by}] explains the change from frame t to t+1 best, {figures}; "
                f"actions[t] adds to it ({both:.1%} together), so that rows are not simply shifted"
            )
            return self.found("warning", said, "see whether frames are recorded after the action has had its effect")
        said = f"actions are {rows} early: actions[t-{by}] explains the change from frame t to t+1 best, {figures}"
        return self.found(
            "error", said, f"drop the first {by} of the frames and the last {by} of the actions of every episode"
        )

    def _slipped_clips(self, fitted: _Fitted, usual: int) -> Iterator[Finding]:
        """Clips, or ends of clips, that another offset explains than the rest."""
        others = [offset for offset in OFFSETS if offset != usual]
        sums = {offset: _Gains() for offset in others}
        explained, count = 0.0, 0
        for clip in self._clips:
            steps, errors, unmoved = fitted.errors(clip, usual)
            explained, count = explained + float((unmoved - errors[usual]).sum()), count + len(steps)
            for offset in others:
                sums[offset].add(errors[usual] - errors[offset])
        for clip in self._clips:
            steps, errors, unmoved = fitted.errors(clip, usual)
            if len(steps) < LEAST_SLIPPED:
                continue
            slips = [(*_end(errors[usual] - errors[offset], sums[offset]), offset) for offset in others]
            surprise, evidence, start, offset = max(slips)
            own = float((unmoved - errors[offset])[start:].mean())
            if surprise < SURPRISE or evidence < EVIDENCE or own < AS_WELL * explained / count:
                continue
            frame = 0 if start < LEAST_SLIPPED // 2 else int(steps[start])
            moved = abs(offset - usual)
            way = "late" if offset > usual else "early"
            said = (
                f"from frame {frame} on, actions lie {moved} row{'s' if moved > 1 else ''} {way} against the frames, "
                f"unlike elsewhere ({surprise:.1f} standard errors)"
            )
            fix = (
                "a frame was lost or doubled there, or the recording began a row off: shift its actions or leave it out"
            )
            yield self.found("error" if surprise >= CERTAIN else "warning", said, fix, clip.place, frame)


class _Fitted:
    """The regression at all offsets, and its residuals clip by clip."""

    def __init__(self, check: Alignment, steps: bool) -> None:
        self._check, self._steps = check, steps
        self._actions: Scales = check._action_sums.scales()
        self._motions: Scales = check._motion_sums.scales()
        width = len(check._continuous) + int(check._continuous.sum())
        self.model = OffsetModel(width, len(self._motions.mean))
        few, blocks = len(check._clips) < FOLDS, 0
        for clip in check._clips:
            columns, motion, used = self._read(clip)
            folds = np.full(len(used), clip.fold)
            if few:
                folds = (blocks + np.arange(len(used)) // BLOCK) % FOLDS
                blocks += -(-len(used) // BLOCK)
            if len(used):
                self.model.add(columns, motion, used, folds)
        found = {offset: self.model.explained((offset,)) for offset in OFFSETS}
        self.shares = {
            offset: float(np.nanmean(shares)) if np.isfinite(shares).any() else 0.0 for offset, shares in found.items()
        }
        self._weights: dict[tuple[int, int], np.ndarray] = {}

    def errors(self, clip: _Kept, usual: int) -> tuple[np.ndarray, dict[int, np.ndarray], np.ndarray]:
        """Steps of a clip ``[n]``; for each offset the squared error of the motion that the actions there predict, by
        what actions do at the ``usual`` offset in other clips; and the error of predicting no motion, ``[n]``."""
        columns, motion, used = self._read(clip)
        if (clip.fold, usual) not in self._weights:
            self._weights[clip.fold, usual] = self.model.weights(clip.fold, usual)
        weights = self._weights[clip.fold, usual]
        predicted = columns @ weights[:-1] + weights[-1]
        errors = {offset: np.square(motion[used] - predicted[used + offset]).mean(1) for offset in OFFSETS}
        return used, errors, np.square(motion[used]).mean(1)

    def _read(self, clip: _Kept) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        get, check = self._check.spool.get, self._check
        columns = design(get(clip.actions), check._continuous, self._actions, self._steps)
        return columns, self._motions.apply(get(clip.motion).astype(np.float64)), usable(get(clip.known))


class _Gains:
    """What another offset explains more or less than the usual one, over the steps of all clips."""

    def __init__(self) -> None:
        self._count, self._first, self._second = 0, 0.0, 0.0

    def add(self, gains: np.ndarray) -> None:
        self._count += len(gains)
        self._first += float(gains.sum())
        self._second += float(np.square(gains).sum())

    @property
    def mean(self) -> float:
        return self._first / self._count

    @property
    def deviation(self) -> float:
        return float(max(np.sqrt(max(self._second / self._count - self.mean**2, 0)), 1e-9))


def _end(gains: np.ndarray, usual: _Gains) -> tuple[float, float, int]:
    """The end of a clip that speaks most for another offset: how far it is from what clips show usually, how far from
    nothing (both in standard errors), and where it begins."""
    summed = gains[::-1].cumsum()[::-1][: len(gains) - LEAST_SLIPPED + 1]
    start = int(summed.argmax())
    length = len(gains) - start
    surprise = (summed[start] / length - usual.mean) * np.sqrt(length) / usual.deviation
    own = np.sqrt(np.square(gains[start:]).sum())
    return float(surprise), float(summed[start] / max(own, 1e-9)), start
