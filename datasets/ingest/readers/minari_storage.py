"""Episodes of a Minari data set on disk, a part of an observation at a time and pictures a few at a time.

Minari's own reading gives an episode as a whole, with all its pictures decoded; here the layouts that it writes (HDF5
groups, Arrow or Parquet structs) are read directly, and a test holds that the values are the same.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from slowfast.datasets.episode import DatasetError
from slowfast.datasets.ingest.readers import hdf5_arrays, minari_arrow
from slowfast.datasets.ingest.readers.encoded_pictures import decode_picture
from slowfast.datasets.ingest.readers.minari_arrow import BLOCK
from slowfast.datasets.ingest.readers.minari_spaces import MAX_STATE, Leaf

MAX_ENCODED = 2**26
"""Bytes of an encoded picture."""


class StoredEpisode(Protocol):
    """An opened episode of T steps. Everything raises :class:`DatasetError` for what is damaged or not there."""

    def values(self, group: str, leaf: Leaf) -> np.ndarray | list[str]:
        """``[T+1, *shape]`` of a part of the observations, ``[T, *shape]`` of the actions; a list of texts."""

    def outcome(self, name: str) -> np.ndarray:
        """``[T]``: rewards, terminations or truncations."""

    def count(self, leaf: Leaf) -> int:
        """How many pictures there are."""

    def encoded(self, leaf: Leaf) -> bool:
        """Whether the pictures lie there as files' bytes (JPEG). Old data sets hold them as they are."""

    def pictures(self, leaf: Leaf) -> Iterator[np.ndarray | bytes]:
        """One after another, as an array or as a file's bytes."""

    def infos(self) -> dict[str, np.ndarray]:
        """The numeric ones, under their path."""

    def seed(self) -> int | None: ...


@dataclass(frozen=True)
class MinariStore:
    """The folder ``data`` of a data set; ``kind`` is "hdf5", "arrow" or "parquet"."""

    folder: Path
    kind: str

    @contextmanager
    def episode(self, i: int) -> Iterator[StoredEpisode]:
        if self.kind == "hdf5":
            path = self.folder / "main_data.hdf5"
            with hdf5_arrays.opened(path) as file:
                yield Hdf5Episode(hdf5_arrays.node(file, f"episode_{i}"))
        else:
            with minari_arrow.opened(self.folder / str(i), self.kind) as episode:
                yield episode

    def frames(self, i: int, leaf: Leaf) -> Iterator[np.ndarray]:
        """The pictures of an episode, ``uint8 [H, W, 3]`` each; grey becomes RGB."""
        where, pixels = f"{self.folder}: episode {i}: {leaf.name('observation')}", leaf.pixels
        assert pixels is not None  # of a leaf of pictures
        with self.episode(i) as episode:
            for t, picture in enumerate(episode.pictures(leaf)):
                frame = decode_picture(picture, f"{where} {t}") if isinstance(picture, bytes) else picture
                if frame.shape[:2] != pixels:
                    said = f"picture {t} is {frame.shape[0]}x{frame.shape[1]}"
                    raise DatasetError(f"{where}: {said}; the observation space says {pixels[0]}x{pixels[1]}")
                frame = frame if frame.ndim == 3 else frame[:, :, None]
                yield frame if frame.shape[2] == 3 else np.repeat(frame, 3, 2)


class Hdf5Episode:
    """A group ``episode_N``: a dataset a part, groups for a Dict's keys and for the positions of a Tuple."""

    def __init__(self, group: Any) -> None:
        self._group = group

    def values(self, group: str, leaf: Leaf) -> np.ndarray | list[str]:
        array = self._array(group, leaf)
        found = hdf5_arrays.rows(array)
        if found.dtype == object:
            return found.tolist()
        if leaf.space.shape is None or found.shape[1:] not in (leaf.space.shape, leaf.space.shape or (1,)):
            raise DatasetError(f"{self._said(array)} {found.shape}; the space has the shape {leaf.space.shape}")
        return found.reshape(len(found), *leaf.space.shape)

    def outcome(self, name: str) -> np.ndarray:
        array = hdf5_arrays.dataset(self._group, name)
        found = hdf5_arrays.rows(array)
        if found.ndim != 1 or found.dtype.kind not in "biuf":
            raise DatasetError(f"{self._said(array)} {found.dtype} {found.shape}; expected a number a step")
        return found

    def count(self, leaf: Leaf) -> int:
        return len(self._array("observations", leaf))

    def encoded(self, leaf: Leaf) -> bool:
        return self._array("observations", leaf).shape[1:] != leaf.space.shape

    def pictures(self, leaf: Leaf) -> Iterator[np.ndarray | bytes]:
        array, encoded = self._array("observations", leaf), self.encoded(leaf)
        lengths, shape = array.dtype.kind == "O", array.shape[1:]  # pictures of any length, or filled up to one
        fits = not shape if lengths else array.dtype == np.uint8 and (not encoded or len(shape) == 1)
        if not fits:
            said = f"{self._said(array)} {array.dtype} {array.shape}"
            raise DatasetError(f"{said}; expected pictures of {leaf.space.shape}, or encoded ones")
        if math.prod(shape) > MAX_ENCODED:
            raise DatasetError(f"{self._said(array)} {array.shape}; at most {MAX_ENCODED:,} bytes a picture are read")
        size = 1 if lengths else max(BLOCK // max(math.prod(shape), 1), 1)
        for start in range(0, len(array), size):
            for picture in array[start : start + size]:
                yield np.asarray(picture, np.uint8).tobytes() if encoded else picture

    def infos(self) -> dict[str, np.ndarray]:
        return dict(self._infos("infos", ())) if "infos" in self._group else {}

    def seed(self) -> int | None:
        found = self._group.attrs.get("seed")
        return int(found) if isinstance(found, (int, np.integer)) else None

    def _infos(self, key: str, path: tuple[str, ...]) -> Iterator[tuple[str, np.ndarray]]:
        for name in hdf5_arrays.node(self._group, key):
            here = hdf5_arrays.node(self._group, f"{key}/{name}")
            if hasattr(here, "keys"):
                if len(path) < 8:
                    yield from self._infos(f"{key}/{name}", (*path, name))
            elif here.ndim and here.dtype.kind in "biuf" and math.prod(here.shape[1:]) <= MAX_STATE:
                array = hdf5_arrays.dataset(self._group, f"{key}/{name}")
                yield ".".join((*path, name)), hdf5_arrays.rows(array)

    def _array(self, group: str, leaf: Leaf) -> Any:
        names = [f"_index_{part}" if isinstance(part, int) else part for part in leaf.path]
        array = hdf5_arrays.dataset(self._group, "/".join([group, *names]))
        if not array.ndim:
            raise DatasetError(f"{self._said(array)} one value; expected one a step")
        return array

    @staticmethod
    def _said(array: Any) -> str:
        return f"{array.file.filename}{array.name} is"
