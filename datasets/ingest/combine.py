"""Many rows between two kept frames as one row, for all pairs of kept frames at once."""

from __future__ import annotations

from typing import Literal

import numpy as np

Rule = Literal["last", "commonest", "mean", "sum", "any"]


def combine(rows: np.ndarray, kept: np.ndarray, rule: Rule, null: np.ndarray) -> np.ndarray:
    """One row for the rows ``kept[i]`` to ``kept[i+1]`` (excluded) each, ``[M-1, ...]`` of the rows' type.

    ``rows`` ``[N-1, ...]``, ``kept`` ``int64 [M]`` not falling, ``null`` ``[M-1, ...]`` what stands where there is
    none. Missing rows (all -1, all NaN or empty) are left out; where nothing else is there, the result is null.
    """
    out = null
    known = np.flatnonzero(~missing(rows[kept[0] : kept[-1]])) + kept[0]
    ends = np.searchsorted(known, kept)
    filled = np.flatnonzero(np.diff(ends))
    if len(filled):
        out[filled] = _merged(rows[known], ends[filled], ends[filled + 1], rule)
    return out


def missing(rows: np.ndarray) -> np.ndarray:
    """Which rows hold no action at all, ``bool [N-1]``."""
    if rows.dtype == object:
        return np.asarray(rows == "", bool)
    empty = np.isnan(rows) if rows.dtype.kind == "f" else rows == -1
    return empty.reshape(len(rows), -1).all(1)


def _merged(rows: np.ndarray, starts: np.ndarray, stops: np.ndarray, rule: Rule) -> np.ndarray:
    """Groups follow one another without a gap, and none is empty."""
    if rule == "last":
        return rows[stops - 1]
    if rule == "commonest":
        return _commonest(rows, starts, stops)
    if rule == "any":
        return np.maximum.reduceat(rows, starts)
    sums = np.add.reduceat(rows, starts, dtype=np.float64)
    if rule == "mean":
        sums /= (stops - starts).reshape(-1, *[1] * (rows.ndim - 1))
    return sums.astype(rows.dtype)


def _commonest(rows: np.ndarray, starts: np.ndarray, stops: np.ndarray) -> np.ndarray:
    """Of equally common ones the last."""
    group = np.repeat(np.arange(len(starts)), stops - starts)
    order = np.lexsort((rows, group))  # stable: equal values stay in their order
    same = (np.diff(group[order]) == 0) & (np.diff(rows[order]) == 0)
    runs = np.flatnonzero(np.append(True, ~same))  # equal values of one group stand side by side
    counts = np.diff(np.append(runs, len(rows)))
    final = order[runs + counts - 1]  # the last place of each value
    best = np.lexsort((final, counts, group[final]))
    winner = np.append(np.flatnonzero(np.diff(group[final][best])), len(best) - 1)
    return rows[final[best[winner]]]
