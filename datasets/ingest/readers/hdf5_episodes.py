"""Where the episodes of a folder of HDF5 files are, and which layout the files have."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from slowfast.datasets.episode import DatasetError
from slowfast.datasets.ingest.readers import hdf5_arrays as arrays
from slowfast.datasets.ingest.readers.hdf5_layout import KNOWN, Camera, Hdf5Layout

SUFFIXES = (".h5", ".hdf5", ".hdf")
MAGIC = b"\x89HDF\r\n\x1a\n"


class UnknownLayout(DatasetError):
    """A file that can be read and has not what a layout says."""


@dataclass(frozen=True)
class Entry:
    """An episode: rows ``start`` to ``stop`` (None: all) of the arrays in a group of a file, or why there is none."""

    name: str
    file: Path
    group: str = "/"
    start: int = 0
    stop: int | None = None
    error: str | None = None


@dataclass(frozen=True)
class Resolved:
    """A layout's keys with every ``*`` replaced by what an episode holds."""

    cameras: dict[str, Camera]
    states: dict[str, str]
    outcomes: dict[str, str]


def is_hdf5(path: Path) -> bool:
    """By its name and first bytes."""
    if path.suffix.lower() not in SUFFIXES or not path.is_file():
        return False
    try:
        with path.open("rb") as file:
            return file.read(len(MAGIC)) == MAGIC
    except OSError:
        return False


def find_files(source: Path, pattern: str | None) -> list[Path]:
    """The file itself, or those of a folder, by their numbers. Raises :class:`DatasetError` where there is none."""
    if source.is_file():
        return [source]
    if not source.is_dir():
        raise DatasetError(f"{source}: no such file or folder")
    try:
        found = source.glob(pattern) if pattern else source.rglob("*")
        files = [path for path in found if path.is_file() and (pattern or path.suffix.lower() in SUFFIXES)]
    except ValueError as error:
        raise DatasetError(f"{source}: files: {pattern!r} is no pattern of file names ({error})") from None
    if not files:
        raise DatasetError(f"{source}: no file matches {pattern or ', '.join(f'*{suffix}' for suffix in SUFFIXES)}")
    return sorted(files, key=arrays.natural)


def entries_of(file: h5py.File, layout: Hdf5Layout, path: Path, name: str) -> Iterator[Entry]:
    """The episodes of one file. Raises :class:`DatasetError` where none is found."""
    groups = arrays.groups(file, layout.episodes)
    if not groups:
        said = f"no group matches {layout.episodes!r}; it holds {arrays.contents(file)}"
        raise DatasetError(f"{name}: {said}")
    for group in groups:
        inner = f"{name}{group}"
        if not layout.ends:
            yield Entry(inner, path, group or "/")
            continue
        for k, (start, stop) in enumerate(_spans(arrays.node(file, group or "/"), layout)):
            yield Entry(f"{inner} episode {k}", path, group or "/", start, stop)


def recognised(files: list[Path]) -> Hdf5Layout:
    """The known layout of the first file that can be opened. Raises :class:`DatasetError` saying what it holds."""
    damaged: DatasetError | None = None
    for path in files:
        try:
            with arrays.opened(path) as file:
                return _recognised(file)
        except UnknownLayout:
            raise
        except DatasetError as error:
            damaged = damaged or error
    raise damaged or DatasetError("no files")


def resolve(group: h5py.Group, layout: Hdf5Layout) -> Resolved:
    """Raises :class:`UnknownLayout` where an episode has no camera of the layout."""
    cameras: dict[str, Camera] = {}
    for name, camera in layout.frames.items():
        if "*" not in camera.key:
            cameras[name] = camera
            continue
        ranks = (4,) if camera.encoding == "raw" else (1, 2)
        for text, key in arrays.children(group, camera.key):
            if arrays.node(group, key).ndim in ranks:
                cameras[name.replace("*", text)] = replace(camera, key=key)
    if not cameras:
        keys = ", ".join(camera.key for camera in layout.frames.values())
        raise UnknownLayout(f"{group.file.filename}{group.name}: no frames at {keys}")
    length = (*arrays.dataset(group, next(iter(cameras.values())).key).shape, 0)[0]
    taken = {*(camera.key for camera in cameras.values()), *(action.key for action in layout.actions.values())}
    states: dict[str, str] = {}
    for name, key in layout.states.items():
        if "*" not in key:
            states[name] = key
            continue
        for text, inner in arrays.children(group, key):
            array = arrays.node(group, inner)
            fits = array.ndim in (1, 2) and array.dtype.kind in "biuf" and array.shape[0] == length
            if fits and inner not in taken:
                states[name.replace("*", text)] = inner
    outcomes = layout.outcomes
    if layout.optional:
        outcomes = {name: key for name, key in outcomes.items() if _has(group, key)}
    return Resolved(cameras, states, outcomes)


