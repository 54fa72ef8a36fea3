"""One table for all clips: which rows are whose."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, MutableMapping
from pathlib import Path
from typing import Protocol, TypeVar

from slowfast.datasets.episode import DatasetError
from slowfast.datasets.ingest.tables import Row, read_rows

CLIP = ("file_name", "filename", "file", "video", "clip", "path")


class Clip(Protocol):
    rows: list[Row]
    problem: str | None


C = TypeVar("C", bound=Clip)


class ClipTable:
    """The rows of a table, each of which names its clip in the first column of :data:`CLIP` that is there, by a path
    from ``folder`` (below the source's root) on, with or without the suffix. Raises :class:`DatasetError` for one
    without such a column, if it is ``required``."""

    def __init__(self, path: Path, folder: str, required: bool = True) -> None:
        self.path, self.folder = path, folder
        self.rows = read_rows(path)
        columns = {name for row in self.rows for name in row}
        self.column = next((name for name in CLIP if name in columns), "")
        if required and not self.column:
            raise DatasetError(f"{path}: no column names the clips; expected one of {', '.join(CLIP)}")

    def give(self, clips: MutableMapping[str, C], make: Callable[[str], C]) -> None:
        """Gives each clip its rows. What is named and not there, or outside, becomes a clip with that problem."""
        stems: dict[str, list[str]] = {}
        for name in clips:
            stems.setdefault(posixpath.splitext(name)[0], []).append(name)
        for number, row in enumerate(self.rows if self.column else ()):
            said = row.get(self.column)
            if said is None:
                raise DatasetError(f"{self.path}: row {number}: column {self.column} is empty; expected a clip's name")
            name = posixpath.normpath(posixpath.join(self.folder, str(said).replace("\\", "/")))
            if name not in clips and len(stems.get(name, ())) == 1:
                name = stems[name][0]
            if name not in clips:
                clips[name] = make(name)
                outside = name.startswith(("../", "/")) or name == ".."
                clips[name].problem = (
                    f"{self.path.name} names it, and it leads out of the source's folder; it is not read"
                    if outside
                    else f"{self.path.name} names it, and there is no such file"
                )
            clips[name].rows.append({key: cell for key, cell in row.items() if key != self.column})
