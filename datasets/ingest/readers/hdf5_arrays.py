"""Arrays of an HDF5 file that nobody has vouched for: nothing outside the file is followed, and nothing is read before
its size is known to be sane."""

from __future__ import annotations

import fnmatch
import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from slowfast.datasets.episode import DatasetError

MAX_VALUES = 2**25
"""Of an array that is read as a whole: a recording's actions, say."""
MAX_CHUNK = 2**28
"""Bytes of a compressed chunk, which HDF5 unpacks as a whole."""
MAX_HOPS = 16
MAX_GROUPS = 10**6


class Missing(DatasetError):
    """A key that is not there."""


@contextmanager
def opened(path: Path) -> Iterator[h5py.File]:
    """The file, and :class:`DatasetError` naming it for whatever damage makes h5py raise within the block."""
    try:
        with h5py.File(path, "r") as file:
            yield file
    except DatasetError:
        raise
    except Exception as error:  # h5py raises whatever the damage leads it to
        said = str(error).splitlines()[0][:200] if str(error) else repr(error)
        raise DatasetError(f"{path}: cannot be read as HDF5 ({said}); it is cut off or damaged") from error


def node(group: h5py.Group, path: str) -> Any:
    """The group or dataset at ``path`` below ``group``, or below the file's root where it begins with a slash.

    Raises :class:`Missing` for a key that is not there, :class:`DatasetError` for a link to another file.
    """
    here: Any = group.file if path.startswith("/") else group
    parts, hops = [part for part in path.split("/") if part], 0
    while parts:
        name = parts.pop(0).encode("utf-8", "surrogateescape")
        if not isinstance(here, h5py.Group) or name in (b".", b"..") or not here.id.links.exists(name):
            keys = ", ".join(sorted(here)[:8]) if isinstance(here, h5py.Group) else "an array"
            raise Missing(f"{_where(group)}: no {path!r}; {_where(here)} holds {keys or 'nothing'}")
        kind = here.id.links.get_info(name).type
        if kind == h5py.h5l.TYPE_SOFT:
            target, hops = here.id.links.get_val(name).decode("utf-8", "replace"), hops + 1
            here = here.file if target.startswith("/") else here
            parts = [part for part in target.split("/") if part] + parts
            if hops > MAX_HOPS or len(parts) > 1000:
                raise DatasetError(f"{_where(group)}: {path!r} is a link that leads in a circle")
        elif kind == h5py.h5l.TYPE_HARD:
            here = here[name]
        else:
            raise DatasetError(f"{_where(group)}: {path!r} is a link to another file; copy what it names into this one")
    return here


def dataset(group: h5py.Group, key: str) -> h5py.Dataset:
    """The array at ``key``, stored in this very file. Raises :class:`DatasetError` for anything else."""
    found = node(group, key)
    if not isinstance(found, h5py.Dataset) or found.shape is None:
        raise DatasetError(f"{_where(group)}: {key!r} is no array")
    if found.is_virtual or found.external:
        raise DatasetError(f"{_where(found)}: its values lie in other files; copy them into this one")
    if found.chunks is not None and math.prod(found.chunks) * found.dtype.itemsize > MAX_CHUNK:
        raise DatasetError(
            f"{_where(found)}: chunks of {found.chunks}; at most {MAX_CHUNK:,} bytes are unpacked at once"
        )
    return found


def rows(array: h5py.Dataset, start: int = 0, stop: int | None = None) -> np.ndarray:
    """Rows of numbers or text (as ``object`` of ``str``) in memory. Raises :class:`DatasetError`."""
    if array.ndim == 0:
        raise DatasetError(f"{_where(array)}: one value; expected one a row")
    stop = len(array) if stop is None else stop
    count = max(stop - start, 0) * math.prod(array.shape[1:])
    if stop > len(array):
        raise DatasetError(f"{_where(array)}: {len(array)} rows; {stop} are expected")
    if count > MAX_VALUES:
        raise DatasetError(f"{_where(array)}: {count:,} values {array.shape}; at most {MAX_VALUES:,} are read")
    if is_text(array):
        return np.asarray(array.asstr(errors="replace")[start:stop], object)
    if array.dtype.kind not in "biuf":
        raise DatasetError(f"{_where(array)}: holds {array.dtype}; expected numbers or text")
    return np.asarray(array[start:stop])


def is_text(array: h5py.Dataset) -> bool:
    return h5py.check_string_dtype(array.dtype) is not None


def groups(file: h5py.File, pattern: str) -> list[str]:
    """Paths of the groups that a pattern such as ``data/*`` matches, demo_2 before demo_10."""
    found = [""]
    for part in (part for part in pattern.split("/") if part):
        if not any(sign in part for sign in "*?["):
            found = [f"{path}/{part}" for path in found if _is_group(file, f"{path}/{part}")]
            continue
        named = ((path, name) for path in found for name in fnmatch.filter(_names(file, path), part))
        found = [f"{path}/{name}" for path, name in named if _is_group(file, f"{path}/{name}")]
        if len(found) > MAX_GROUPS:
            raise DatasetError(f"{_where(file)}: more than {MAX_GROUPS:,} groups match {pattern!r}")
    return sorted(found, key=natural)


def children(group: h5py.Group, pattern: str) -> Iterator[tuple[str, str]]:
    """Keys of the arrays that ``folder/before*after`` matches, and the text that its ``*`` stands for."""
    folder, _, last = pattern.rpartition("/")
    before, _, after = last.partition("*")
    for name in sorted(_names(group, folder), key=natural):
        if name.startswith(before) and name.endswith(after) and len(name) > len(before) + len(after):
            key = f"{folder}/{name}" if folder else name
            if isinstance(node(group, key), h5py.Dataset):
                yield name[len(before) : len(name) - len(after)], key


def natural(name: Any) -> list[tuple[int, str]]:
    """Sorts by the numbers in names."""
    parts = re.split(r"(\d{1,18})", str(name), flags=re.ASCII)
    return [(int(part), "") if i % 2 else (0, part) for i, part in enumerate(parts)]


def contents(group: h5py.Group, most: int = 12) -> str:
    """The first arrays of a file, for people: ``data/demo_0/actions float64 (50, 7)``."""
    said: list[str] = []
    waiting = [("", group)]
    for _ in range(1000):
        if not waiting or len(said) >= most:
            break
        path, here = waiting.pop(0)
        inner = []
        for name in sorted(here, key=natural)[:most]:
            try:
                child = node(here, name)
            except DatasetError:
                continue
            if isinstance(child, h5py.Group):
                inner.append((f"{path}{name}/", child))
            elif isinstance(child, h5py.Dataset):
                said.append(f"{path}{name} {child.dtype} {child.shape}")
        waiting = inner + waiting
    return "; ".join(said[:most]) or "no arrays"


def _names(group: h5py.Group, path: str) -> list[str]:
    try:
        here = node(group, path)
    except Missing:
        return []
    return list(here) if isinstance(here, h5py.Group) else []


def _is_group(file: h5py.File, path: str) -> bool:
    try:
        return isinstance(node(file, path), h5py.Group)
    except Missing:
        return False
    except DatasetError:  # a link out of the file: reported when it is read, and not passed over in silence
        return True


def _where(thing: Any) -> str:
    name = str(thing.name or "").strip("/")
    return f"{thing.file.filename}/{name}" if name else str(thing.file.filename)
