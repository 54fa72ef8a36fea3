"""Arrays of numbers or text as action components: what kind each is, its bounds or labels, its rows as a column."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from slowfast.actions import ActionSpec, Component, Continuous, Discrete, Keyboard, Language
from slowfast.datasets.episode import DatasetError
from slowfast.datasets.ingest.infer import SPEC_BYTES

MAX_LABELS = 4096


@dataclass(frozen=True)
class Action:
    """What is said of an action beforehand. ``key``: where it lies in the source. ``kind`` None: by the type of its
    rows. ``labels`` of choices, axes or keys. ``low``, ``high``: one number stands for all axes."""

    key: str
    kind: str | None = None
    labels: tuple[str, ...] = ()
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()


class ActionSurvey:
    """Sees the rows of one action in all recordings and says what component they are.

    What was said beforehand (kind, labels, bounds) goes before what is seen. ``add`` ignores what does not fit: the
    recording that it comes from is refused when it is read.
    """

    def __init__(self, name: str, action: Action) -> None:
        self.name, self.action = name, action
        self.kind: str | None = action.kind
        self.size = 0
        self.low: np.ndarray | None = None
        self.high: np.ndarray | None = None
        self.words: set[str] = set()
        self.longest = 256

    @property
    def complete(self) -> bool:
        """Whether nothing is left to be seen, so that further recordings need not be read for it."""
        said_all = {"continuous": self.action.low, "discrete": self.action.labels, "keyboard": True}
        return bool(self.size and said_all.get(self.kind or "", False))

    def add(self, rows: np.ndarray) -> None:
        """``rows`` ``[T, ...]`` of numbers, or ``object`` of text."""
        if rows.size == 0:
            return
        kind, flat = self.kind or _kind(rows), rows.reshape(len(rows), -1)
        if rows.dtype == object:
            texts = [str(text) for text in flat[:, 0]]
            if kind == "discrete" and len(self.words) <= MAX_LABELS:
                self.words.update(texts)
            self.longest = max([self.longest, *map(len, texts)])
        else:
            finite = flat[np.isfinite(flat).all(1)].astype(np.float64)
            if not len(finite) or (self.size and flat.shape[1] != self.size):
                return
            least, most = finite.min(0), finite.max(0)
            self.low = least if self.low is None else np.minimum(self.low, least)
            self.high = most if self.high is None else np.maximum(self.high, most)
        self.kind, self.size = kind, flat.shape[1]

    def component(self, where: str) -> Component:
        """Raises :class:`DatasetError` where no recording had rows that fit."""
        if not self.size:
            raise DatasetError(f"{where}: action {self.name!r} ({self.action.key}): no recording has rows of it")
        labels, said = self.action.labels, f"{where}: action {self.name!r}"
        if self.kind == "language":
            return Language(self.name, self.longest)
        if self.kind == "keyboard":
            return Keyboard(self.name, _names(labels, self.size, said) or tuple(map(str, range(self.size))))
        if self.kind == "discrete":
            return Discrete(self.name, labels or self._labels(said))
        axes = _names(labels, self.size, said)
        if self.action.low:
            low, high = (_spread(bound, self.size, said) for bound in (self.action.low, self.action.high))
        elif self.low is None or self.high is None:
            raise DatasetError(f"{said}: text in {self.action.key}; expected numbers")
        else:
            low, high = self.low.tolist(), self.high.tolist()
        return Continuous(self.name, tuple(low), tuple(high), axes)

    def _labels(self, said: str) -> tuple[str, ...]:
        if self.high is None:
            if len(self.words) > MAX_LABELS:
                raise DatasetError(f"{said}: more than {MAX_LABELS} different texts; say 'kind: language'")
            return tuple(sorted(self.words - {""}))
        if not 0 <= self.high.max() < MAX_LABELS or self.size != 1:
            reach = f"{self.size} numbers a row, up to {self.high.max():g}"
            raise DatasetError(f"{said}: {reach}; a choice is one whole number from 0 to {MAX_LABELS - 1}")
        return tuple(map(str, range(int(self.high[0]) + 1)))


def spec_of(components: Sequence[Component], where: str) -> ActionSpec:
    """Raises :class:`DatasetError` for more labels than an episode's header has room for."""
    spec = ActionSpec(tuple(components))
    if len(spec.to_json()) > SPEC_BYTES:
        names = ", ".join(component.name for component in components)
        raise DatasetError(f"{where}: the labels of {names} are too many for an action spec; say 'kind: language'")
    return spec


def column(component: Component, rows: np.ndarray, where: str) -> np.ndarray:
    """Rows ``[T, ...]`` as the component's column. Raises :class:`DatasetError` for rows of another kind or width, and
    for numbers that are not finite (NaN would pass for a missing action)."""
    said, text = f"{where}: action {component.name!r}", rows.dtype == object
    fits = {Language: text, Discrete: True}.get(type(component), not text)
    if not fits or math.prod(rows.shape[1:]) != _width(component):
        given = f"{'text' if text else rows.dtype} {rows.shape}"
        raise DatasetError(f"{said} is {given}; expected {component.kind}, {_width(component)} a row")
    flat = rows.reshape(len(rows), _width(component))
    if isinstance(component, Language):
        return np.array([str(value) for value in flat[:, 0]], object)
    if isinstance(component, Discrete) and text:
        codes = {label: code for code, label in enumerate(component.labels)} | {"": -1}
        unknown = [str(value) for value in flat[:, 0] if str(value) not in codes]
        if unknown:
            raise DatasetError(f"{said}: {unknown[0]!r:.50} is none of its {len(codes) - 1} labels")
        return np.array([codes[str(value)] for value in flat[:, 0]], np.int64)
    with np.errstate(over="ignore", invalid="ignore"):
        values, whole = flat.astype(np.float32), flat.astype(np.int64)
    wrong = np.flatnonzero(~np.isfinite(values).all(1))
    if len(wrong):
        raise DatasetError(f"{said}: row {wrong[0]} and {len(wrong) - 1} more hold numbers that are not finite")
    if isinstance(component, Continuous):
        return values
    top = 1 if isinstance(component, Keyboard) else len(component.labels) - 1
    if (whole != flat).any() or whole.min(initial=0) < 0 or whole.max(initial=0) > top:
        reach = f"numbers from {flat.min():g} to {flat.max():g}"
        raise DatasetError(f"{said}: {reach}; expected whole ones from 0 to {top}")
    return whole if isinstance(component, Keyboard) else whole[:, 0]


def _width(component: Component) -> int:
    if isinstance(component, Keyboard):
        return len(component.keys)
    return component.size if isinstance(component, Continuous) else 1


def _kind(rows: np.ndarray) -> str:
    if rows.dtype == object:
        return "language"
    if rows.dtype.kind == "b":
        return "keyboard"
    whole = rows.dtype.kind in "iu" and (rows.ndim == 1 or rows.shape[1:] == (1,))
    return "discrete" if whole else "continuous"


def _names(labels: tuple[str, ...], size: int, said: str) -> tuple[str, ...]:
    if labels and len(labels) != size:
        raise DatasetError(f"{said}: {len(labels)} labels for {size} numbers a row")
    return labels


def _spread(bound: tuple[float, ...], size: int, said: str) -> Any:
    if len(bound) not in (1, size):
        raise DatasetError(f"{said}: {len(bound)} bounds for {size} numbers a row; expected 1 or {size}")
    return bound * size if len(bound) == 1 else bound
