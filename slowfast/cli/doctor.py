"""Look for what is wrong with a data set, or with clips that are still to be ingested."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tyro

from slowfast.cli.progress import Bar
from slowfast.datasets.ingest.formats import SourceOptions
from slowfast.datasets.ingest.policy import FramePolicy

if TYPE_CHECKING:
    from slowfast.datasets.doctor.examine import Examination
    from slowfast.datasets.doctor.finding import Finding
    from slowfast.datasets.doctor.split_cuts import SplitReport

LISTED = 5
"""Findings of a check that the terminal shows in each split; ``--json`` has all."""


@dataclass(frozen=True)
class Doctor:
    """Look for what is wrong with a data set, or with clips that are still to be ingested.

    Every finding says where, how bad, and what to do. The exit status is 1 if there are errors. A folder with
    sub-folders that are data sets (train, validation, ...) is examined split by split, and for leaks between them.

    Example:
        slowfast doctor data/rooms --html doctor.html
    """

    source: tyro.conf.Positional[str]
    """Folder of a data set or of its splits, or any source that `slowfast ingest` reads."""
    format: str | None = None
    """Format of a source that is to be ingested; recognised from its files if not said."""
    options: SourceOptions = field(default_factory=SourceOptions)
    """What such a source does not say itself."""
    policy: FramePolicy = field(default_factory=FramePolicy)
    """Frame rate and size that it would be ingested with."""
    limit: int | None = None
    """Examine only the first so many episodes of each split."""
    json: bool = False
    """Print the findings as JSON and nothing else."""
    html: Path | None = None
    """Write a page with pictures of the findings and histograms of the actions to this file."""
    split_cuts: Path | None = None
    """Write a copy of the data set to this folder in which clips end where a scene ends."""

    def __post_init__(self) -> None:
        if self.limit is not None and self.limit < 1:
            raise ValueError(f"limit has to be at least 1, got {self.limit}")


def run(config: Doctor) -> int:
    from slowfast.datasets.doctor import cuts
    from slowfast.datasets.doctor.examine import examine, footage
    from slowfast.datasets.doctor.split_cuts import split_at_cuts

    name, splits = footage(config.source, config.format, config.options, config.policy)
    if config.html is not None:
        from slowfast.cli._doctor_page import require_jinja

        require_jinja()
    if config.split_cuts is not None:
        if name != "slowfast":
            raise ValueError(f"split-cuts: {config.source} has to be ingested first (it is {name!r})")
        if not cuts.available():
            raise ImportError("split-cuts needs PySceneDetect: pip install 'slowfast[eval]'")
    with Bar("doctor", unit="episode") as bar:
        examination = examine(splits, format=name, limit=config.limit, progress=bar)
    written: SplitReport | None = None
    if config.split_cuts is not None:
        written = split_at_cuts(config.source, config.split_cuts, examination.findings, config.limit)
    if config.html is not None:
        from slowfast.cli._doctor_page import write_page

        write_page(config.html, config.source, examination, splits)
    if config.json:
        print(json.dumps(as_json(config, examination, written), indent=1))
    else:
        print(as_text(config, examination, written))
    return 1 if examination.errors else 0


def as_json(config: Doctor, examination: Examination, written: SplitReport | None) -> dict[str, Any]:
    """``source``, the summary's entries, ``findings`` (all), and under ``split_cuts`` what was written."""
    described: dict[str, Any] = {"source": config.source, **examination.summary}
    described["findings"] = [finding.described() for finding in examination.findings]
    if written is not None:
        described["split_cuts"] = {"folder": str(config.split_cuts), **vars(written)}
    return described


def as_text(config: Doctor, examination: Examination, written: SplitReport | None = None) -> str:
    """The findings for a terminal."""
    summary = examination.summary
    lines = [f"source      {config.source} ({summary['format']})"]
    for name, split in summary["splits"].items():
        unreadable = f", {split['unreadable']} unreadable" if split["unreadable"] else ""
        said = (
            f"{split['episodes']} episodes{unreadable}, {split['frames']} frames, {split['seconds'] / 60:.1f} minutes"
        )
        lines.append(f"{name or 'episodes':<11} {said}")
        shares = split["measured"].get("alignment", {}).get("explained")
        if shares:
            best = max(shares, key=shares.get)
            lines.append(f"{'':<11} actions explain {shares[best]:.1%} of how the picture changes, at offset {best}")
    for finding, more in listed(examination.findings, LISTED):
        lines += ["", *_lines(finding)]
        if more:
            lines.append(f"         and {more} more of these in {finding.split or 'this data set'} (--json lists all)")
    counts = summary["counts"]
    lines += ["", ", ".join(f"{count} {name}{'' if count == 1 else 's'}" for name, count in counts.items())]
    if written is not None:
        parts = f"{written.parts} of them parts of clips that were cut, {written.dropped} single frames left out"
        lines.append(f"{config.split_cuts}: {written.episodes} episodes, {parts}")
        lines += [f"left out    {name}" for name in written.unreadable]
    if config.html is not None:
        lines.append(f"page        {config.html}")
    return "\n".join(lines)


def listed(findings: list[Finding], most: int) -> Iterator[tuple[Finding, int]]:
    """At most ``most`` findings of a check, severity and split, and with the last of them how many were left out."""
    groups: dict[tuple[str, str, str | None], list[Finding]] = {}
    for finding in findings:
        groups.setdefault((finding.check, finding.severity, finding.split), []).append(finding)
    for group in groups.values():
        for number, finding in enumerate(group[:most], 1):
            yield finding, len(group) - most if number == most else 0


def place(finding: Finding) -> str:
    """Where a finding is, in words; empty for one that concerns all."""
    parts = [finding.split, None if finding.episode is None else f"episode {finding.episode}"]
    if finding.frame is not None:
        parts.append(f"frame {finding.frame}" + (f" ({finding.seconds:.2f} s)" if finding.seconds else ""))
    return ", ".join(part for part in (*parts, finding.camera) if part)


def _lines(finding: Finding) -> list[str]:
    where = place(finding)
    head = f"{finding.severity:<8} {finding.check}" + (f": {where}" if where else "")
    told = [*textwrap.wrap(finding.message, 110), *textwrap.wrap(f"fix: {finding.fix}", 110)]
    return [head, *(f"         {line}" for line in told)]
