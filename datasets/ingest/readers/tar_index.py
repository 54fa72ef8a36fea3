"""Where the members of a tar file lie, read from its headers alone; nothing is ever extracted.

A tar from somewhere else may claim anything: names that climb out, links, sizes below zero or beyond the file, headers
of gigabytes. Members with such names and links are refused one by one; a header that cannot be true ends the tar there.
"""

from __future__ import annotations

import io
import itertools
import posixpath
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from slowfast.datasets.episode import DatasetError
from slowfast.datasets.ingest.video import Section

MAX_HEADER = 2**20
MAX_MEMBERS = 2_000_000


@dataclass(frozen=True)
class Member:
    """``name`` within the tar; ``section`` its bytes, or ``problem`` why they are not read."""

    name: str
    section: Section | None
    problem: str | None = None


def members(path: Path) -> Iterator[Member]:
    """The files in a tar, in its order. Raises :class:`DatasetError` where it is damaged, after what came before."""
    end = 0
    try:
        with _Headers(path, "r") as file, tarfile.TarFile(fileobj=file) as tar:
            for number in itertools.count():
                entry = tar.next()
                if entry is None:
                    _check_end(path, file, tar.offset)
                    return
                if entry.offset_data < end or entry.size < 0 or number >= MAX_MEMBERS:
                    raise DatasetError(f"{path}: the header of {entry.name!r:.100} is damaged")
                end = entry.offset_data + entry.size
                tar.members = []  # type: ignore[attr-defined]  # they would pile up
                if not entry.isdir():
                    yield _member(path, entry)
    except (tarfile.TarError, OSError, ValueError, RecursionError) as error:
        if isinstance(error, DatasetError):
            raise
        raise DatasetError(
            f"{path}: cannot be read as a tar ({error}); it is cut off, damaged or compressed"
        ) from error


def _check_end(path: Path, file: io.FileIO, end: int) -> None:
    """Behind the mark that ends a tar there are only zeros. A header of zeros, where a file is damaged, looks like that
    mark, and what follows it would be lost without a word."""
    file.seek(end)
    while some := file.read(MAX_HEADER):
        if any(some):
            said = "a header is damaged, or several tars were joined into one"
            raise DatasetError(f"{path}: ends at byte {end:,} and goes on behind its end; {said}")


def _member(path: Path, entry: tarfile.TarInfo) -> Member:
    name = posixpath.normpath(entry.name).encode("utf-8", "replace").decode()
    if name.startswith(("../", "/")) or name == "..":
        return Member(name, None, "its name leads out of the shard; it is not read")
    if not entry.isreg() or entry.issparse():
        return Member(name, None, "it is a link, or no plain file; it is not read")
    return Member(name, Section(path, entry.offset_data, entry.size, f"{path.name}/{name}"))


class _Headers(io.FileIO):
    """A file that gives headers, and refuses to fill the memory because one says so."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or not 0 <= size <= MAX_HEADER:
            raise DatasetError(f"{self.name!s}: a header of {size} bytes; the tar is damaged")
        return super().read(size) or b""
