"""Ranges of rows of a parquet file, and its columns as numbers; pyarrow's errors become ours, with the file's name.

pyarrow belongs to an extra, so it is imported where a file is opened: formats are told apart without it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from slowfast.datasets.episode import DatasetError

if TYPE_CHECKING:
    import pyarrow as pa

MAX_VALUES = 2**26
"""Of the row groups read at once. Run lengths compress well: a file of a few bytes may claim any number of rows."""


class ParquetRows:
    """An opened parquet file. ``columns`` are its names; ``len()`` is its number of rows.

    Of a range of rows only the row groups and columns asked for are read; the last that were read are kept, up to
    ``keep`` values, for a range that follows in the same groups. Raises :class:`DatasetError` for a file that is
    missing or damaged.
    """

    def __init__(self, path: Path, keep: int = 0) -> None:
        import pyarrow.parquet as pq

        self.path = path
        with _named(path):
            self._file = pq.ParquetFile(path, pre_buffer=False, buffer_size=2**16)
            metadata = self._file.metadata
            self.columns = list(self._file.schema_arrow.names)
            counts = [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)]
        if min(counts, default=0) < 0:
            raise DatasetError(f"{path}: has {min(counts)} rows in a row group; it is damaged")
        self._starts = np.cumsum([0, *counts])
        self._keep = keep
        self._kept: tuple[list[int], list[str], pa.Table] | None = None
        self._whole: dict[str, np.ndarray] = {}

    def __len__(self) -> int:
        return int(self._starts[-1])

    def groups(self) -> list[tuple[int, int]]:
        """First row and number of rows of each row group, for reading all of a file in parts."""
        return list(zip(self._starts[:-1].tolist(), np.diff(self._starts).tolist(), strict=True))

    def read(self, first: int, count: int, columns: Sequence[str], width: int | None = None) -> pa.Table:
        """The columns of ``count`` rows from ``first`` on; ``width`` is how many values a row of them has (default:
        one a column). Raises :class:`DatasetError`, for a missing column too."""
        self._check(columns)
        groups, names = self._groups(first, count), list(columns)
        if self._kept is None or self._kept[:2] != (groups, names):
            self._kept = None
            values = self._check_rows(groups, len(names) if width is None else width)
            with _named(self.path):
                table = self._file.read_row_groups(groups, columns=names, use_threads=False).select(names)
                table.validate(full=True)  # what the decoder does not notice: offsets and texts that are none
            if values <= self._keep:
                self._kept = (groups, names, table)
        else:
            table = self._kept[2]
        return table.slice(first - int(self._starts[groups[0]]) if groups else 0, count)

    def column(self, name: str) -> np.ndarray:
        """All rows of a column of single numbers, ``[len(self)]``; read once."""
        if name not in self._whole:
            self._check([name])
            self._check_rows(range(len(self._starts) - 1), 1)
            with _named(self.path):
                table = self._file.read(columns=[name], use_threads=False)
                table.validate(full=True)
            self._whole[name] = numbers(table, name, (), str(self.path))
        return self._whole[name]

    def stream(self, first: int, count: int, column: str) -> Iterator[Any]:
        """The values of one column one after another, as Python objects, for columns too large to be held."""
        self._check([column])
        groups = self._groups(first, count)
        at = int(self._starts[groups[0]]) if groups else 0
        with _named(self.path):
            for batch in self._file.iter_batches(8, row_groups=groups, columns=[column], use_threads=False):
                batch.validate(full=True)
                for value in batch.column(column):
                    if at >= first + count:
                        return
                    if at >= first:
                        yield value.as_py()
                    at += 1

    def close(self) -> None:
        self._file.close()

    def _groups(self, first: int, count: int) -> list[int]:
        if not 0 <= first <= first + count <= len(self):
            raise DatasetError(f"{self.path}: has {len(self)} rows; expected rows {first} to {first + count - 1}")
        return [i for i, start in enumerate(self._starts[:-1]) if start < first + count and self._starts[i + 1] > first]

    def _check(self, columns: Sequence[str]) -> None:
        missing = [name for name in columns if name not in self.columns]
        if missing:
            raise DatasetError(f"{self.path}: no column {', '.join(missing)}; there are {', '.join(self.columns)}")

    def _check_rows(self, groups: Sequence[int], width: int) -> int:
        """The number of values in row groups of ``width`` numbers a row. By the rows alone: pyarrow ends the process
        where it is asked for a damaged column's own counts."""
        values = sum(int(self._starts[group + 1] - self._starts[group]) for group in groups) * width
        if values > MAX_VALUES:
            said = f"{values:,} values in the row groups of one episode; at most {MAX_VALUES:,} are read"
            raise DatasetError(f"{self.path}: {said}; write it with smaller row groups")
        return values


def numbers(
    table: pa.Table, column: str, shape: tuple[int, ...], where: str, missing: float | None = None
) -> np.ndarray:
    """A column of numbers or (fixed or nested) lists of numbers as ``[rows, *shape]``, in its own dtype.

    ``missing`` stands where a number is missing. ``where`` opens the message of the :class:`DatasetError` that is
    raised for other types, other shapes, and, unless there is a ``missing``, rows without a value.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    values = table.column(column).combine_chunks()
    if isinstance(values, pa.ChunkedArray):  # no chunk, or more than one array can hold
        values = pa.concat_arrays(values.chunks) if values.num_chunks else pa.array([], values.type)
    said, widths, found = f"{where}: column {column!r}", [], values.type
    while True:
        if isinstance(values, pa.ExtensionArray):
            values = values.storage
        if values.null_count and (missing is None or not _is_number(values.type)):
            raise DatasetError(f"{said} has no value in {values.null_count} places; expected numbers in every row")
        if not _is_list(values.type):
            break
        lengths = pc.min_max(pc.list_value_length(values)).as_py()
        if lengths["min"] != lengths["max"]:
            raise DatasetError(
                f"{said} has rows of {lengths['min']} to {lengths['max']} values; expected {list(shape)}"
            )
        widths.append(lengths["max"] or 0)
        values = values.flatten()
    if not (_is_number(values.type) or pa.types.is_boolean(values.type)):
        raise DatasetError(f"{said} is {found}; expected numbers of shape {list(shape)}")
    if len(table) and math.prod(widths) != math.prod(shape):
        raise DatasetError(f"{said} has {math.prod(widths)} values a row; expected shape {list(shape)}")
    array = np.asarray(values.to_numpy(zero_copy_only=False)).reshape(len(table), *shape)
    return array if missing is None else np.nan_to_num(array, nan=missing)


def texts(table: pa.Table, column: str, where: str) -> list[str]:
    """A column of strings. Raises :class:`DatasetError` for other types and rows without a value."""
    values = table.column(column).to_pylist()
    if not all(isinstance(value, str) for value in values):
        raise DatasetError(f"{where}: column {column!r} is {table.column(column).type}; expected a text in every row")
    return values


def _is_list(kind: pa.DataType) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def _is_number(kind: pa.DataType) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


@contextmanager
def _named(path: Path) -> Iterator[None]:
    import pyarrow as pa

    try:
        yield
    except FileNotFoundError:
        raise DatasetError(f"{path}: no such file") from None
    except (pa.ArrowException, OSError, ValueError) as error:
        if isinstance(error, DatasetError):
            raise
        raise DatasetError(f"{path}: cannot be read as parquet ({error}); it is cut off or damaged") from error
