"""How well actions explain what changes in the picture, for each offset between the two.

A ridge regression from the actions at t + offset to the motion between frames t and t+1, judged on folds that it has
not seen. All of it follows from sums over steps, so that nothing grows with the data set.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

OFFSETS = (-3, -2, -1, 0, 1, 2, 3)
REACH = 3
FOLDS = 8
RIDGE = 1e-3
CLIPPED = 4.0
"""Motion beyond so many standard deviations counts as so many: one cut outweighs no thousand steps."""


@dataclass(frozen=True)
class Scales:
    """Means and standard deviations of columns, ``float64 [n]``."""

    mean: np.ndarray
    deviation: np.ndarray

    def apply(self, rows: np.ndarray) -> np.ndarray:
        return np.clip((rows - self.mean) / self.deviation, -CLIPPED, CLIPPED)


class Sums:
    """Running sums for :class:`Scales`."""

    def __init__(self) -> None:
        self.count, self._first, self._second = 0, np.zeros(0), np.zeros(0)

    def add(self, rows: np.ndarray) -> None:
        """``[n, columns]``."""
        rows = rows.astype(np.float64)
        if not self.count:
            self._first, self._second = np.zeros(rows.shape[1]), np.zeros(rows.shape[1])
        self.count += len(rows)
        self._first = self._first + rows.sum(0)
        self._second = self._second + np.square(rows).sum(0)

    def scales(self) -> Scales:
        """Columns that never vary get a deviation of 1: they stay zero."""
        mean = self._first / max(self.count, 1)
        variance = np.maximum(self._second / max(self.count, 1) - mean**2, 0)
        deviation = np.sqrt(variance)
        return Scales(mean, np.where(deviation > 1e-6 * (1 + np.abs(mean)), deviation, 1.0))


def design(actions: np.ndarray, continuous: np.ndarray, scales: Scales, steps: bool) -> np.ndarray:
    """Actions ``[T, p]`` as columns that motion may be linear in, ``float64 [T, p']``: choices and keys as they are,
    continuous values and how far they lie from their mean. ``steps``: of the continuous ones what they changed by
    instead, which is what moves a robot whose actions are positions."""
    values = (actions.astype(np.float64) - scales.mean) / scales.deviation
    vectors = values[:, continuous]
    if steps:
        vectors = np.diff(vectors, axis=0, prepend=vectors[:1])
    return np.concatenate([values[:, ~continuous], vectors, np.abs(vectors)], 1)


def usable(known: np.ndarray) -> np.ndarray:
    """Steps whose actions are there at every offset, ``int64 [n]``."""
    windows = len(known) - 2 * REACH
    if windows <= 0:
        return np.zeros(0, np.int64)
    whole = np.lib.stride_tricks.sliding_window_view(known, 2 * REACH + 1).all(1)
    return np.flatnonzero(whole) + REACH


class OffsetModel:
    """Add all steps, then ask. ``width``: columns of a design, ``motions``: numbers that describe a step."""

    def __init__(self, width: int, motions: int) -> None:
        self.width, size = width, width * len(OFFSETS) + 1
        self.count = np.zeros(FOLDS)
        self._gram = np.zeros((FOLDS, size, size))
        self._cross = np.zeros((FOLDS, size, motions))
        self._square = np.zeros((FOLDS, motions))

    def add(self, columns: np.ndarray, motion: np.ndarray, steps: np.ndarray, folds: np.ndarray) -> None:
        """``columns`` ``[T, width]``, ``motion`` ``[T, motions]`` of one clip; the ``steps`` to use of it, ``[n]``, and
        the fold of each."""
        rows = np.concatenate([columns[steps + offset] for offset in OFFSETS], 1)
        rows = np.concatenate([rows, np.ones((len(rows), 1))], 1)
        for fold in np.unique(folds):
            x, y = rows[folds == fold], motion[steps][folds == fold]
            self.count[fold] += len(x)
            self._gram[fold] += x.T @ x
            self._cross[fold] += x.T @ y
            self._square[fold] += np.square(y).sum(0)

    def explained(self, offsets: Sequence[int]) -> np.ndarray:
        """Share of the variance of the motion that the actions at ``offsets`` together explain, in each fold
        ``[FOLDS]``; below 0 where they mislead, NaN in a fold without steps."""
        shares = np.full(FOLDS, np.nan)
        at = self._at(offsets)
        for fold in np.flatnonzero(self.count).tolist():
            square = self._square[fold].sum()
            left, base = square + self._change(fold, at), square + self._change(fold, self._at(()))
            shares[fold] = 1 - left / max(base, 1e-12)
        return shares

    def weights(self, fold: int, offset: int) -> np.ndarray:
        """``[width + 1, motions]``, the last row the constant; learned on all folds but ``fold``."""
        return self._solved(fold, self._at((offset,)))

    def _change(self, fold: int, at: np.ndarray) -> float:
        """What predicting adds to the summed square of the motion (negative where it helps)."""
        weights = self._solved(fold, at)
        gram, cross = self._gram[fold][np.ix_(at, at)], self._cross[fold][at]
        return float(((gram @ weights - 2 * cross) * weights).sum())

    def _solved(self, fold: int, at: np.ndarray) -> np.ndarray:
        others = np.arange(FOLDS) != fold
        gram = self._gram[others].sum(0)[np.ix_(at, at)]
        count = max(self.count[others].sum(), 1)
        penalty = np.full(len(at), RIDGE * count)
        penalty[-1] = 1e-6 * count  # the constant is free
        return np.linalg.solve(gram + np.diag(penalty), self._cross[others].sum(0)[at])

    def _at(self, offsets: Sequence[int]) -> np.ndarray:
        """Columns of the actions at ``offsets`` and of the constant."""
        starts = [OFFSETS.index(offset) * self.width for offset in offsets]
        columns = [np.arange(start, start + self.width) for start in starts]
        return np.concatenate([*columns, [self.width * len(OFFSETS)]]).astype(np.int64)
