"""What actions a source has, from the values that stand in its columns.

Columns named ``action`` and ``action.NAME`` (or any other word before the dot) become the components of one
:class:`~slowfast.actions.ActionSpec`, by what *all* tables of the source hold together:

- truth values: the keys of one ``Keyboard``, named "keys";
- whole numbers from 0 to 255: a ``Discrete`` with the labels "0" to the largest that occurs;
- other numbers: the axes of one ``Continuous``, named like the word before the dot, within the bounds that occur;
- vectors: a ``Keyboard`` if they hold nothing but truth values, or nothing but 0 and 1, else a ``Continuous``;
- text: a ``Discrete`` with its labels in alphabetical order, and a ``Language`` that describes it, if there are at most
  64 of at most 48 characters, and a label stands in at least 4 rows on average; else a ``Language``. A column called
  ``text`` is a ``Language`` always.

Labels that are given make text and whole numbers a ``Discrete`` of these labels, and name a vector's axes or keys.
Where tables disagree about a column (numbers here, text there; vectors of two lengths), most tables are right, and
:meth:`Actions.columns` refuses the others. Nothing depends on the order of the tables.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from slowfast.actions import ActionSpec, Columns, Component, Continuous, Discrete, Keyboard, Language
from slowfast.datasets.columns import fill_descriptions
from slowfast.datasets.episode import DatasetError
from slowfast.datasets.ingest.cells import REAL, TRUTH, Cells, read_cells

SENTENCE = "text"
MOST_LABELS, LONGEST_LABEL, ROWS_A_LABEL = 64, 48, 4
LARGEST_CHOICE = 255
SPEC_BYTES = 48_000
"""An action spec is kept in each episode's header, which has room for 64 KiB."""

RawColumns = Mapping[str, Sequence[Any]]


def spec_of(columns: RawColumns, labels: Sequence[str] = ()) -> ActionSpec:
    """The spec of one table's columns. Raises :class:`DatasetError`."""
    inference = Inference(labels)
    inference.add(columns)
    return inference.actions().spec


class Inference:
    """Sees a source's tables one after another; keeps bounds and labels of each column, and not the tables."""

    def __init__(self, labels: Sequence[str] = ()) -> None:
        self.labels = tuple(labels)
        self._seen: dict[str, dict[str, _Seen]] = {}

    def add(self, columns: RawColumns) -> None:
        """Raises :class:`DatasetError` for values that are no actions; the table then counts for nothing."""
        for name, cells in {name: read_cells(name, values) for name, values in columns.items()}.items():
            if cells.known:
                self._seen.setdefault(name, {}).setdefault(cells.kind, _Seen()).add(cells)

    def actions(self) -> Actions:
        """Raises :class:`DatasetError` where no column had a value, or the labels fit none."""
        if not self._seen:
            raise DatasetError("no column of actions has a value")
        columns = {}
        for name in sorted(self._seen, key=natural):
            kinds = self._seen[name]
            kind = max(kinds, key=lambda kind: (kinds[kind].tables, kind))
            columns[name] = (kind, kinds[kind])
        parts = _parts(columns, self.labels)
        spec = ActionSpec(tuple(part.component for part in parts) + _descriptions(parts))
        if len(spec.to_json()) > SPEC_BYTES:
            raise DatasetError(f"{len(columns)} columns of actions are too many for one action spec")
        return Actions(spec, tuple(parts))


@dataclass(frozen=True)
class Part:
    """One component and the raw columns it comes from: one of text or vectors, or one an axis or key."""

    component: Component
    sources: tuple[str, ...]
    words: bool = False
    vectors: bool = False


