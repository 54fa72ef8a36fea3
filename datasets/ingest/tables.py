"""Tables of annotations as rows: csv, jsonl, json and parquet, each cell a plain Python value.

Text tables are read with care for who wrote them: the delimiter is the header's, a number is a number only if its
whole column is, and an empty cell is None.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from slowfast.datasets.episode import DatasetError

SUFFIXES = (".csv", ".tsv", ".jsonl", ".json", ".parquet")
NOTES = (".txt", ".cls")
"""One row: a sentence under ``text``, a class under ``label``."""
MAX_BYTES = 256 * 2**20
MAX_CELLS = 10_000_000
"""What one table may hold; more belongs in a table for each clip, of which one is in memory at a time."""
DELIMITERS = ",;\t|"

Row = dict[str, Any]


def read_rows(path: Path) -> list[Row]:
    """The rows of a table file, by its suffix (:data:`SUFFIXES`, :data:`NOTES`). A json object is one row.

    Raises :class:`DatasetError` naming the file and, in text, the line that is malformed; ImportError naming the extra
    where parquet needs a package that is missing.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise DatasetError(_too_large(str(path)))
        if path.suffix.lower() == ".parquet":
            return _parquet(path, str(path))
        return parse_rows(path.read_bytes(), path.suffix, str(path))
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read ({error.strerror or error})") from error


def parse_rows(data: bytes, suffix: str, name: str) -> list[Row]:
    """The rows of a table whose bytes are here already; ``name`` is for messages."""
    readers = {".csv": _csv, ".tsv": _csv, ".jsonl": _jsonl, ".json": _json, ".txt": _txt, ".cls": _cls}
    suffix = suffix.lower()
    if suffix == ".parquet":
        return _parquet(io.BytesIO(data), name)
    if suffix not in readers:
        raise DatasetError(f"{name}: expected a table ({', '.join(SUFFIXES)})")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DatasetError(f"{name}: line {line} is not UTF-8; save the table in that encoding") from error
    return readers[suffix](text, name)


def _csv(text: str, name: str) -> list[Row]:
    header_line = text.partition("\n")[0]
    delimiter = max(DELIMITERS, key=header_line.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True, strict=True)
    try:
        names = [cell.strip() for cell in next(reader, [])]
        _check_header(names, name)
        cells: list[list[str]] = []
        for line in reader:
            if not line:
                continue
            if len(line) != len(names):
                raise DatasetError(
                    f"{name}: line {reader.line_num} has {len(line)} cells, the header names {len(names)}"
                )
            cells.append(line)
            _check_count(len(cells) * len(names), name)
    except csv.Error as error:
        raise DatasetError(f"{name}: line {reader.line_num} is not csv ({error})") from error
    # a data frame that was saved with its index has a first column without a name
    columns = {
        key: _typed([line[k].strip() for line in cells]) for k, key in enumerate(names) if key or len(names) == 1
    }
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def _check_header(names: list[str], name: str) -> None:
    if not any(names):
        raise DatasetError(f"{name}: is empty; expected a first line with the names of the columns")
    if all(_NUMBER.fullmatch(cell) for cell in names):
        raise DatasetError(f"{name}: line 1 holds numbers; expected the names of the columns there, action for one")
    again = sorted({cell for cell in names if names.count(cell) > 1})
    if again or "" in names[1:]:
        raise DatasetError(f"{name}: line 1 names column {again[0] if again else ''!r} twice or not at all")


_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")
_WHOLE = re.compile(r"[+-]?(0|[1-9]\d{0,17})")  # 007 is a name; what has more digits fits no integer column
_REAL = re.compile(rf"({_NUMBER.pattern})|[+-]?(nan|inf|infinity)", re.IGNORECASE)
_TRUTH = {"true": True, "false": False}


def _typed(cells: list[str]) -> list[Any]:
    """A column of text as whole numbers, numbers or truth values, if all its cells that are not empty are."""
    filled = [cell for cell in set(cells) if cell]
    convert: Any = str
    if not filled:
        return [None] * len(cells)
    if all(_WHOLE.fullmatch(cell) for cell in filled):
        convert = int
    elif all(_REAL.fullmatch(cell) for cell in filled) and not any(re.match(r"[+-]?0\d", cell) for cell in filled):
        convert = float
    elif all(cell.lower() in _TRUTH for cell in filled):
        convert = _truth
    return [convert(cell) if cell else None for cell in cells]


def _truth(cell: str) -> bool:
    return _TRUTH[cell.lower()]


def _jsonl(text: str, name: str) -> list[Row]:
    rows: list[Row] = []
    cells = 0
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        row = _loaded(line, name, number)
        if not isinstance(row, dict):
            raise DatasetError(f"{name}: line {number} holds {type(row).__name__}, expected an object in braces")
        cells += len(row)
        _check_count(cells, name)
        rows.append(row)
    return rows


def _json(text: str, name: str) -> list[Row]:
    loaded = _loaded(text, name)
    rows = [loaded] if isinstance(loaded, dict) else loaded
    if not isinstance(rows, list):
        raise DatasetError(f"{name}: holds {type(loaded).__name__}, expected an object or a list of objects")
    for number, row in enumerate(rows):
        if not isinstance(row, dict):
            raise DatasetError(f"{name}: item {number} is {type(row).__name__}, expected an object in braces")
    _check_count(sum(map(len, rows)), name)
    return rows


def _loaded(text: str, name: str, line: int = 1) -> Any:
    """``line``: the number of the text's first in the file."""
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        at = f"line {line + error.lineno - 1}"
        raise DatasetError(f"{name}: {at} is not JSON ({error.msg}, column {error.colno})") from error
    except (ValueError, RecursionError) as error:  # numbers of thousands of digits, brackets in brackets in brackets
        raise DatasetError(f"{name}: is not a table ({error})") from error


def _parquet(file: Path | io.BytesIO, name: str) -> list[Row]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise ImportError(f"{name}: parquet needs pyarrow: pip install 'slowfast[lerobot]'") from error
    rows: list[Row] = []
    held = 0
    try:
        with pyarrow.parquet.ParquetFile(file) as table:
            _check_count(table.metadata.num_rows * max(table.metadata.num_columns, 1), name)
            for batch in table.iter_batches(batch_size=1024, use_threads=False):
                held += batch.nbytes  # what is small on disk may unfold
                if held > MAX_BYTES:
                    raise DatasetError(_too_large(name))
                rows += batch.to_pylist()
    except (pyarrow.ArrowException, OSError, ValueError, OverflowError) as error:
        if isinstance(error, DatasetError):
            raise
        raise DatasetError(f"{name}: cannot be read as parquet ({error}); it is cut off or damaged") from error
    return rows


def _txt(text: str, name: str) -> list[Row]:
    return [{"text": text.strip()}]


def _cls(text: str, name: str) -> list[Row]:
    return [{"label": _typed([text.strip()])[0]}]


def _check_count(cells: int, name: str) -> None:
    if cells > MAX_CELLS:
        raise DatasetError(_too_large(name))


def _too_large(name: str) -> str:
    return (
        f"{name}: is too large; a table may have {MAX_BYTES // 2**20} MiB and {MAX_CELLS:,} cells: "
        "split it into a table for each clip"
    )


def columns_of(rows: Sequence[Row]) -> dict[str, list[Any]]:
    """The rows as columns, in the order in which they are first named; None where a row lacks one."""
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [row.get(name) for row in rows] for name in names}
