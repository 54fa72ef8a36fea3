"""From a source to a folder of episodes: recording by recording, in worker processes, resumable.

A worker writes a recording's episodes under ``OUT/.ingest/``; when they are whole, the parent gives them their numbers
in the source's order. So numbers do not depend on workers or interruptions, and no episode is ever there in part.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from slowfast.datasets.episode import DatasetError
from slowfast.datasets.files import remove_leftovers, replacing
from slowfast.datasets.ingest.formats import open_source
from slowfast.datasets.ingest.recording import Reader
from slowfast.datasets.ingest.staging import STAGE, Ingestion, Outcome, note_path, outcome_of, part_path
from slowfast.datasets.ingest.workers import outcomes
from slowfast.datasets.store import Store, episode_path

__all__ = ["REPORT", "STAGE", "Damaged", "Ingestion", "Report", "ingest"]

REPORT = "ingest.json"


@dataclass(frozen=True)
class Report:
    """``skipped``: name and reason of each recording that could not be read. ``facts``: what the reader says."""

    format: str
    recordings: int
    episodes: int
    frames: int
    seconds: float
    skipped: dict[str, str]
    facts: dict[str, Any]
    action_spec: str


class Damaged(DatasetError):
    """A recording that cannot be read, where ``strict`` was asked for."""


def ingest(
    ingestion: Ingestion,
    out: Path | str,
    *,
    workers: int = 1,
    strict: bool = False,
    limit: int | None = None,
    progress: Callable[..., None] | None = None,
) -> Report:
    """Write the source's recordings as episodes into ``out`` and say what came of each.

    Continues what was begun with the same settings; other settings, or a source that has changed since, raise
    :class:`DatasetError`. A recording that cannot be read is skipped and named in the report, and stays skipped when
    it is mended later, since its neighbours have their numbers; ``strict`` raises :class:`Damaged` at the first.
    ``limit``: take the first recordings only. ``workers``: processes that decode; 1 is this process.
    ``progress(done, total, skipped=n)`` is called at the start and after every recording. Raises
    :class:`DatasetError` where the source as a whole cannot be read, or nothing of it.
    """
    out = Path(out)
    name, reader = open_source(ingestion.source, ingestion.format, ingestion.options)
    ingestion = replace(ingestion, format=name)
    count = len(reader) if limit is None else min(limit, len(reader))
    if count == 0:
        raise DatasetError(f"{ingestion.source}: holds no recordings ({name})")
    _continue_or_begin(ingestion, reader, out)
    stage = out / STAGE
    remove_leftovers(stage)
    known = {i: outcome for i in range(count) if (outcome := outcome_of(stage, reader, i)) is not None}
    todo = [i for i in range(count) if i not in known]
    done, skipped = len(known), 0
    for outcome in known.values():
        skipped += _check(outcome, strict)
    if progress:
        progress(done, count, skipped=skipped)
    for i, outcome in outcomes(ingestion, reader, stage, todo, workers):
        done += 1
        skipped += _check(outcome, strict)
        with replacing(note_path(stage, i)) as temporary:
            temporary.write_text(json.dumps({"recording": reader.name(i), **outcome}))
        if progress:
            progress(done, count, skipped=skipped)
    return _finish(ingestion, reader, out, count)


def _check(outcome: Outcome, strict: bool) -> bool:
    """Whether a recording was skipped."""
    if strict and "error" in outcome:
        raise Damaged(f"{outcome['error']} (strict: nothing is skipped; what was written before stays)")
    return "error" in outcome


def _continue_or_begin(ingestion: Ingestion, reader: Reader, out: Path) -> None:
    """The settings stand in the report from the start, so that another source is not mixed in later."""
    path, described, spec = out / REPORT, ingestion.described(), reader.spec.to_json()
    if path.exists():
        try:
            known = json.loads(path.read_text())
            settings = known["settings"]
        except (ValueError, KeyError, TypeError) as error:
            raise DatasetError(f"{path}: is damaged ({error}); choose another --out") from error
        other = [key for key, value in described.items() if settings.get(key) != value]
        if other:
            raise DatasetError(f"{path}: was begun with other settings ({', '.join(other)}); choose another --out")
        if known.get("action_spec") != spec:
            raise DatasetError(
                f"{path}: the actions of {ingestion.source} have changed since this was begun; choose another --out"
            )
        return
    if any(out.glob("episodes/*.h5")):
        raise DatasetError(f"{out}: holds episodes that were not ingested; choose another --out")
    with replacing(path) as temporary:
        temporary.write_text(json.dumps({"settings": described, "action_spec": spec}))


def _finish(ingestion: Ingestion, reader: Reader, out: Path, count: int) -> Report:
    """Episodes get their numbers, in the source's order."""
    stage, number, skipped = out / STAGE, 0, {}
    frames, seconds = 0, 0.0
    for i in range(count):
        outcome = outcome_of(stage, reader, i) or {}
        if "error" in outcome:
            skipped[reader.name(i)] = outcome["error"]
            continue
        for part in range(outcome["parts"]):
            staged, final = part_path(stage, i, part), episode_path(out, number)
            if staged.exists():
                final.parent.mkdir(parents=True, exist_ok=True)
                staged.replace(final)
            number += 1
        frames, seconds = frames + outcome["frames"], seconds + outcome["seconds"]
    spec, described = reader.spec.to_json(), ingestion.described()
    report = Report(described["format"], count, number, frames, seconds, skipped, reader.facts(), spec)
    with replacing(out / REPORT) as temporary:
        temporary.write_text(json.dumps({"settings": described, **asdict(report)}, indent=1))
    if number == 0:
        first = next(iter(skipped.values()))
        shutil.rmtree(stage, ignore_errors=True)
        (out / REPORT).unlink()
        raise DatasetError(f"{ingestion.source}: none of {count} recordings can be read; the first says: {first}")
    Store(out)
    return report
