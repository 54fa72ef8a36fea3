"""Actions that are missing, and actions that never vary."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from slowfast.actions import ActionSpec, Component, Continuous, Discrete, Keyboard, Language
from slowfast.datasets.doctor.acting import axis_names, known, missing
from slowfast.datasets.doctor.check import Check, Place
from slowfast.datasets.doctor.finding import Finding
from slowfast.datasets.doctor.footage import Clip
from slowfast.datasets.doctor.spool import Spool

LEAST_STEPS = 64
"""Steps with actions below which nothing is said about what never varies."""
LEAST_STUCK = 32
"""Steps of a clip in which one and the same action is suspicious, where other clips vary."""


class MissingActions(Check):
    """Nulls in the components that an agent acts with, and values that are no numbers. Language is left to its own
    check: sentences may have pauses."""

    name = "missing-actions"

    def __init__(self, spool: Spool) -> None:
        super().__init__(spool)
        self._clips = self._empty = 0
        self._first_empty: list[Place] = []

    def look(self, clip: Clip) -> Iterator[Finding]:
        self._clips += 1
        yield from self._bad_numbers(clip)
        if all(isinstance(component, Language) for component in clip.spec.acting):
            return
        absent = ~known(clip.spec, clip.actions)
        if absent.all():
            self._empty += 1
            self._first_empty = self._first_empty or [Place.of(clip)]
            return
        for component in clip.spec.acting:
            nulls = missing(component, clip.actions[component.name])
            if nulls.any() and not nulls.all():
                first = int(nulls.argmax())
                said = f"{nulls.sum()} of {len(clip)} actions have no {component.name!r}"
                fix = "fill them, cut the clip there, or keep them: a model then learns them as unknown"
                yield self.found("warning", said, fix, clip, first)

    def conclude(self) -> Iterator[Finding]:
        if self._empty and self._empty == self._clips:
            said = "no episode has any action"
            yield self.found("warning", said, "say where the actions are (--options.action, --options.annotations)")
        elif self._empty:
            said = f"no action at all in {self._empty} of {self._clips} episodes; this is the first"
            yield self.found("error", said, "find its annotations or leave it out", self._first_empty[0], 0)

    def _bad_numbers(self, clip: Clip) -> Iterator[Finding]:
        for component in clip.spec.components:
            column = clip.actions[component.name]
            if not isinstance(component, Continuous):
                continue
            bad = ~np.isfinite(column) & ~missing(component, column)[:, None]
            if bad.any():
                first = int(bad.any(1).argmax())
                axes = [axis_names(component)[k] for k in np.flatnonzero(bad.any(0))]
                said = (
                    f"{component.name!r} is no number in {bad.any(1).sum()} of {len(clip)} actions ({', '.join(axes)})"
                )
                yield self.found("error", said, "fill them or make the whole action missing (all NaN)", clip, first)


class ConstantActions(Check):
    """Axes, keys and choices that never vary in the whole set, and clips in which no action ever does."""

    name = "constant-actions"

    def __init__(self, spool: Spool) -> None:
        super().__init__(spool)
        self._spec: ActionSpec | None = None
        self._steps = self._clips = 0
        self._low: dict[str, np.ndarray] = {}
        self._high: dict[str, np.ndarray] = {}
        self._stuck: list[Place] = []

    def look(self, clip: Clip) -> Iterator[Finding]:
        there = known(clip.spec, clip.actions)
        self._spec, self._clips, self._steps = clip.spec, self._clips + 1, self._steps + int(there.sum())
        stuck = there.sum() >= LEAST_STUCK
        for component in clip.spec.acting:
            ranges = _ranges(component, clip.actions[component.name])
            if ranges is None:
                stuck = stuck and not isinstance(component, Language)
                continue
            low, high = ranges
            stuck = stuck and bool((high <= low).all())
            name = component.name
            self._low[name] = np.fmin(self._low.get(name, low), low)
            self._high[name] = np.fmax(self._high.get(name, high), high)
        if stuck and all((look.change[there] > 1).mean() > 0.5 for look in clip.looks.values()):
            self._stuck.append(Place.of(clip))
        yield from ()

    def conclude(self) -> Iterator[Finding]:
        if self._spec is None or self._steps < LEAST_STEPS:
            return
        varies = {name: self._high[name] > self._low[name] for name in self._low}
        if varies and not any(moving.any() for moving in varies.values()):
            said = f"the action never varies in {self._steps} steps"
            yield self.found("error", said, "see whether the right column was read: nothing can be learned of actions")
            return
        for name, moving in varies.items():
            component = self._spec[name]
            if isinstance(component, Discrete) and not moving.all():
                label = component.labels[int(self._low[name][0])]
                said = f"{name!r} is {label!r} in every step"
                yield self.found("warning", said, "leave the component out, or record what varies it")
            elif not moving.all():
                yield self._dead(component, moving)
        for place in self._stuck if len(self._stuck) * 2 < self._clips else ():
            said = "one and the same action throughout, while the picture changes and other episodes vary"
            yield self.found("warning", said, "the log may have been stuck: leave the episode out", place, 0)

    def _dead(self, component: Component, moving: np.ndarray) -> Finding:
        names = [axis_names(component)[k] for k in np.flatnonzero(~moving)]
        if isinstance(component, Keyboard):
            never = [
                name
                for name, k in zip(names, np.flatnonzero(~moving), strict=True)
                if not self._high[component.name][k]
            ]
            said = f"{len(names)} of {len(moving)} keys of {component.name!r} never change: {', '.join(names)}"
            said += "" if len(never) == len(names) else " (some of them always held)"
            return self.found("warning", said, "leave the keys out, or record what uses them")
        values = ", ".join(
            f"{name} = {self._low[component.name][k]:.4g}"
            for name, k in zip(names, np.flatnonzero(~moving), strict=True)
        )
        said = f"{len(names)} of {len(moving)} axes of {component.name!r} never change: {values}"
        return self.found("warning", said, "leave the axes out: they carry nothing and have no scale")


def _ranges(component: Component, column: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Smallest and largest value of each axis; None for language and where nothing is known."""
    if isinstance(component, Language):
        return None
    values = column.reshape(len(column), -1)[~missing(component, column)].astype(np.float64)
    if isinstance(component, Continuous):
        values = values[np.isfinite(values).all(1)]
    if not len(values):
        return None
    return values.min(0), values.max(0)
