"""How often each action occurs, and whether some hardly ever do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np

from slowfast.actions import Component, Continuous, Discrete, Keyboard
from slowfast.datasets.doctor.acting import axis_names, missing
from slowfast.datasets.doctor.check import Check
from slowfast.datasets.doctor.finding import Finding
from slowfast.datasets.doctor.footage import Clip
from slowfast.datasets.doctor.spool import Kept, Spool

RARE = 0.01
COMMON = 0.8
LEAST_STEPS = 256
"""Steps below which nothing is said about shares."""
BINS = 20
SENTENCES = 1000
"""Distinct sentences that are counted; later ones count as others."""
SHOWN = 20


class ActionBalance(Check):
    """Choices that make up more than 80 % or less than 1 % of the steps. Its figures are the report's histograms."""

    name = "action-balance"

    def __init__(self, spool: Spool) -> None:
        super().__init__(spool)
        self._components: dict[str, Component] = {}
        self._steps: Counter[str] = Counter()
        self._counts: dict[str, np.ndarray] = {}
        self._sentences: dict[str, Counter[str]] = {}
        self._values: dict[str, list[Kept]] = {}

    def look(self, clip: Clip) -> Iterator[Finding]:
        for component in clip.spec.components:
            name, column = component.name, clip.actions[component.name]
            there = column[~missing(component, column)]
            self._components[name] = component
            self._steps[name] += len(there)
            if isinstance(component, Continuous):
                self._values.setdefault(name, []).append(self.spool.put(there))
            elif isinstance(component, Discrete):
                counts = np.bincount(there, minlength=len(component.labels))
                self._counts[name] = self._counts.get(name, 0) + counts
            elif isinstance(component, Keyboard):
                self._counts[name] = self._counts.get(name, 0) + (there == 1).sum(0)
            else:
                seen = self._sentences.setdefault(name, Counter())
                for sentence, count in Counter(there.tolist()).items():
                    seen[sentence if sentence in seen or len(seen) < SENTENCES else "(others)"] += count
        yield from ()

    def conclude(self) -> Iterator[Finding]:
        for name, component in self._components.items():
            steps = self._steps[name]
            if not isinstance(component, Discrete) or steps < LEAST_STEPS or (self._counts[name] > 0).sum() < 2:
                continue
            shares = self._counts[name] / steps
            order = np.argsort(-shares)
            if shares[order[0]] > COMMON:
                said = f"{name!r} is {component.labels[order[0]]!r} in {shares[order[0]]:.1%} of {steps} steps"
                yield self.found("warning", said, "collect more of the rest, or thin out the steps of this action")
            rare = [f"{component.labels[k]} {shares[k]:.2%}" for k in order if shares[k] < RARE]
            if rare:
                said = f"{name!r} hardly ever or never is: {', '.join(rare)} of {steps} steps"
                yield self.found("note", said, "collect more of them: a world does not learn what it never sees")

    def measured(self) -> dict[str, Any]:
        return {name: self._histogram(component) for name, component in self._components.items()}

    def _histogram(self, component: Component) -> dict[str, Any]:
        """``steps`` with a value; ``counts`` by label, key or sentence, or by axis ``edges`` and ``counts``; of choices
        ``entropy``, 1 where all are equally frequent and 0 where there is but one."""
        name, steps = component.name, self._steps[component.name]
        found: dict[str, Any] = {"kind": component.kind, "steps": steps}
        if isinstance(component, Continuous):
            return {**found, "counts": self._binned(component)}
        if isinstance(component, (Discrete, Keyboard)):
            labels = axis_names(component)
            found["counts"] = {label: int(n) for label, n in zip(labels, self._counts[name], strict=True)}
            if isinstance(component, Discrete) and steps and len(labels) > 1:
                shares = self._counts[name][self._counts[name] > 0] / steps
                found["entropy"] = round(float(-(shares * np.log(shares)).sum() / np.log(len(labels))) + 0.0, 4)
            return found
        sentences = self._sentences.get(name, Counter())
        return {**found, "distinct": len(sentences), "counts": dict(sentences.most_common(SHOWN))}

    def _binned(self, component: Continuous) -> dict[str, dict[str, list[float]]]:
        low = np.full(component.size, np.inf)
        high = -low
        for kept in self._values[component.name]:
            values = self.spool.get(kept)
            values = np.where(np.isfinite(values), values, np.nan)
            if len(values):
                low, high = np.fmin(low, np.fmin.reduce(values)), np.fmax(high, np.fmax.reduce(values))
        found = {}
        for axis, label in enumerate(axis_names(component)):
            if not low[axis] <= high[axis]:
                continue
            edges = np.histogram_bin_edges([], BINS, (low[axis], high[axis]))
            counts = np.zeros(BINS, np.int64)
            for kept in self._values[component.name]:
                values = self.spool.get(kept)[:, axis]
                counts += np.histogram(values[np.isfinite(values)], edges)[0]
            found[label] = {"edges": edges.tolist(), "counts": counts.tolist()}
        return found
