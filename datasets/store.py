"""A folder of episodes: ``episodes/NNNNNN.h5`` and an ``index.json`` that can always be rebuilt from them.

Files are opened when they are first read, by the process that reads them, and the most recently used stay open; a
``Store`` can be sent to a worker process. One lock guards the handles, so that threads may share a store.
"""

from __future__ import annotations

import json
import os
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from slowfast.actions import ActionSpec, Columns
from slowfast.datasets import hdf5
from slowfast.datasets.episode import DatasetError, Episode
from slowfast.datasets.files import replacing

if TYPE_CHECKING:
    import h5py

INDEX = "index.json"


def episode_path(folder: Path | str, number: int) -> Path:
    """Where episode ``number`` of a store lies."""
    return Path(folder) / "episodes" / f"{number:06d}.h5"


def write_episode(
    folder: Path | str, episode: Episode, compression: str = "auto", number: int | None = None, index: bool = True
) -> Path:
    """Add ``episode`` to the store in ``folder`` and return its file.

    ``number`` names the file (default: one above the highest); an existing file of that number is replaced.
    ``index=False`` leaves the index to be brought up to date by the next reader, for writing many episodes.
    """
    if number is None:
        number = max((int(path.stem) for path in _files(Path(folder))), default=-1) + 1
    path = episode_path(folder, number)
    hdf5.write_file(path, episode, compression)
    if index:
        Store(folder)
    return path


class Store:
    """The episodes of a folder, in the order of their numbers.

    ``key`` ("frames") is the name under which windows of it come in a batch. ``spec`` is the action spec that all
    episodes share, ``lengths`` ``int64 [N]`` their numbers of actions T. ``camera`` is the one that :meth:`read`
    reads (default: the first in alphabetical order). ``open_files`` bounds the handles a process keeps.
    Raises :class:`DatasetError` on a folder without episodes, damaged files, or mixed action specs.
    """

    key = "frames"

    def __init__(self, folder: Path | str, camera: str | None = None, open_files: int = 512) -> None:
        self.folder = Path(folder)
        self.open_files = open_files
        self._entries, spec = _read_index(self.folder)
        if not self._entries:
            raise DatasetError(
                f"{self.folder}: no episodes/NNNNNN.h5; `slowfast collect --out {self.folder}` makes some"
            )
        self.spec = ActionSpec.from_json(spec)
        self.lengths = np.array([entry["length"] for entry in self._entries], np.int64)
        self.camera = camera if camera is not None else sorted(self._entries[0]["cameras"])[0]
        for entry in self._entries:
            if self.camera not in entry["cameras"]:
                names = sorted(entry["cameras"])
                raise DatasetError(f"{self._file(entry)}: no camera {self.camera!r} in 'frames'; there are {names}")
        self._reset_handles()

    def __len__(self) -> int:
        return len(self._entries)

    def __getitem__(self, i: int) -> Episode:
        with self._opened(i) as file:
            return hdf5.read_episode(file)

    def __iter__(self) -> Iterator[Episode]:
        return (self[i] for i in range(len(self)))

    @property
    def cameras(self) -> dict[str, tuple[int, int]]:
        """Camera names and sizes (H, W) of the first episode."""
        return {name: (at["height"], at["width"]) for name, at in self._entries[0]["cameras"].items()}

    def shape(self, i: int) -> tuple[int, ...]:
        """The shape of one item of :meth:`read`: (H, W, 3)."""
        camera = self._entries[i]["cameras"][self.camera]
        return (camera["height"], camera["width"], 3)

    def path(self, i: int) -> Path:
        """The file of episode ``i``."""
        return self._file(self._entries[i])

    def metadata(self, i: int) -> dict[str, Any]:
        """Metadata of episode ``i``, from the index."""
        return dict(self._entries[i]["metadata"])

    def fps(self, i: int) -> float:
        """Frames per second of episode ``i``."""
        return float(self._entries[i]["fps"])

    def frames(self, i: int, start: int = 0, stop: int | None = None, camera: str | None = None) -> np.ndarray:
        """``uint8 [stop - start, H, W, 3]`` of one camera; only that range (or its chunks) is read."""
        camera = camera or self.camera
        start, stop, _ = slice(start, stop).indices(int(self.lengths[i]) + 1)
        place = self._entries[i]["cameras"].get(camera, {})
        if "video_bytes" in place:
            return hdf5.read_video(self.path(i), place, self.fps(i), start, max(stop, start))
        if place.get("offset") is not None:  # past HDF5, whose opening of a file costs most of a window
            return hdf5.read_uncompressed(self.path(i), place, start, max(stop, start))
        with self._opened(i) as file:
            return hdf5.read_frames(file, camera, start, stop)

    def read(self, i: int, start: int, stop: int) -> np.ndarray:
        """What a window holds: :meth:`frames` of the store's camera."""
        return self.frames(i, start, stop)

    def actions(self, i: int) -> Columns:
        """The T actions of episode ``i``; kept once read, do not write to them."""
        if i not in self._actions:
            with self._opened(i) as file:
                self._actions[i] = hdf5.read_actions(file, self.spec)
        return self._actions[i]

    def info(self, i: int, name: str) -> np.ndarray | None:
        """All T + 1 rows of a per-step info of episode ``i``, or None where it has none by that name."""
        with self._opened(i) as file:
            return hdf5.read_info(file, name)

    def close(self) -> None:
        """Close the open files; the next read opens them again."""
        with self._lock:
            while self._handles:
                self._handles.popitem()[1].close()

    def __reduce__(self) -> tuple[Any, ...]:
        return (Store, (self.folder, self.camera, self.open_files))

    def _file(self, entry: dict[str, Any]) -> Path:
        return self.folder / "episodes" / str(entry["file"])

    def _reset_handles(self) -> None:
        self._lock = threading.RLock()
        self._handles: OrderedDict[int, h5py.File] = OrderedDict()
        self._actions: dict[int, Columns] = {}
        self._process = os.getpid()

    @contextmanager
    def _opened(self, i: int) -> Iterator[h5py.File]:
        if self._process != os.getpid():  # HDF5 handles and locks do not survive a fork
            self._reset_handles()
        i = range(len(self))[i]
        with self._lock:
            if i not in self._handles:
                self._handles[i] = hdf5.open_file(self.path(i))
                if len(self._handles) > self.open_files:
                    self._handles.popitem(last=False)[1].close()
            self._handles.move_to_end(i)
            yield self._handles[i]


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("episodes/*.h5") if path.stem.isdigit())


