"""One recording becomes episodes below ``OUT/.ingest/``, whole or not at all, with a note of what came of it.

When all are through, :mod:`~slowfast.datasets.ingest.pipeline` gives the episodes their numbers.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from slowfast.actions import ActionError
from slowfast.datasets import hdf5
from slowfast.datasets.episode import DatasetError, Episode
from slowfast.datasets.ingest.formats import SourceOptions
from slowfast.datasets.ingest.policy import FramePolicy, episodes
from slowfast.datasets.ingest.recording import Reader

STAGE = ".ingest"

Outcome = dict[str, Any]
"""``parts``, ``frames`` and ``seconds`` of a recording, or the ``error`` for which it was skipped."""


@dataclass(frozen=True)
class Ingestion:
    """What is ingested and how. The same for every recording, and kept in ``OUT/ingest.json``."""

    source: str
    format: str | None = None
    options: SourceOptions = field(default_factory=SourceOptions)
    policy: FramePolicy = field(default_factory=FramePolicy)
    metadata: dict[str, Any] = field(default_factory=dict)
    compression: str = "auto"

    def described(self) -> dict[str, Any]:
        described: dict[str, Any] = json.loads(json.dumps(asdict(self), default=str))
        return described


def stage_recording(
    ingestion: Ingestion, reader: Reader, stage: Path, i: int, stopped: Callable[[], bool] = lambda: False
) -> Outcome:
    """Write the episodes of one recording below ``stage``: how many and how long, or what is wrong with it.

    ``stopped`` is asked after every episode; where it says so, InterruptedError is raised.
    """
    remove_parts(stage, i)
    frames, seconds, parts = 0, 0.0, 0
    try:
        for episode in _read(ingestion, reader, i):
            hdf5.write_file(part_path(stage, i, parts), episode, ingestion.compression)
            parts, frames, seconds = parts + 1, frames + len(episode) + 1, seconds + len(episode) / episode.fps
            if stopped():
                raise InterruptedError
    except (DatasetError, ActionError, MemoryError) as error:
        remove_parts(stage, i)
        # names of files need not be text; what is said of them is printed
        said = (str(error) or "needs more memory than there is").encode("utf-8", "replace").decode()
        return {"error": said if reader.name(i) in said else f"{reader.name(i)}: {said}"}
    return {"parts": parts, "frames": frames, "seconds": seconds}


def _read(ingestion: Ingestion, reader: Reader, i: int) -> Iterator[Episode]:
    """The episodes of one recording. Files of others hold what no reader has thought of, and one of them may not stop
    all: any error is one of the recording here, where nothing is written (a full disk does stop all)."""
    try:
        recording = reader.read(i)
        recording = replace(recording, metadata={**recording.metadata, **ingestion.metadata})
        yield from episodes(recording, ingestion.policy)
    except (DatasetError, ActionError, MemoryError):
        raise
    except Exception as error:
        raise DatasetError(f"{reader.name(i)}: cannot be read ({type(error).__name__}: {error})") from error


def note_path(stage: Path, i: int) -> Path:
    return stage / f"{i:08d}.json"


def part_path(stage: Path, i: int, part: int) -> Path:
    return stage / f"{i:08d}-{part:05d}.h5"


def remove_parts(stage: Path, i: int) -> None:
    """What a process that was killed left of a recording."""
    for part in itertools.count():
        try:
            part_path(stage, i, part).unlink()
        except FileNotFoundError:
            return


def outcome_of(stage: Path, reader: Reader, i: int) -> Outcome | None:
    """What came of a recording earlier. Raises :class:`DatasetError` where it was another one."""
    path = note_path(stage, i)
    try:
        outcome: Outcome = json.loads(path.read_text())
    except (FileNotFoundError, json.JSONDecodeError):  # not there, or a machine stopped before it was on disk
        return None
    if outcome["recording"] != reader.name(i):
        raise DatasetError(
            f"{path}: recording {i} was {outcome['recording']!r} and is {reader.name(i)!r} now; the source has changed "
            "since this was begun; choose another --out"
        )
    return outcome
