"""HDF5 files of others. A mapping file says which keys hold frames, actions and rewards (``hdf5_layout`` says how);
robomimic, LIBERO and ALOHA are known without one.

An episode is a file, a group of a file, or a stretch of long arrays. Where there are as many actions as frames, the
last action led to a frame that was not recorded: it is dropped, and with it its reward and flags.
"""

from __future__ import annotations

import itertools
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from slowfast.actions import ActionSpec, Columns
from slowfast.datasets.episode import DatasetError
from slowfast.datasets.ingest.formats import SourceOptions
from slowfast.datasets.ingest.readers import hdf5_arrays as arrays
from slowfast.datasets.ingest.readers.action_survey import ActionSurvey, column, spec_of
from slowfast.datasets.ingest.readers.hdf5_episodes import (
    SUFFIXES,
    Entry,
    Resolved,
    entries_of,
    find_files,
    is_hdf5,
    recognised,
    resolve,
)
from slowfast.datasets.ingest.readers.hdf5_frames import frame_count, read_frames
from slowfast.datasets.ingest.readers.hdf5_layout import read_mapping
from slowfast.datasets.ingest.recording import Frames, Recording
from slowfast.datasets.ingest.video import SUFFIXES as VIDEOS

MAX_FRAMES = 2**24
"""Of one recording: six days at 30 a second. More is a number that somebody made up."""


class Hdf5Episodes:
    """``Reader`` of the format ``hdf5``. ``source``: a file, or a folder with files anywhere below it.

    Options: ``mapping``, the mapping file; ``cameras``, those to take; ``fps``, before what the mapping or the files
    say. Raises :class:`DatasetError` for a mapping with unknown keys, files that are laid out in no known way, and
    where no episode can be read at all; for one that cannot, when it is read.
    """

    def __init__(self, source: str | Path, options: SourceOptions) -> None:
        self.source = Path(source)
        mapping = read_mapping(options.mapping) if options.mapping else None
        self.files = find_files(self.source, mapping.files if mapping else None)
        self.layout = mapping or recognised(self.files)
        self.fps = self.layout.fps if options.fps is None else options.fps
        self.times = self.layout.times if self.fps is None else None
        if self.times is None and not (self.fps and 0 < self.fps < 1e4):
            raise DatasetError(f"{source}: says no frame rate; give --options.fps above 0, or fps in a mapping file")
        self._entries: list[Entry] = []
        self.spec, found = self._surveyed()
        unknown = sorted(set(options.cameras) - set(found.cameras))
        if unknown:
            raise DatasetError(f"{source}: no camera {', '.join(unknown)}; there are {', '.join(found.cameras)}")
        self._found = replace(found, cameras={name: found.cameras[name] for name in options.cameras or found.cameras})

    def __len__(self) -> int:
        return len(self._entries)

    def name(self, i: int) -> str:
        return self._entries[i].name

    def facts(self) -> dict[str, Any]:
        cameras = ", ".join(f"{name} ({camera.key})" for name, camera in self._found.cameras.items())
        return {"layout": Path(self.layout.name).name, "files": len(self.files), "cameras": cameras}

    def read(self, i: int) -> Recording:
        entry = self._entries[i]
        if entry.error:
            raise DatasetError(f"{entry.name}: {entry.error}")
        try:
            with arrays.opened(entry.file) as file:
                return self._recording(entry, arrays.node(file, entry.group))
        except DatasetError as error:
            raise error if entry.name in str(error) else DatasetError(f"{entry.name}: {error}") from None

    def _recording(self, entry: Entry, group: h5py.Group) -> Recording:
        count = self._frame_count(entry, group)
        actions: Columns = {}
        lengths = set()
        for component in self.spec.components:
            rows = _action_rows(entry, group, self.layout.actions[component.name].key, count)
            between = _between(rows, count, f"{entry.name}: actions/{component.name}")
            actions[component.name] = column(component, between, entry.name)
            lengths.add(len(rows))
        outcomes: dict[str, Any] = {}
        for name, key in self._found.outcomes.items():
            between = _between(_numbers(entry, group, key, name), count, f"{entry.name}: {name}")
            if between.size != count - 1:
                raise DatasetError(f"{entry.name}: {name} ({key}) is {between.shape}; expected one number a step")
            outcomes[name] = between.reshape(-1).astype(np.float32 if name == "rewards" else bool)
        frames: dict[str, Frames] = {
            name: partial(read_frames, entry.file, entry.group, camera, entry.start, entry.start + count, entry.name)
            for name, camera in self._found.cameras.items()
        }
        return Recording(
            entry.name,
            np.arange(count) / self.fps if self.fps else _numbers(entry, group, str(self.times), "times"),
            frames,
            actions,
            self.spec,
            **outcomes,
            states={name: _numbers(entry, group, key, name) for name, key in self._found.states.items()},
            metadata={"layout": Path(self.layout.name).name, "last_action_dropped": count in lengths},
        )

    def _frame_count(self, entry: Entry, group: h5py.Group) -> int:
        counts = {}
        for name, camera in self._found.cameras.items():
            total = frame_count(arrays.dataset(group, camera.key), camera, entry.name)
            if entry.stop is not None and entry.stop > total:
                raise DatasetError(f"{entry.name}: ends at row {entry.stop}, frames/{camera.key} has {total}")
            counts[name] = (total if entry.stop is None else entry.stop) - entry.start
        count = next(iter(counts.values()))
        if set(counts.values()) != {count}:
            raise DatasetError(f"{entry.name}: cameras have different numbers of frames: {counts}")
        if not 2 <= count <= MAX_FRAMES:
            raise DatasetError(f"{entry.name}: {count} frames; expected 2 to {MAX_FRAMES:,}")
        return count

    def _surveyed(self) -> tuple[ActionSpec, Resolved]:
        """Lists the episodes, and sees the actions of all as far as the mapping does not say what they are."""
        surveys = [ActionSurvey(name, action) for name, action in self.layout.actions.items()]
        a_file_each = self.layout.episodes.strip("/") == "" and not self.layout.ends
        found: Resolved | None = None
        for path in self.files:
            name = path.name if path == self.source else path.relative_to(self.source).as_posix()
            if a_file_each and found and all(survey.complete for survey in surveys):
                self._entries.append(Entry(name, path))
                continue
            try:
                with arrays.opened(path) as file:
                    for entry in entries_of(file, self.layout, path, name):
                        self._entries.append(entry)
                        found = self._survey(entry, file, surveys, found)
            except DatasetError as error:
                self._entries.append(Entry(name, path, error=str(error)))
        if found is None:
            raise self._first_failure()
        return spec_of([survey.component(str(self.source)) for survey in surveys], str(self.source)), found

    def _survey(
        self, entry: Entry, file: h5py.File, surveys: list[ActionSurvey], found: Resolved | None
    ) -> Resolved | None:
        try:
            group = arrays.node(file, entry.group)
            resolved = found or resolve(group, self.layout)
            for survey in surveys:
                if not survey.complete:
                    survey.add(_action_rows(entry, group, survey.action.key, 2))
        except DatasetError:  # told when the episode is read
            return found
        return resolved

    def _first_failure(self) -> DatasetError:
        """Where no episode has cameras and actions, the first says what it lacks."""
        entry = self._entries[0]
        if entry.error:
            return DatasetError(f"{entry.name}: {entry.error}")
        try:
            with arrays.opened(entry.file) as file:
                group = arrays.node(file, entry.group)
                resolve(group, self.layout)
                for action in self.layout.actions.values():
                    _action_rows(entry, group, action.key, 2)
        except DatasetError as error:
            return error
        return DatasetError(f"{entry.name}: no actions")


