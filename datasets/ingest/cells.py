"""One column of a table, as somebody wrote it, as numbers or text: checked, with what is missing marked.

None is missing; NaN is refused, since in an action it would pass for missing without anybody having said so.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from slowfast.datasets.episode import DatasetError

MOST_AXES = 512
LONGEST_TEXT = 4096
LARGEST = float(np.finfo(np.float32).max)
TRUTH, WHOLE, REAL = 0, 1, 2


@dataclass(frozen=True)
class Cells:
    """``numbers``: ``float64 [rows, width]``, NaN where missing; or ``words``: ``object [rows]`` of str, "" where
    missing. ``vectors``: whether a cell holds several numbers. ``rank``: TRUTH, WHOLE or REAL, the largest among them.
    ``known``: rows that are not missing."""

    numbers: np.ndarray | None
    words: np.ndarray | None
    vectors: bool
    rank: int
    known: int

    @property
    def kind(self) -> str:
        if self.words is not None:
            return "text"
        assert self.numbers is not None
        return f"vectors of {self.numbers.shape[1]}" if self.vectors else "numbers"

    def as_words(self) -> np.ndarray:
        """Text, or whole numbers as their digits: 3 in a column of labels is the label "3"."""
        if self.words is not None:
            return self.words
        assert self.numbers is not None
        if self.vectors or self.rank == REAL:
            raise DatasetError(f"{self.kind}, where the source's other tables have text")
        flat = self.numbers[:, 0]
        return np.array(["" if np.isnan(value) else str(int(value)) for value in flat], object)


def read_cells(name: str, values: Sequence[Any] | np.ndarray) -> Cells:
    """A column of numbers, truth values, text, or equally long lists of numbers; None is missing.

    Raises :class:`DatasetError` naming the column and the row for anything else.
    """
    cells = values.tolist() if isinstance(values, np.ndarray) else list(values)
    types = set(map(type, cells)) - {type(None)}
    if types <= {bool, int, float}:
        return _numbers(name, [[cell] for cell in cells], types, 1, vectors=False)
    if types == {str}:
        return _words(name, cells)
    if types <= {list, tuple}:
        return _vectors(name, cells)
    said = ", ".join(sorted(kind.__name__ for kind in types))
    raise DatasetError(f"{name}: holds {said}; expected numbers, text, or lists of numbers, of one kind in all rows")


def _words(name: str, cells: list[str | None]) -> Cells:
    words = np.empty(len(cells), object)
    for row, cell in enumerate(cells):
        word = "" if cell is None else " ".join(cell.split())
        if len(word) > LONGEST_TEXT:
            raise DatasetError(f"{name}: row {row} has {len(word)} characters; at most {LONGEST_TEXT} are read")
        if "\0" in word or not _encodes(word):
            raise DatasetError(f"{name}: row {row} holds characters that are no text")
        words[row] = word
    return Cells(None, words, False, REAL, int((words != "").sum()))


def _encodes(word: str) -> bool:
    try:
        word.encode()
    except UnicodeEncodeError:
        return False
    return True


def _vectors(name: str, cells: list[list[Any] | None]) -> Cells:
    lengths = {len(cell) for cell in cells if cell is not None}
    if len(lengths) > 1 or not min(lengths, default=1):
        raise DatasetError(f"{name}: lists of {sorted(lengths)[:5]} numbers; expected equally many in every row")
    width = lengths.pop() if lengths else 1
    if width > MOST_AXES:
        raise DatasetError(f"{name}: lists of {width} numbers; at most {MOST_AXES} are read")
    types = set(map(type, itertools.chain.from_iterable(cell for cell in cells if cell is not None)))
    types -= {type(None)}
    if not types <= {bool, int, float}:
        said = ", ".join(sorted(kind.__name__ for kind in types))
        raise DatasetError(f"{name}: lists of {said}; expected lists of numbers")
    return _numbers(name, [[None] * width if cell is None else cell for cell in cells], types, width, vectors=True)


def _numbers(name: str, rows: list[Any], types: set[type], width: int, vectors: bool) -> Cells:
    try:
        numbers = np.array(rows, np.float64).reshape(len(rows), width)  # None becomes NaN
    except OverflowError as error:
        raise DatasetError(f"{name}: holds a number that is too large ({error})") from error
    for row, axis in np.argwhere(~(np.abs(numbers) <= LARGEST)).tolist():
        if rows[row][axis] is not None:
            raise DatasetError(
                f"{name}: row {row} holds {numbers[row, axis]:g}; expected a number within ±3e38, or nothing where "
                "there was no action"
            )
    rank = REAL if float in types else WHOLE if int in types else TRUTH
    return Cells(numbers, None, vectors, rank, int((~np.isnan(numbers)).any(1).sum()))