def _spans(group: h5py.Group, layout: Hdf5Layout) -> Iterator[tuple[int, int]]:
    """Numbers of the first row after each episode, or flags at the last row of each; rows after the last flag are an
    episode that was cut off."""
    keys = layout.ends
    given = [arrays.rows(arrays.dataset(group, key)).reshape(-1) for key in keys]
    where = f"{group.file.filename}: ends ({', '.join(keys)})"
    if any(values.dtype == object or not np.isfinite(values).all() for values in given) or not len(given[0]):
        raise DatasetError(f"{where}: expected row numbers, or a flag a row")
    if all(np.isin(values, (0, 1)).all() for values in given):
        if len({len(values) for values in given}) > 1:
            raise DatasetError(f"{where}: {' and '.join(str(len(values)) for values in given)} flags")
        flags = np.any(given, 0)
        _check_flags(group, layout, len(flags), where)
        ends = np.flatnonzero(flags) + 1
        ends = ends if flags[-1] else np.append(ends, len(flags))
    else:
        ends = given[0].astype(np.int64)
        if len(given) > 1 or (ends != given[0]).any() or ends[0] < 1 or (np.diff(ends) < 1).any():
            raise DatasetError(f"{where}: expected one array of rising row numbers, or flags of 0 and 1")
    if len(ends) > arrays.MAX_GROUPS:
        raise DatasetError(f"{where}: {len(ends):,} episodes; at most {arrays.MAX_GROUPS:,} are read")
    yield from itertools.pairwise([0, *ends.tolist()])


def _check_flags(group: h5py.Group, layout: Hdf5Layout, count: int, where: str) -> None:
    """There is a flag a frame: row numbers that are damaged may be zeros and ones too."""
    for camera in layout.frames.values():
        if "*" not in camera.key:
            total = (*arrays.dataset(group, camera.key).shape, 0)[0]
            if total != count:
                raise DatasetError(f"{where}: {count} flags for the {total} frames of {camera.key}")


def _recognised(file: h5py.File) -> Hdf5Layout:
    if file.attrs.get("format") == "slowfast-episode":
        raise UnknownLayout(f"{file.filename}: is an episode of slowfast already; a loader reads its folder as it is")
    for layout in KNOWN:
        for path in arrays.groups(file, layout.episodes)[:1]:
            group = arrays.node(file, path or "/")
            if not all(_has(group, action.key) for action in layout.actions.values()):
                continue
            try:
                resolve(group, layout)
            except UnknownLayout:
                continue
            return replace(layout, fps=layout.fps or _control_rate(file))
    known = ", ".join(layout.name for layout in KNOWN)
    raise UnknownLayout(
        f"{file.filename}: is laid out as none of {known}; write a mapping file and give it with --options.mapping, "
        f"as in `frames: {{front: KEY}}` and `actions: {{action: KEY}}`. It holds {arrays.contents(file)}"
    )


def _has(group: h5py.Group, key: str) -> bool:
    try:
        return isinstance(arrays.node(group, key), h5py.Dataset)
    except DatasetError:
        return False


def _control_rate(file: h5py.File) -> float | None:
    """Steps a second of the simulation that robomimic's files were recorded from."""
    try:
        said: Any = json.loads(file["data"].attrs["env_args"])["env_kwargs"]["control_freq"]
        return float(said) if 0 < float(said) < 1e4 else None
    except (KeyError, TypeError, ValueError, OverflowError, RecursionError):
        return None