def detect(path: Path) -> bool:
    """An HDF5 file, or a folder that has some, at most two folders down, and no videos beside them."""
    if path.is_file():
        return is_hdf5(path)
    inner = itertools.chain(path.glob("*"), path.glob("*/*"), path.glob("*/*/*"))
    found = [file for file in itertools.islice(inner, 2000) if file.suffix.lower() in (*SUFFIXES, *VIDEOS)]
    return any(map(is_hdf5, found)) and not any(file.suffix.lower() in VIDEOS for file in found)


def _action_rows(entry: Entry, group: h5py.Group, key: str, count: int) -> np.ndarray:
    """One text for the whole episode stands for all its steps."""
    array = arrays.dataset(group, key)
    if array.ndim == 0 and arrays.is_text(array):
        return np.full(count - 1, array.asstr(errors="replace")[()], object)
    return arrays.rows(array, entry.start, entry.stop)


def _numbers(entry: Entry, group: h5py.Group, key: str, name: str) -> np.ndarray:
    found = arrays.rows(arrays.dataset(group, key), entry.start, entry.stop)
    if found.dtype == object:
        raise DatasetError(f"{entry.name}: {name} ({key}) holds text; expected numbers")
    return found


def _between(rows: np.ndarray, count: int, where: str) -> np.ndarray:
    """Rows that belong between ``count`` frames; of as many as frames the last is dropped."""
    if len(rows) not in (count - 1, count):
        raise DatasetError(f"{where} has {len(rows)} rows, {count} frames go with {count - 1} (or {count})")
    return rows[: count - 1]
