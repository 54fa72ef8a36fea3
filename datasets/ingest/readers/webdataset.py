"""WebDataset shards: uncompressed tar files whose members belong together by their names up to the first dot.

``KEY.mp4`` is a clip; ``KEY.json``, ``KEY.csv``, ``KEY.jsonl``, ``KEY.parquet``, ``KEY.txt`` (a sentence) and
``KEY.cls`` (a class) say what is done in it, as beside a video in a folder. Members are read where they lie in the tar.
"""

from __future__ import annotations

import posixpath
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from slowfast.datasets.episode import DatasetError
from slowfast.datasets.ingest.annotations import Annotations, annotations_of, check_some
from slowfast.datasets.ingest.clips import clip_recording, survey
from slowfast.datasets.ingest.formats import SourceOptions
from slowfast.datasets.ingest.readers.tar_index import Member, members
from slowfast.datasets.ingest.recording import Recording
from slowfast.datasets.ingest.tables import MAX_BYTES, NOTES, SUFFIXES, Row, parse_rows
from slowfast.datasets.ingest.video import SUFFIXES as VIDEOS
from slowfast.datasets.ingest.video import Section


def detect(path: Path) -> bool:
    """A tar file, or a folder of them."""
    return bool(_shards(path))


@dataclass
class _Sample:
    """The members of one key. ``problem``: why it cannot be read."""

    name: str
    videos: list[Section] = field(default_factory=list)
    tables: list[Section] = field(default_factory=list)
    problem: str | None = None


class WebDatasetShards:
    """The clips of all shards of a folder, or of one, in the order in which they lie there.

    ``options.action``, ``options.labels``: as for a folder of videos. Opening reads headers and annotations. A shard
    that is cut off gives what it has, and one recording that says so. Raises :class:`DatasetError` where there is no
    clip, or no annotation can be read.
    """

    def __init__(self, source: str | Path, options: SourceOptions) -> None:
        self.action = options.action
        shards = _shards(Path(source))
        self._samples = [sample for shard in shards for sample in _samples(shard)]
        if not any(sample.videos for sample in self._samples):
            first = next((sample.problem for sample in self._samples if sample.problem), None)
            raise DatasetError(first or f"{source}: no clips (KEY.mp4 and others: {', '.join(VIDEOS)}) in its shards")
        found = survey(len(self), self._parts, options.labels, str(source))
        self._actions, self._unread, self.spec = found.actions, found.unread, found.actions.spec
        self._shards = len(shards)

    def __len__(self) -> int:
        return len(self._samples)

    def name(self, i: int) -> str:
        return self._samples[i].name

    def read(self, i: int) -> Recording:
        parts = self._parts(i)
        return clip_recording(self.name(i), self._samples[i].videos[0], parts, self._actions)

    def facts(self) -> dict[str, Any]:
        unread = {"left out": f"columns {', '.join(self._unread)}"} if self._unread else {}
        return {"shards": self._shards, "clips": sum(bool(sample.videos) for sample in self._samples), **unread}

    def _parts(self, i: int) -> list[Annotations]:
        sample = self._samples[i]
        if sample.problem:
            raise DatasetError(f"{sample.name}: {sample.problem}")
        if len(sample.videos) != 1:
            said = ", ".join(video.name for video in sample.videos) or "none"
            raise DatasetError(
                f"{sample.name}: expected one video of that key (the name up to the first dot), got {said}"
            )
        parts: list[Annotations] = []
        for table in sample.tables:
            suffix = posixpath.splitext(table.name)[1].lower()
            parts += annotations_of(_rows(table, suffix), table.name, self.action, suffix=suffix)
        if not sample.tables:
            raise DatasetError(f"{sample.name}: no annotations; expected KEY.json, csv, jsonl, parquet, txt or cls")
        check_some(parts, sample.name, self.action)
        return parts


def _shards(path: Path) -> list[Path]:
    found = sorted(path.glob("*.tar")) if path.is_dir() else [path]
    return [shard for shard in found if shard.suffix.lower() == ".tar" and shard.is_file()]


def _samples(shard: Path) -> list[_Sample]:
    found: dict[str, _Sample] = {}
    try:
        for member in members(shard):
            _place(member, shard, found)
    except DatasetError as error:
        return [*found.values(), _Sample(shard.name, problem=f"{error}; {len(found)} of its samples were found")]
    return list(found.values())


def _place(member: Member, shard: Path, found: dict[str, _Sample]) -> None:
    folder, file = posixpath.split(member.name)
    key, suffix = posixpath.join(folder, file.partition(".")[0]), posixpath.splitext(file)[1].lower()
    if suffix not in VIDEOS + SUFFIXES + NOTES or file.startswith("."):
        return
    sample = found.setdefault(key, _Sample(f"{shard.name}/{key}"))
    if member.section is None:
        sample.problem = f"{file}: {member.problem}"
    else:
        (sample.videos if suffix in VIDEOS else sample.tables).append(member.section)


def _rows(table: Section, suffix: str) -> list[Row]:
    if table.size > MAX_BYTES:
        raise DatasetError(f"{table}: {table.size} bytes; a table may have {MAX_BYTES}")
    with table.open() as file:
        return parse_rows(file.read(), suffix, table.name)
