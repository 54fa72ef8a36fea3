"""A LeRobot feature as an action component: a vector of numbers, a choice, or keys.

A vector's bounds and a choice's labels come from the statistics that a data set carries, or else from its rows.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from slowfast.actions import Component, Continuous, Discrete, Keyboard
from slowfast.datasets.episode import DatasetError
from slowfast.datasets.ingest.readers.json_files import read_json
from slowfast.datasets.ingest.readers.lerobot_layout import Feature, Layout
from slowfast.datasets.ingest.readers.lerobot_meta import stats_lines
from slowfast.datasets.ingest.readers.parquet_rows import ParquetRows, numbers

MAX_LABELS = 4096


@dataclass(frozen=True)
class ActionColumn:
    """``component`` is called "action" whatever the feature's key; ``first``: the number of a choice's first label."""

    feature: Feature
    component: Component
    first: int = 0

    def checked(self, rows: np.ndarray, where: str) -> np.ndarray:
        """Rows ``[T, *shape]`` as the component's column. Raises :class:`DatasetError` for numbers that are not finite
        (NaN would pass for a missing action) and for choices without a label."""
        if isinstance(self.component, Continuous):
            values = rows.reshape(len(rows), -1).astype(np.float32)
            wrong = np.flatnonzero(~np.isfinite(values).all(1))
            if len(wrong):
                said = (
                    f"row {wrong[0]} and {len(wrong) - 1} more of {self.feature.key!r} hold numbers that are not finite"
                )
                raise DatasetError(f"{where}: {said}; remove the episode or mend the rows")
            return values
        if rows.dtype.kind not in "iub":
            raise DatasetError(f"{where}: {self.feature.key!r} is {rows.dtype}, info.json says {self.feature.dtype}")
        if isinstance(self.component, Keyboard):
            return rows.reshape(len(rows), -1).astype(np.int64)
        assert isinstance(self.component, Discrete)  # what else an action column becomes
        codes, labels = rows.reshape(-1).astype(np.int64) - self.first, len(self.component.labels)
        least = -1 if self.feature.labels else 0  # where choices have labels, -1 is a missing one
        if len(codes) and not least <= codes.min() <= codes.max() < labels:
            said = f"{self.feature.key!r} goes from {codes.min() + self.first} to {codes.max() + self.first}"
            expected = f"{self.first} to {self.first + labels - 1}, as the data set's statistics have it"
            raise DatasetError(f"{where}: {said}; expected {expected}")
        return codes


def action_column(layout: Layout, key: str) -> ActionColumn:
    """Floats, and integer vectors, become a :class:`Continuous`; one integer a :class:`Discrete` with the feature's
    labels, or else its numbers; bools a :class:`Keyboard`. Raises :class:`DatasetError` where ``key`` is no vector of
    numbers."""
    feature = layout.features.get(key)
    vectors = [other.key for other in layout.features.values() if other.number and len(other.shape) <= 1]
    if feature is None or feature.key not in vectors:
        said = f"no feature {key!r}" if feature is None else f"{key!r} is {feature.dtype} {list(feature.shape)}"
        raise DatasetError(f"{layout.root}: {said}; for the action, name one of {', '.join(vectors) or 'none'}")
    size = math.prod(feature.shape)
    if not 0 < size <= MAX_LABELS:
        raise DatasetError(f"{layout.root}: {key!r} has {size} numbers a row; expected 1 to {MAX_LABELS}")
    if feature.dtype == "bool":
        return ActionColumn(feature, Keyboard("action", feature.names or tuple(map(str, range(size)))))
    low, high = _bounds(layout, feature, size)
    if size == 1 and not feature.dtype.startswith("float"):
        first, last = min(int(low[0]), 0), int(high[0])
        if first >= -1 and last < len(feature.labels) <= MAX_LABELS:
            return ActionColumn(feature, Discrete("action", feature.labels))
        feature = replace(feature, labels=())
        if last - first >= MAX_LABELS:
            said = f"{key!r} goes from {first} to {last}, that is no choice of at most {MAX_LABELS}"
            raise DatasetError(f"{layout.root}: {said}")
        return ActionColumn(feature, Discrete("action", tuple(map(str, range(first, last + 1)))), first)
    return ActionColumn(feature, Continuous("action", tuple(low.tolist()), tuple(high.tolist()), feature.names))


def _bounds(layout: Layout, feature: Feature, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Least and greatest of each number, ``float64 [size]``: of the statistics, else of all rows."""
    for found in (_stated, _observed):
        pairs = [pair for pair in found(layout, feature) if pair is not None and pair.shape == (2, size)]
        pairs = [pair for pair in pairs if np.isfinite(pair).all() and (pair[0] <= pair[1]).all()]
        if pairs:
            return np.min(pairs, axis=0)[0], np.max(pairs, axis=0)[1]
    raise DatasetError(f"{layout.root}: no row of any data file holds {feature.key!r} in finite numbers")


def _stated(layout: Layout, feature: Feature) -> Iterator[np.ndarray | None]:
    path = layout.root / "meta/stats.json"
    with suppress(DatasetError):  # damaged statistics are as good as none: the rows say the same
        if path.is_file():
            yield _pair(read_json(path).get(feature.key))
            return
        for _, row in stats_lines(layout.root):
            stats = row.get("stats")
            yield _pair(stats.get(feature.key) if isinstance(stats, dict) else None)


def _pair(stats: Any) -> np.ndarray | None:
    try:
        return np.stack([np.ravel(np.asarray(stats[name], np.float64)) for name in ("min", "max")])
    except (KeyError, TypeError, ValueError, OverflowError):
        return None


def _observed(layout: Layout, feature: Feature) -> Iterator[np.ndarray | None]:
    """A pass over one column of all data files, a row group at a time; damaged files are met again when they are read,
    and their recordings skipped."""
    for path in layout.data_files():
        try:
            file = ParquetRows(path)
            for first, count in file.groups():
                table = file.read(first, count, [feature.key], math.prod(feature.shape))
                rows = numbers(table, feature.key, feature.shape, str(path)).reshape(count, -1).astype(np.float64)
                rows = rows[np.isfinite(rows).all(1)]
                yield np.stack([rows.min(0), rows.max(0)]) if len(rows) else None
            file.close()
        except DatasetError:
            continue
