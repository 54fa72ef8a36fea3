"""All episodes once past all checks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from slowfast.actions import ActionError
from slowfast.datasets.doctor import cuts, stores
from slowfast.datasets.doctor.check import Check
from slowfast.datasets.doctor.checks import CHECKS
from slowfast.datasets.doctor.finding import SEVERITIES, Finding
from slowfast.datasets.doctor.footage import Clip, Footage
from slowfast.datasets.doctor.look import Looker
from slowfast.datasets.doctor.recordings import RecordedFootage
from slowfast.datasets.doctor.spool import Spool
from slowfast.datasets.episode import DatasetError

READABLE = "readable"
"""The check's name of findings about episodes that cannot be read at all."""


@dataclass(frozen=True)
class Examination:
    """``findings``: the worst first, then in the order of the checks and episodes. ``summary``: JSON-compatible;
    ``format``, ``counts`` of findings by severity, and under ``splits`` for every split (one called "" where there are
    none) ``episodes``, ``unreadable``, ``frames``, ``seconds`` and ``measured``: what checks measured, by their names.
    """

    findings: list[Finding]
    summary: dict[str, Any]

    @property
    def errors(self) -> int:
        return int(self.summary["counts"]["error"])


def footage(
    source: Path | str, format: str | None = None, options: Any = None, policy: Any = None
) -> tuple[str, dict[str | None, Footage]]:
    """The source's format and its splits: of a folder of episodes ("slowfast") itself or its sub-folders that are data
    sets, of anything that can be ingested its recordings as ``policy`` (a ``FramePolicy``) brings them to episodes.
    ``options`` are ``SourceOptions``.

    Raises :class:`DatasetError` for what is neither, or for options that nothing is done with.
    """
    from slowfast.datasets.ingest.formats import SourceOptions, open_source
    from slowfast.datasets.ingest.policy import FramePolicy

    folders = stores.splits(Path(source)) if format is None else {}
    if folders:
        if options not in (None, SourceOptions()) or policy not in (None, FramePolicy()):
            raise DatasetError(f"{source}: holds episodes already; options and policy are for what is to be ingested")
        return "slowfast", {
            name: stores.StoredFootage(stores.episode_files(folder)) for name, folder in folders.items()
        }
    name, reader = open_source(source, format, options)
    return name, {None: RecordedFootage(reader, policy or FramePolicy())}


def examine(
    splits: Mapping[str | None, Footage],
    *,
    format: str = "slowfast",
    limit: int | None = None,
    progress: Callable[..., None] | None = None,
) -> Examination:
    """Look at every episode of every split, ``limit`` the first of each. ``progress(done, total, findings=n)``.

    Memory does not grow with the frames: what a check needs of them later is set aside in a temporary file, about
    350 bytes a frame.
    """
    counts = {split: len(part) if limit is None else min(limit, len(part)) for split, part in splits.items()}
    findings: list[Finding] = []
    done, described = 0, {}
    with Spool() as spool:
        whole = [check(spool) for check in CHECKS if check.whole]
        for split, part in splits.items():
            own = [check(spool) for check in CHECKS if not check.whole]
            facts = {"episodes": counts[split], "unreadable": 0, "frames": 0, "seconds": 0.0}
            for i in range(counts[split]):
                if progress:
                    progress(done, sum(counts.values()), findings=len(findings))
                done += 1
                try:
                    clip = clip_of(part, i, split)
                except (DatasetError, ActionError, MemoryError) as error:
                    facts["unreadable"] += 1
                    findings.append(_unreadable(split, part.name(i), error))
                    continue
                facts["frames"] += len(clip) + 1
                facts["seconds"] += len(clip) / clip.fps
                for check in (*own, *whole):
                    findings += check.look(clip)
            findings += _concluded(own, split)
            measured = {check.name: figures for check in own if (figures := check.measured())}
            described[split or ""] = {**facts, "measured": measured}
        findings += _concluded(whole, None)
    if progress:
        progress(done, sum(counts.values()), findings=len(findings))
    order = [READABLE, *(check.name for check in CHECKS)]
    findings.sort(key=lambda found: (SEVERITIES.index(found.severity), order.index(found.check)))
    summary = {
        "format": format,
        "counts": {severity: sum(found.severity == severity for found in findings) for severity in SEVERITIES},
        "splits": described,
    }
    return Examination(findings, summary)


def clip_of(part: Footage, i: int, split: str | None = None) -> Clip:
    """Episode ``i`` as checks see it. Raises :class:`DatasetError` where it cannot be read to its end."""
    take = part.take(i)
    lookers: dict[str, Looker] = {}
    look_for_cuts, seen = cuts.available(), 0
    for frames in take.frames():
        for camera, some in frames.items():
            if camera not in lookers:
                lookers[camera] = Looker(take.fps, look_for_cuts)
            lookers[camera].add(some)
        seen += len(next(iter(frames.values()), np.zeros(0)))
    steps = len(next(iter(take.actions.values())))
    if not lookers or seen != steps + 1 or steps < 1:
        raise DatasetError(f"{part.name(i)}: {steps} actions need {steps + 1} frames, there are {seen}")
    looks = {camera: looker.look() for camera, looker in lookers.items()}
    return Clip(i, part.name(i), split, part.spec, take.actions, take.fps, take.metadata, looks, take.timing)


def _concluded(checks: Iterable[Check], split: str | None) -> list[Finding]:
    found = [finding for check in checks for finding in check.conclude()]
    return [finding if finding.split is not None else replace(finding, split=split) for finding in found]


def _unreadable(split: str | None, name: str, error: Exception) -> Finding:
    said = str(error) or "needs more memory than there is"
    fix = "replace the file or leave it out; ingestion skips what it cannot read"
    return Finding(READABLE, "error", said, fix, split, name)
