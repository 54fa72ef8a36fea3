"""A folder of videos, annotated by files beside them, by one table for all, or by nothing but their names."""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from slowfast.datasets.episode import DatasetError
from slowfast.datasets.ingest.annotations import Annotations, annotations_of, check_some
from slowfast.datasets.ingest.clips import clip_recording, survey
from slowfast.datasets.ingest.formats import SourceOptions
from slowfast.datasets.ingest.infer import SENTENCE
from slowfast.datasets.ingest.readers.clip_table import ClipTable
from slowfast.datasets.ingest.recording import Recording
from slowfast.datasets.ingest.tables import NOTES, SUFFIXES, Row, read_rows
from slowfast.datasets.ingest.video import SUFFIXES as VIDEOS

SHARED = ("metadata", "annotations")


def detect(path: Path) -> bool:
    """A video, or a folder with one somewhere in it."""
    return path.suffix.lower() in VIDEOS if path.is_file() else next(_files(path, VIDEOS), None) is not None


@dataclass
class _Clip:
    """``path`` below the root; ``files`` beside it; ``rows`` of tables for all. ``problem``: why it cannot be read."""

    path: str
    files: list[str] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    problem: str | None = None


class VideoFolder:
    """Every video of a folder and its sub-folders, in the order of their paths; or a single video.

    ``options.annotations``: one table for all clips (else ``metadata.*`` or ``annotations.*``, in any folder);
    ``options.action``: its column; ``options.labels``: of a choice, or a vector's axes. Opening reads all tables, and
    no video. Raises :class:`DatasetError` where there is no video, or no annotation can be read.
    """

    def __init__(self, source: str | Path, options: SourceOptions) -> None:
        path = Path(source)
        self.root = path if path.is_dir() else path.parent
        self._one_file = not path.is_dir()  # which may be a link, since it was named itself
        self.action = options.action
        files = sorted(_files(path, VIDEOS + SUFFIXES + NOTES)) if path.is_dir() else _beside(path)
        clips = {name: _Clip(name) for name in files if _suffix(name) in VIDEOS}
        if not clips:
            raise DatasetError(f"{source}: no videos ({', '.join(VIDEOS)}) in it; links to folders are not followed")
        others = _attach(clips, [name for name in files if _suffix(name) not in VIDEOS])
        self._other_tables: list[str] = []
        if options.annotations:
            self.tables = [str(options.annotations)]
            ClipTable(options.annotations, self._folder_of(options.annotations)).give(clips, _Clip)
            for clip in clips.values():
                clip.files = []
        else:
            self.tables = _shared(others, source)
            self._other_tables += [name for name in others if _suffix(name) in SUFFIXES and name not in self.tables]
            for name in list(self.tables):
                table = ClipTable(self.root / name, posixpath.dirname(name), required=_suffix(name) != ".json")
                table.give(clips, _Clip)
                if not table.column:  # metadata.json may be about anything
                    self.tables.remove(name)
                    self._other_tables.append(name)
        self._clips = [clips[name] for name in sorted(clips)]
        self._whole = all(len(clip.rows) <= 1 for clip in self._clips)
        self._by_name = not self.tables and not any(clip.files for clip in self._clips)
        self._by_folder = self._by_name and all("/" in clip.path for clip in self._clips)
        found = survey(len(self), self._parts, options.labels, str(source))
        self._actions, self._unread, self.spec = found.actions, found.unread, found.actions.spec

    def __len__(self) -> int:
        return len(self._clips)

    def name(self, i: int) -> str:
        return self._clips[i].path.encode("utf-8", "replace").decode()

    def read(self, i: int) -> Recording:
        parts = self._parts(i)
        return clip_recording(self.name(i), self._inside(self._clips[i].path), parts, self._actions)

    def facts(self) -> dict[str, Any]:
        beside = sum(bool(clip.files) for clip in self._clips)
        said = [*([f"files beside {beside} of the clips"] if beside else []), *self.tables]
        if self._by_name:
            said = ["the names of the clips' folders" if self._by_folder else "the clips' names"]
        left_out = [f"columns {', '.join(self._unread)}"] if self._unread else []
        if self._other_tables:
            left_out += [f"{len(self._other_tables)} tables, {self._other_tables[0]} for one (--options.annotations)"]
        return {
            "clips": len(self),
            "said by": ", ".join(said),
            **({"left out": "; ".join(left_out)} if left_out else {}),
        }

    def _parts(self, i: int) -> list[Annotations]:
        clip, name = self._clips[i], self.name(i)
        if clip.problem:
            raise DatasetError(f"{name}: {clip.problem}")
        if self._by_name:
            sentence = name_as_sentence(posixpath.basename(posixpath.dirname(name)) if self._by_folder else name)
            if not sentence:
                raise DatasetError(f"{name}: no annotations; expected {_expected(name)}, or words in its name")
            return [Annotations(name, "clip", {SENTENCE: [sentence]})]
        parts = []
        if clip.rows:
            parts += annotations_of(clip.rows, ", ".join(self.tables), self.action, self._whole)
        for file in clip.files:
            rows = read_rows(self._inside(file))
            parts += annotations_of(rows, file, self.action, suffix=_suffix(file))
        if not parts:
            also = f", or rows in {', '.join(self.tables)}" if self.tables else ""
            raise DatasetError(f"{name}: no annotations; expected {_expected(name)}{also}")
        check_some(parts, name, self.action)
        return parts

    def _inside(self, name: str) -> Path:
        path = self.root / name
        if not self._one_file and not path.resolve().is_relative_to(self.root.resolve()):
            raise DatasetError(f"{name}: is a link that leads out of {self.root}; put the file itself there")
        return path

    def _folder_of(self, table: Path) -> str:
        """Where the names in a table start from: its own folder if that is in the source, else the source."""
        folder, root = table.resolve().parent, self.root.resolve()
        return folder.relative_to(root).as_posix() if folder.is_relative_to(root) else ""


