"""Arrays set aside in a temporary file, so that memory does not grow with the data set."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Kept:
    """Where an array lies in its spool."""

    offset: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]


class Spool:
    """``put`` an array, keep what it returns, ``get`` the array back. Use it as a context manager."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the spool
        self._end = 0

    def put(self, array: np.ndarray) -> Kept:
        array = np.ascontiguousarray(array)
        kept = Kept(self._end, array.shape, array.dtype)
        self._file.seek(self._end)
        self._file.write(array.tobytes())
        self._end += array.nbytes
        return kept

    def get(self, kept: Kept) -> np.ndarray:
        self._file.seek(kept.offset)
        size = int(np.prod(kept.shape, dtype=np.int64)) * kept.dtype.itemsize
        return np.frombuffer(self._file.read(size), kept.dtype).reshape(kept.shape)

    def __enter__(self) -> Spool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
