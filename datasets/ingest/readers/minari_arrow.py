"""An episode of a Minari data set in Arrow or Parquet: a row a frame, structs for a Dict and a Tuple.

Arrow files are opened batch by batch and checked before anything else is done with them, since pyarrow ends the process
where it slices a damaged one. They are mapped into memory: what is not read is not loaded.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from slowfast.datasets.episode import DatasetError
from slowfast.datasets.ingest.readers.json_files import read_json
from slowfast.datasets.ingest.readers.minari_spaces import MAX_STATE, Leaf
from slowfast.datasets.ingest.readers.parquet_rows import MAX_VALUES, numbers

BLOCK = 2**22
"""Bytes of pictures that are read at once, if a single one has not more."""


@contextmanager
def opened(folder: Path, kind: str) -> Iterator[ArrowEpisode]:
    """The episode in ``folder``; ``kind`` is "arrow" or "parquet". Raises :class:`DatasetError` for damage met within
    the block."""
    with ExitStack() as stack:
        try:
            paths = sorted(folder.glob(f"*.{kind}"))
            if not paths:
                raise DatasetError(f"{folder}: no file *.{kind}; expected an episode's rows")
            files = [_Arrow(path, stack) if kind == "arrow" else _Parquet(path, stack) for path in paths]
            yield ArrowEpisode(folder, files)
        except DatasetError:
            raise
        except Exception as error:  # pyarrow raises whatever the damage leads it to
            said = str(error).splitlines()[0][:200] if str(error) else repr(error)
            raise DatasetError(f"{folder}: cannot be read as {kind} ({said}); it is cut off or damaged") from error


class ArrowEpisode:
    """T+1 rows; the last row's action, reward and ends are padding. Everything raises :class:`DatasetError` for what
    is damaged or not there."""

    def __init__(self, folder: Path, files: Sequence[_Arrow | _Parquet]) -> None:
        self._folder, self._files = folder, files
        self._rows = sum(file.rows for file in files)

    def values(self, group: str, leaf: Leaf) -> np.ndarray | list[str]:
        path, shape = (group, *map(str, leaf.path)), leaf.space.shape
        if shape is None:
            texts = [text for values in self._columns(path, 1) for text in values.to_pylist()]
            texts = texts[:-1] if group == "actions" else texts
            if not all(isinstance(text, str) for text in texts):
                raise DatasetError(f"{self._where(path)}: expected a text in every row")
            return texts
        found = self._numbers(path, shape)
        return found[:-1] if group == "actions" else found

    def outcome(self, name: str) -> np.ndarray:
        return self._numbers((name,), ())[:-1]

    def count(self, leaf: Leaf) -> int:
        return self._rows

    def encoded(self, leaf: Leaf) -> bool:
        import pyarrow as pa

        path = ("observations", *map(str, leaf.path))
        return bool(pa.types.is_binary(_type(self._files[0].schema, path, self._where(path))))

    def pictures(self, leaf: Leaf) -> Iterator[np.ndarray | bytes]:
        path, shape, encoded = ("observations", *map(str, leaf.path)), leaf.space.shape, self.encoded(leaf)
        size = 1 if encoded else max(BLOCK // math.prod(shape), 1)
        for values in self._columns(path, 0, size):
            if not encoded:
                yield from _numbers(values, shape, self._where(path), None)
                continue
            for value in values:
                picture = value.as_py()
                if not isinstance(picture, bytes):
                    raise DatasetError(f"{self._where(path)}: is {values.type}; expected encoded pictures")
                yield picture

    def infos(self) -> dict[str, np.ndarray]:
        schema = self._files[0].schema
        return dict(self._infos(schema.field("infos"), ("infos",))) if "infos" in schema.names else {}

    def seed(self) -> int | None:
        found = read_json(self._folder / "metadata.json").get("seed")
        return found if isinstance(found, int) else None

    def _infos(self, field: Any, path: tuple[str, ...]) -> Iterator[tuple[str, np.ndarray]]:
        import pyarrow as pa

        kind = field.type
        if pa.types.is_struct(kind):
            for part in kind if len(path) < 9 else ():
                yield from self._infos(part, (*path, part.name))
            return
        shape: tuple[int, ...] = ()
        if pa.types.is_fixed_size_list(kind):
            said = (field.metadata or {}).get(b"shape", b"").split(b",")
            shape = tuple(int(side) for side in said if side.isdigit())
            shape, kind = shape if math.prod(shape) == kind.list_size else (kind.list_size,), kind.value_type
        number = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)
        if number and math.prod(shape) <= MAX_STATE:
            yield ".".join(path[1:]), self._numbers(path, shape, np.nan)

    def _numbers(self, path: Sequence[str], shape: tuple[int, ...], missing: float | None = None) -> np.ndarray:
        columns = self._columns(path, math.prod(shape))
        return np.concatenate([_numbers(values, shape, self._where(path), missing) for values in columns])

    def _columns(self, path: Sequence[str], width: int, size: int = 2**20) -> Iterator[Any]:
        """The arrays of a column or of a part of it, of up to ``size`` rows. ``width``: numbers a row, to be held."""
        if self._rows * width > MAX_VALUES:
            said = f"{self._rows * width:,} numbers; at most {MAX_VALUES:,} are read"
            raise DatasetError(f"{self._where(path)}: {said}")
        for file in self._files:
            _type(file.schema, path, self._where(path))
            yield from file.columns(path, size)

    def _where(self, path: Sequence[str]) -> str:
        return f"{self._folder}: {'.'.join(path)}"


class _Arrow:
    def __init__(self, path: Path, stack: ExitStack) -> None:
        import pyarrow as pa

        reader = stack.enter_context(pa.ipc.open_file(stack.enter_context(pa.memory_map(str(path)))))
        self.schema = reader.schema
        self._batches = [reader.get_batch(i) for i in range(reader.num_record_batches)]
        for batch in self._batches:
            batch.validate(full=True)
        self.rows = sum(batch.num_rows for batch in self._batches)

    def columns(self, path: Sequence[str], size: int) -> Iterator[Any]:
        for batch in self._batches:
            values = _part(batch.column(path[0]), path[1:])
            for start in range(0, len(values), size):
                yield values.slice(start, size)


class _Parquet:
    def __init__(self, path: Path, stack: ExitStack) -> None:
        import pyarrow.parquet as pq

        self._file = stack.enter_context(pq.ParquetFile(path, pre_buffer=False, buffer_size=2**16))
        self.schema = self._file.schema_arrow
        self.rows = self._file.metadata.num_rows

    def columns(self, path: Sequence[str], size: int) -> Iterator[Any]:
        for batch in self._file.iter_batches(size, columns=[".".join(path)], use_threads=False):
            batch.validate(full=True)
            yield _part(batch.column(path[0]), path[1:])


def _part(values: Any, path: Sequence[str]) -> Any:
    import pyarrow.compute as pc

    for name in path:
        values = pc.struct_field(values, [name])
    return values


def _numbers(values: Any, shape: tuple[int, ...], where: str, missing: float | None) -> np.ndarray:
    import pyarrow as pa

    return numbers(pa.table({"values": values}), "values", shape, where, missing)


def _type(schema: Any, path: Sequence[str], where: str) -> Any:
    """The type of a part of a column. Raises :class:`DatasetError` where there is none."""
    import pyarrow as pa

    here = schema
    for name in path:
        inner = {field.name: field for field in here} if isinstance(here, (pa.Schema, pa.StructType)) else {}
        if name not in inner:
            raise DatasetError(f"{where}: no such column; there are {', '.join(inner) or 'none'}")
        here = inner[name].type
    return here
