"""The episodes of a data set's folder, file by file: a damaged one is a finding and takes no other with it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from slowfast.actions import ActionError, ActionSpec, Columns
from slowfast.datasets import hdf5
from slowfast.datasets.doctor.footage import Timing
from slowfast.datasets.episode import DatasetError

FRAMES_AT_ONCE, PIXELS_AT_ONCE = 64, 2**24


def episode_files(folder: Path) -> list[Path]:
    """``episodes/NNNNNN.h5`` in the order of their numbers; empty where ``folder`` is no data set."""
    return sorted(path for path in folder.glob("episodes/*.h5") if path.stem.isdigit())


def splits(folder: Path) -> dict[str | None, Path]:
    """The data sets of a folder: itself (under None), or its sub-folders that are data sets, by name."""
    if episode_files(folder):
        return {None: folder}
    inner = sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    return {path.name: path for path in inner if episode_files(path)}


class StoredFootage:
    """``files`` of one data set. ``spec`` is that of the first file that can be read; raises
    :class:`DatasetError` where none can."""

    def __init__(self, files: Sequence[Path]) -> None:
        self._files = list(files)
        self.spec = self._first_spec()

    def __len__(self) -> int:
        return len(self._files)

    def name(self, i: int) -> str:
        return self._files[i].stem

    def path(self, i: int) -> Path | None:
        return self._files[i]

    def take(self, i: int) -> StoredTake:
        path = self._files[i]
        with hdf5.open_file(path) as file:
            header = _header(file, path)
            if header["action_spec"] != self.spec:
                names = [component.name for component in header["action_spec"].components]
                raise DatasetError(
                    f"{path}: attribute 'action_spec' (components {names}) differs from the other episodes'"
                )
            try:
                actions = hdf5.read_actions(file, self.spec)
            except (OSError, RuntimeError) as error:
                raise DatasetError(f"{path}: 'actions' cannot be read ({error})") from error
        return StoredTake(path, header, actions)

    def pictures(self, i: int, camera: str, numbers: Sequence[int]) -> dict[int, np.ndarray]:
        try:
            with hdf5.open_file(self._files[i]) as file:
                return {n: hdf5.read_frames(file, camera, n, n + 1)[0] for n in numbers}
        except (DatasetError, OSError, RuntimeError, IndexError):
            return {}

    def _first_spec(self) -> ActionSpec:
        first: DatasetError | None = None
        for path in self._files:
            try:
                with hdf5.open_file(path) as file:
                    spec: ActionSpec = _header(file, path)["action_spec"]
                    return spec
            except DatasetError as error:
                first = first or error
        raise first or DatasetError("no episodes")


@dataclass(frozen=True)
class StoredTake:
    path: Path
    header: dict[str, Any]
    actions: Columns

    @property
    def fps(self) -> float:
        return float(self.header["fps"])

    @property
    def metadata(self) -> dict[str, Any]:
        return dict(self.header["metadata"])

    @property
    def timing(self) -> Timing | None:
        source, intervals = self.metadata.get("source_fps"), self.metadata.get("source_intervals")
        if not isinstance(source, (int, float)) or not source > 0:
            return None
        match intervals:  # kept where they differ
            case [int() | float() as shortest, int() | float() as longest]:
                return Timing(float(source), float(shortest), float(longest))
        return Timing(float(source))

    def frames(self) -> Iterator[dict[str, np.ndarray]]:
        count = int(self.header["length"]) + 1
        with hdf5.open_file(self.path) as file:
            largest = max(camera["height"] * camera["width"] for camera in self.header["cameras"].values())
            at_once = max(min(FRAMES_AT_ONCE, PIXELS_AT_ONCE // max(largest, 1)), 1)
            for start in range(0, count, at_once):
                stop = min(start + at_once, count)
                try:
                    yield {name: hdf5.read_frames(file, name, start, stop) for name in self.header["cameras"]}
                except (OSError, RuntimeError) as error:
                    said = f"frames {start} to {stop - 1} cannot be read ({error})"
                    raise DatasetError(f"{self.path}: {said}; the file is damaged") from error


def _header(file: h5py.File, path: Path) -> dict[str, Any]:
    """As ``hdf5.read_header`` gives it, with the action spec parsed."""
    try:
        header = hdf5.read_header(file)
        return {**header, "action_spec": ActionSpec.from_json(header["action_spec"])}
    except ActionError as error:
        raise DatasetError(f"{path}: attribute 'action_spec': {error}") from error
    except (OSError, RuntimeError, TypeError, ValueError) as error:
        if isinstance(error, DatasetError):
            raise
        raise DatasetError(f"{path}: its header cannot be read ({error}); the file is damaged") from error
