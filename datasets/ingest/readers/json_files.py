"""JSON files and files of JSON lines that nobody has vouched for."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from slowfast.datasets.episode import DatasetError

MAX_BYTES = 2**26
"""Of a JSON file, and of a line of a jsonl file."""


def read_json(path: Path) -> dict[str, Any]:
    """An object in a file of JSON. Raises :class:`DatasetError`."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise DatasetError(f"{path}: has {path.stat().st_size:,} bytes; at most {MAX_BYTES:,} are read")
        found = json.loads(path.read_bytes())
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read ({error})") from error
    except (ValueError, RecursionError) as error:
        if isinstance(error, DatasetError):
            raise
        raise DatasetError(f"{path}: is not JSON ({error})") from error
    if not isinstance(found, dict):
        raise DatasetError(f"{path}: expected an object, got {type(found).__name__}")
    return found


def lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The objects of a jsonl file with the numbers of their lines."""
    try:
        with path.open("rb") as file:
            for number, line in enumerate(iter(lambda: file.readline(MAX_BYTES), b""), 1):
                if line.strip():
                    row = json.loads(line)
                    if not isinstance(row, dict):
                        raise DatasetError(f"{path}: line {number}: expected an object")
                    yield number, row
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read ({error}); the data set needs it") from error
    except (ValueError, RecursionError) as error:
        if isinstance(error, DatasetError):
            raise
        raise DatasetError(f"{path}: line {number}: is not JSON ({error})") from error
