"""LeRobot's numbered files: rows and frames of many episodes in each, and a new one when it has grown large."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from slowfast.datasets import mp4

FILES_A_FOLDER = 1000
DATA_MIB = 100
VIDEO_MIB = 200
KEYFRAMES_EVERY = 2
"""As LeRobot's own recorder has it: it reads single frames, and each costs those since the keyframe."""


@dataclass(frozen=True)
class Place:
    """The ``number``-th file of its kind."""

    number: int

    @property
    def indices(self) -> dict[str, int]:
        return {"chunk_index": self.number // FILES_A_FOLDER, "file_index": self.number % FILES_A_FOLDER}

    def path(self, folder: Path, suffix: str) -> Path:
        chunk, file = self.indices.values()
        return folder / f"chunk-{chunk:03d}" / f"file-{file:03d}.{suffix}"


class ParquetFiles:
    """Tables of one schema, one after another, each a row group; ``limit`` in bytes of a file before compression."""

    def __init__(self, folder: Path, schema: pa.Schema, limit: int = DATA_MIB * 2**20) -> None:
        self._folder, self._schema, self._limit = folder, schema, limit
        self._writer: pq.ParquetWriter | None = None
        self._number, self._bytes = 0, 0

    def place(self) -> Place:
        """Where the next table goes."""
        if self._writer is not None and self._bytes >= self._limit:
            self.close()
            self._number += 1
        return Place(self._number)

    def write(self, columns: dict[str, Any]) -> Place:
        table, place = pa.table(columns, self._schema), self.place()
        if self._writer is None:
            path = place.path(self._folder, "parquet")
            path.parent.mkdir(parents=True, exist_ok=True)
            self._writer, self._bytes = pq.ParquetWriter(path, self._schema), 0
        self._writer.write_table(table)
        self._bytes += table.nbytes
        return place

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None


class VideoFiles:
    """Frames of one camera; every episode begins with a keyframe. ``limit`` in bytes of a file."""

    def __init__(self, folder: Path, fps: float, quality: int, limit: int = VIDEO_MIB * 2**20) -> None:
        self._folder, self._fps, self._quality, self._limit = folder, fps, quality, limit
        self._writer: mp4.Mp4Writer | None = None
        self._number = 0

    def add(self, frames: np.ndarray) -> dict[str, int | float]:
        """Write an episode's frames, ``uint8 [N, H, W, 3]``; where they lie: the file, and from when to when in it."""
        if self._writer is not None and os.path.getsize(self._path()) >= self._limit:
            self.close()
            self._number += 1
        if self._writer is None:
            self._path().parent.mkdir(parents=True, exist_ok=True)
            self._writer = mp4.Mp4Writer(self._path(), self._fps, self._quality, KEYFRAMES_EVERY)
        start = self._writer.frames
        self._writer.write(frames, anew=True)
        times = {"from_timestamp": start / self._fps, "to_timestamp": self._writer.frames / self._fps}
        return {**Place(self._number).indices, **times}

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _path(self) -> Path:
        return Place(self._number).path(self._folder, "mp4")
