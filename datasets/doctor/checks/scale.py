"""Continuous actions on a scale that is not the declared one, or not the other episodes'."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from slowfast.actions import Continuous
from slowfast.datasets.doctor.acting import axis_names
from slowfast.datasets.doctor.check import Check, Place
from slowfast.datasets.doctor.finding import Finding
from slowfast.datasets.doctor.footage import Clip
from slowfast.datasets.doctor.spool import Spool

SLACK = 1e-3
"""Of a declared range: rounding may leave it by so much."""
TINY = 0.02
"""Share of a declared range that values have to use."""
LEAST_STEPS = 64
LEAST_CLIPS = 8
"""Episodes that have to vary an axis before one of them can be unlike the others."""
UNLIKE = 20.0
"""How many times another scale than the middle episode's is suspicious."""
DEGREES = 180 / math.pi
NEAR = 1.5
"""A ratio within this factor of 57.3 is taken for degrees against radians."""


class ActionScale(Check):
    """Values outside their bounds, values that hardly use them, and episodes on a scale of their own."""

    name = "action-scale"

    def __init__(self, spool: Spool) -> None:
        super().__init__(spool)
        self._components: dict[str, Continuous] = {}
        self._places: dict[str, list[Place]] = {}
        self._deviations: dict[str, list[np.ndarray]] = {}
        self._ranges: dict[str, tuple[np.ndarray, np.ndarray]] = {}
        self._steps: dict[str, int] = {}

    def look(self, clip: Clip) -> Iterator[Finding]:
        for component in clip.spec.components:
            if not isinstance(component, Continuous):
                continue
            name, column = component.name, clip.actions[component.name].astype(np.float64)
            values = column[np.isfinite(column).all(1)]
            if not len(values):
                continue
            self._components[name] = component
            low, high = values.min(0), values.max(0)
            before = self._ranges.get(name, (low, high))
            self._ranges[name] = (np.minimum(before[0], low), np.maximum(before[1], high))
            self._steps[name] = self._steps.get(name, 0) + len(values)
            self._places.setdefault(name, []).append(Place.of(clip))
            self._deviations.setdefault(name, []).append(values.std(0).astype(np.float32))
            yield from self._outside(clip, component, column)

    def conclude(self) -> Iterator[Finding]:
        for component in self._components.values():
            if self._steps[component.name] >= LEAST_STEPS:
                yield from self._unused(component)
            yield from self._unlike(component)

    def _outside(self, clip: Clip, component: Continuous, column: np.ndarray) -> Iterator[Finding]:
        low, high = np.array(component.low), np.array(component.high)
        slack = SLACK * np.where(np.isfinite(high - low), high - low, 0)
        with np.errstate(invalid="ignore"):  # what is no number is outside of nothing
            beyond = np.isfinite(column) & ((column < low - slack) | (column > high + slack))
        if not beyond.any():
            return
        axis = int(beyond.sum(0).argmax())
        worst = column[:, axis][np.abs(np.where(beyond[:, axis], column[:, axis], 0)).argmax()]
        said = (
            f"{beyond.any(1).sum()} of {len(clip)} actions lie outside the bounds of {component.name!r}: "
            f"{axis_names(component)[axis]} reaches {worst:.4g}, declared are {low[axis]:.4g} to {high[axis]:.4g}"
        )
        fix = "correct the bounds in the action spec, or the unit of the values"
        if _like_degrees(abs(worst) / max(abs(low[axis]), abs(high[axis]), 1e-9)):
            fix = "these look like degrees where radians are declared: " + fix
        yield self.found("error", said, fix, clip, int(beyond.any(1).argmax()))

    def _unused(self, component: Continuous) -> Iterator[Finding]:
        low, high = (np.array(bound, np.float64) for bound in (component.low, component.high))
        used = self._ranges[component.name][1] - self._ranges[component.name][0]
        for axis in np.flatnonzero(np.isfinite(high - low) & (used > 0)):
            share = used[axis] / (high[axis] - low[axis])
            if share >= TINY:
                continue
            values = f"{self._ranges[component.name][0][axis]:.4g} to {self._ranges[component.name][1][axis]:.4g}"
            said = (
                f"{axis_names(component)[axis]} of {component.name!r} uses {share:.2%} of its range: "
                f"{values} of {low[axis]:.4g} to {high[axis]:.4g}"
            )
            fix = "correct the bounds in the action spec, or the unit of the values"
            if _like_degrees(1 / share):
                fix = "these look like radians where degrees are declared: " + fix
            yield self.found("warning", said, fix)

    def _unlike(self, component: Continuous) -> Iterator[Finding]:
        """An episode's scale is judged by the middle one of its axes, so that one busy axis does not make it unlike."""
        deviations = np.stack(self._deviations[component.name]).astype(np.float64)
        moving = deviations > 1e-9
        axes = moving.sum(0) >= LEAST_CLIPS
        if not axes.any():
            return
        usual = np.array(
            [np.median(row[there]) if there.any() else 1.0 for row, there in zip(deviations.T, moving.T, strict=True)]
        )
        with np.errstate(divide="ignore"):
            ratios = np.log(np.where(moving & axes, deviations / usual, np.nan))
        for place, row in zip(self._places[component.name], ratios, strict=True):
            if np.isnan(row).all():
                continue
            ratio = float(np.exp(np.nanmedian(row)))
            # an episode in which nearly nothing is done is no fault, unless its scale is exactly that of another unit
            if ratio >= UNLIKE or (ratio <= 1 / UNLIKE and _like_degrees(1 / ratio)):
                times = f"{ratio:.3g} times" if ratio > 1 else f"1/{1 / ratio:.3g} of"
                said = f"{component.name!r} varies {times} what it does in the middle episode"
                unit = "degrees" if ratio > 1 else "radians"
                fix = f"looks like {unit} unlike the others: " if _like_degrees(max(ratio, 1 / ratio)) else ""
                yield self.found(
                    "error", said, f"{fix}bring the episode to the others' unit, or leave it out", place, 0
                )


def _like_degrees(ratio: float) -> bool:
    return DEGREES / NEAR <= ratio <= DEGREES * NEAR