def _read_index(folder: Path) -> tuple[list[dict[str, Any]], str]:
    """Index entries and the spec's JSON; files that are new or changed since the index was written are read."""
    kept = _load_index(folder / INDEX)
    known = {entry["file"]: entry for entry in kept["episodes"]}
    stamps = [(path, path.stat()) for path in _files(folder)]
    entries: list[dict[str, Any]] = [
        {"file": path.name, "bytes": s.st_size, "modified_ns": s.st_mtime_ns} for path, s in stamps
    ]
    fresh = [stamp.items() <= known.get(stamp["file"], {}).items() for stamp in entries]
    spec = kept["action_spec"] if any(fresh) else None
    for position, (path, _) in enumerate(stamps):
        if fresh[position]:
            entries[position] = known[path.name]
            continue
        with hdf5.open_file(path) as file:
            entries[position].update(hdf5.read_header(file))
        own = entries[position].pop("action_spec")
        if spec is None:
            spec = own
        elif own != spec:
            raise DatasetError(f"{path}: attribute 'action_spec' differs from the other episodes': {own[:200]}")
    if entries and entries != kept["episodes"]:
        _save_index(folder / INDEX, {"schema": hdf5.SCHEMA, "action_spec": spec, "episodes": entries})
    return entries, spec or ""


def _load_index(path: Path) -> dict[str, Any]:
    empty: dict[str, Any] = {"episodes": [], "action_spec": None}
    try:
        index = json.loads(path.read_text())
    except (FileNotFoundError, json.JSONDecodeError, UnicodeDecodeError):
        return empty
    if index.get("schema", 0) > hdf5.SCHEMA:
        raise DatasetError(
            f"{path}: 'schema' is {index['schema']}, this slowfast reads {hdf5.SCHEMA}; upgrade slowfast"
        )
    return {**empty, **index} if index.get("episodes") else empty


def _save_index(path: Path, index: dict[str, Any]) -> None:
    try:
        with replacing(path) as temporary:
            temporary.write_text(json.dumps(index))
    except PermissionError:  # a read-only data set is indexed in memory at every opening
        pass