def name_as_sentence(name: str) -> str:
    """What the name of a file or folder says: ``turn_left_003.mp4`` is "turn left". Numbers at its ends are counts."""
    stem = posixpath.splitext(posixpath.basename(name))[0] if _suffix(name) in VIDEOS else posixpath.basename(name)
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", stem)
    words = re.sub(r"^[\d\W_]+|[\d\W_]+$", "", spaced)
    return " ".join(re.split(r"[\W_]+", words)).lower()


def _expected(name: str) -> str:
    stem = posixpath.splitext(posixpath.basename(name))[0]
    return f"{stem}.csv (or jsonl, json, parquet, txt) beside it"


def _attach(clips: dict[str, _Clip], others: list[str]) -> list[str]:
    """Files that are named like a clip are that clip's; gives those that are not."""
    stems: dict[str, list[_Clip]] = {}
    for clip in clips.values():
        stems.setdefault(posixpath.splitext(clip.path)[0], []).append(clip)
    for name in others:
        for clip in stems.get(posixpath.splitext(name)[0], []):
            clip.files.append(name)
    return [name for name in others if posixpath.splitext(name)[0] not in stems]


def _shared(tables: list[str], source: str | Path) -> list[str]:
    found: dict[str, str] = {}
    for name in tables:
        folder, file = posixpath.split(name)
        if posixpath.splitext(file)[0] in SHARED and _suffix(file) in SUFFIXES:
            if folder in found:
                raise DatasetError(f"{source}: both {found[folder]} and {name}; name one with --options.annotations")
            found[folder] = name
    return list(found.values())


def _files(root: Path, suffixes: tuple[str, ...]) -> Iterator[str]:
    """Paths below ``root``, with slashes, of files with these suffixes; none that is hidden."""
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith((".", "__MACOSX")))
        below = Path(folder).relative_to(root)
        yield from ((below / name).as_posix() for name in names if _suffix(name) in suffixes and name[0] != ".")


def _beside(video: Path) -> list[str]:
    tables = (video.with_suffix(suffix) for suffix in SUFFIXES + NOTES)
    return [video.name, *(table.name for table in tables if table.exists())] if video.exists() else []


def _suffix(name: str) -> str:
    return posixpath.splitext(name)[1].lower()