@dataclass(frozen=True)
class Actions:
    """A source's action spec, and how its raw columns become the spec's."""

    spec: ActionSpec
    parts: tuple[Part, ...]

    def columns(self, raw: RawColumns, count: int) -> Columns:
        """``count`` rows of raw columns as the spec's. A column that is not there, and a cell that is None, is missing.

        Raises :class:`DatasetError` for values that are not of the kind that the source's other tables have.
        """
        made = {}
        for part in self.parts:
            if any(name in raw for name in part.sources):
                fill = _worded if part.words else _numbered
                made[part.component.name] = fill(part, raw, count)
        return fill_descriptions(self.spec, self.spec.columns(made) if made else self.spec.null((count,)))


@dataclass
class _Seen:
    """What one column holds in all the tables in which it is of one kind."""

    tables: int = 0
    rows: int = 0
    rank: int = TRUTH
    low: np.ndarray | None = None
    high: np.ndarray | None = None
    labels: set[str] = field(default_factory=set)
    longest: int = 0

    def add(self, cells: Cells) -> None:
        self.tables, self.rows, self.rank = self.tables + 1, self.rows + cells.known, max(self.rank, cells.rank)
        if cells.words is not None:
            words = set(cells.words.tolist()) - {""}
            self.longest = max(self.longest, *map(len, words))
            if len(self.labels) <= MOST_LABELS:  # of free text, not all is kept
                self.labels |= words
            return
        assert cells.numbers is not None
        low, high = np.fmin.reduce(cells.numbers), np.fmax.reduce(cells.numbers)
        self.low = low if self.low is None else np.fmin(self.low, low)
        self.high = high if self.high is None else np.fmax(self.high, high)

    @property
    def bounds(self) -> tuple[list[float], list[float]]:
        """An axis that never has a value gets (0, 0)."""
        assert self.low is not None
        assert self.high is not None
        return np.nan_to_num(self.low).tolist(), np.nan_to_num(self.high).tolist()

    @property
    def choices(self) -> bool:
        """Whether text is a choice of few."""
        few = len(self.labels) <= MOST_LABELS and self.longest <= LONGEST_LABEL
        return few and self.rows >= ROWS_A_LABEL * len(self.labels)

    @property
    def largest(self) -> int | None:
        """Of whole numbers that are choices; None for quantities."""
        (low, *_), (high, *_) = self.bounds
        return int(high) if self.rank < REAL and low >= 0 and high <= LARGEST_CHOICE else None

    @property
    def binary(self) -> bool:
        low, high = self.bounds
        return self.rank == TRUTH or (self.rank < REAL and min(low) >= 0 and max(high) <= 1)


def _parts(columns: Mapping[str, tuple[str, _Seen]], labels: tuple[str, ...]) -> list[Part]:
    _check_labels(columns, labels)
    parts: list[Part] = []
    keys: list[str] = []
    axes: dict[str, list[str]] = {}
    free = _Names()
    for name, (kind, seen) in columns.items():
        if kind == "text":
            parts.append(Part(_text(free(_own(name)), name, seen, labels), (name,), words=True))
        elif kind != "numbers":
            parts.append(Part(_vector(free(_own(name)), seen, labels), (name,), vectors=True))
        elif seen.rank == TRUTH:
            keys.append(name)
        elif seen.largest is not None:
            digits = tuple(map(str, range(seen.largest + 1)))
            parts.append(Part(Discrete(free(_own(name)), labels or digits), (name,)))
        else:
            axes.setdefault(name.partition(".")[0], []).append(name)
    if keys:
        parts.append(Part(Keyboard(free("keys"), tuple(map(_own, keys))), tuple(keys)))
    for group, members in axes.items():
        low, high = (tuple(columns[name][1].bounds[side][0] for name in members) for side in (0, 1))
        names = tuple(map(_own, members)) if members != [group] else ()
        parts.append(Part(Continuous(free(group), low, high, names), tuple(members)))
    return parts


def _text(component: str, column: str, seen: _Seen, labels: tuple[str, ...]) -> Component:
    if column == SENTENCE or not (labels or seen.choices):
        return Language(component, max(256, seen.longest))
    return Discrete(component, labels or tuple(sorted(seen.labels, key=natural)))


