"""Turn action-annotated clips of other formats into a folder of episodes."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import tyro

from slowfast.actions import ActionSpec
from slowfast.cli.progress import Bar
from slowfast.datasets.ingest.formats import FORMATS, SourceOptions, missing_packages
from slowfast.datasets.ingest.policy import FramePolicy

if TYPE_CHECKING:
    from slowfast.datasets.ingest.pipeline import Report

SHOWN = 20


@dataclass(frozen=True)
class Ingest:
    """Turn action-annotated clips of other formats into a folder of episodes.

    Interrupt it at any moment: finished episodes stay, and the same command continues. A file that cannot be read is
    reported and skipped.

    Example:
        slowfast ingest my_clips --out data/mine --policy.fps 10 --policy.size 64 64
    """

    source: tyro.conf.Positional[str] = ""
    """Folder or file; for lerobot and minari also a name in their hubs."""
    out: Path | None = None
    """Folder to write to; one that the same command began is continued."""
    list: bool = False
    """Name all formats, and the extra that each needs, and do nothing else."""
    format: str | None = None
    """The source's format; recognised from its files if not said. Also a reader of yours, as "module:class"."""
    options: SourceOptions = field(default_factory=SourceOptions)
    """What the source does not say itself."""
    policy: FramePolicy = field(default_factory=FramePolicy)
    """Frame rate and size of the episodes."""
    instruction: str | None = None
    """Language instruction stored with every episode."""
    licence: str | None = None
    """Licence of the data, stored with every episode."""
    limit: int | None = None
    """Take only the first so many recordings."""
    workers: int = 1
    """Processes that decode."""
    strict: bool = False
    """Stop at the first recording that cannot be read."""
    compression: Literal["auto", "lzf", "gzip", "none", "mp4"] = "auto"
    """Of the frames on disk; "none" reads fastest, "mp4" takes the least room and loses a little. "auto": "none" for
    frames of at most 128x128 pixels, else "lzf"."""

    def __post_init__(self) -> None:
        if not self.list and not (self.source and self.out):
            raise ValueError("ingest needs a SOURCE and --out DIR (or --list, which names the formats)")
        if self.workers < 1 or (self.limit is not None and self.limit < 1):
            raise ValueError(f"workers and limit have to be at least 1, got {self.workers} and {self.limit}")


def run(config: Ingest) -> int:
    if config.list:
        print(formats_text())
        return 0
    from slowfast.datasets.ingest.pipeline import Ingestion, ingest

    assert config.out is not None
    said = {"instruction": config.instruction, "licence": config.licence, "source": config.source}
    ingestion = Ingestion(
        config.source,
        config.format,
        config.options,
        config.policy,
        {name: value for name, value in said.items() if value is not None},
        config.compression,
    )
    with Bar("ingest", unit="recording") as bar:
        report = ingest(
            ingestion,
            config.out,
            workers=config.workers,
            strict=config.strict,
            limit=config.limit,
            progress=bar,
        )
    print(report_text(report, config.out))
    return 0


def formats_text() -> str:
    """A line a format: name, what it is, what it reads beside the source, and what it needs."""
    lines = []
    for name, entry in FORMATS.items():
        lines.append(f"{name:<14} {entry.about}")
        if entry.options:
            lines.append(f"{'':<14}   options: {', '.join(entry.options)}")
        if entry.extra:
            state = "missing" if missing_packages(entry) else "installed"
            lines.append(f"{'':<14}   needs slowfast[{entry.extra}] ({state})")
    return "\n".join(lines)


def report_text(report: Report, out: Path) -> str:
    """What was found, what it became, what was skipped."""
    from slowfast.datasets.ingest.pipeline import REPORT

    spec, more = ActionSpec.from_json(report.action_spec), len(report.skipped) > SHOWN
    lines = [
        f"format      {report.format}",
        *(f"{name:<11} {value}" for name, value in report.facts.items()),
        f"actions     {'; '.join(f'{part.name} ({part.kind})' for part in spec.components)}",
        f"recordings  {report.recordings}, {len(report.skipped)} of them skipped",
        f"episodes    {report.episodes}, {report.frames} frames, {report.seconds / 60:.1f} minutes",
        *(f"skipped     {reason}" for reason in list(report.skipped.values())[:SHOWN]),
        *([f"skipped     {len(report.skipped) - SHOWN} more; {out / REPORT} names all"] if more else []),
        f"{out}: `slowfast doctor {out}` looks for faults, `slowfast inspect {out}` shows it",
    ]
    return "\n".join(lines)