def _vector(component: str, seen: _Seen, labels: tuple[str, ...]) -> Component:
    low, high = seen.bounds
    if labels and len(labels) != len(low):
        raise DatasetError(f"{len(labels)} labels were given for vectors of {len(low)} numbers")
    if seen.binary:
        return Keyboard(component, labels or tuple(map(str, range(len(low)))))
    return Continuous(component, tuple(low), tuple(high), labels)


def _check_labels(columns: Mapping[str, tuple[str, _Seen]], labels: tuple[str, ...]) -> None:
    if not labels:
        return
    takes = [
        name
        for name, (kind, seen) in columns.items()
        if name != SENTENCE and (kind != "numbers" or (seen.rank > TRUTH and seen.largest is not None))
    ]
    if len(takes) != 1:
        raise DatasetError(
            f"labels name the choices of one column, or the axes of one column of vectors; there are {takes}"
        )


def _descriptions(parts: Sequence[Part]) -> tuple[Component, ...]:
    """A language component for each choice that has words."""
    described = [
        part.component.name
        for part in parts
        if isinstance(part.component, Discrete) and not all(label.isdigit() for label in part.component.labels)
    ]
    free = _Names(part.component.name for part in parts)
    if len(described) == 1:
        return (Language(free(SENTENCE), describes=described[0]),)
    return tuple(Language(free(f"{name}_{SENTENCE}"), describes=name) for name in described)


def _worded(part: Part, raw: RawColumns, count: int) -> np.ndarray:
    name = part.sources[0]
    words = read_cells(name, raw[name]).as_words()
    if isinstance(part.component, Discrete):
        index = {"": -1} | {label: k for k, label in enumerate(part.component.labels)}
        unknown = sorted(set(words.tolist()) - index.keys())
        if unknown:
            raise DatasetError(f"{name}: {unknown[0]!r} is none of the labels {list(part.component.labels)}")
        return np.array([index[word] for word in words.tolist()], np.int64)
    return words


def _numbered(part: Part, raw: RawColumns, count: int) -> np.ndarray:
    width = part.component.null(()).size
    numbers = np.full((count, width), np.nan)
    for axis, name in enumerate(part.sources):
        cells = read_cells(name, raw.get(name, [None] * count))
        if not cells.known:
            continue
        expected = f"vectors of {width}" if part.vectors else "numbers"
        if cells.kind != expected or cells.numbers is None:
            raise DatasetError(f"{name}: holds {cells.kind}, where the source's other tables have {expected}")
        numbers[:, axis if not part.vectors else slice(None)] = cells.numbers if part.vectors else cells.numbers[:, 0]
    if isinstance(part.component, Continuous):
        return numbers.astype(np.float32)
    top = len(part.component.labels) - 1 if isinstance(part.component, Discrete) else 1
    whole = np.where(np.isnan(numbers), -1, numbers)
    wrong = ~np.isnan(numbers) & ((numbers != np.round(numbers)) | (numbers < 0) | (numbers > top))
    if wrong.any():
        raise DatasetError(f"{part.sources[0]}: {whole[wrong][0]:g}, expected a whole number from 0 to {top}")
    return whole.astype(np.int64)[:, 0] if isinstance(part.component, Discrete) else whole.astype(np.int64)


class _Names:
    """Names of components: distinct, and such that they can be keys in a file."""

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self.taken = set(taken)

    def __call__(self, name: str) -> str:
        plain = re.sub(r"[^\w\- ]", "_", name) or "action"
        free = next(
            option for k in itertools.count(1) if (option := plain if k == 1 else f"{plain}_{k}") not in self.taken
        )
        self.taken.add(free)
        return free


def _own(name: str) -> str:
    """The word behind the dot, if there is one."""
    group, _, own = name.partition(".")
    return own or group


def natural(text: str) -> list[tuple[bool, int, str]]:
    """A key that sorts "take 2" before "take 10"."""
    return [(part.isdigit(), int(part) if part.isdigit() else 0, part) for part in re.split(r"([0-9]+)", text)]
