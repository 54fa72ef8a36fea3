"""Show what a folder of episodes holds: counts, actions, a contact sheet."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro


@dataclass(frozen=True)
class Inspect:
    """Show what a folder of episodes holds: counts, actions, a contact sheet.

    Example:
        slowfast inspect data/rooms --json
    """

    folder: tyro.conf.Positional[Path]
    """Folder of a data set."""
    json: bool = False
    """Print the summary as JSON and nothing else."""
    sheet: Path | None = None
    """Where the contact sheet goes; contact_sheet.png in the folder if not said."""
    episode: int = 0
    """Episode that the contact sheet shows step by step."""
    camera: str | None = None
    """Camera of the contact sheet; the first in alphabetical order if not said."""


def run(config: Inspect) -> int:
    from slowfast.datasets.contact_sheet import contact_sheet
    from slowfast.datasets.files import replacing
    from slowfast.datasets.store import Store
    from slowfast.datasets.summary import summarise

    store = Store(config.folder, camera=config.camera)
    if not 0 <= config.episode < len(store):
        raise ValueError(f"episode: {config.folder} holds episodes 0..{len(store) - 1}, got {config.episode}")
    sheet = config.sheet or config.folder / "contact_sheet.png"
    with replacing(sheet) as temporary:
        contact_sheet(store, config.episode).save(temporary, format="PNG")
    summary = {**summarise(store), "contact_sheet": str(sheet)}
    print(json.dumps(summary, indent=1) if config.json else as_text(summary))
    return 0


def as_text(summary: dict[str, Any]) -> str:
    """The summary for a terminal."""
    length = summary["length"]
    cameras = ", ".join(f"{name} {height}x{width}" for name, (height, width) in summary["cameras"].items())
    lines = [
        f"folder         {summary['folder']}",
        f"episodes       {summary['episodes']}",
        f"frames         {summary['frames']} ({summary['seconds'] / 60:.1f} minutes)",
        f"actions        {length['smallest']} to {length['largest']} an episode, {length['mean']:.1f} on average",
        f"cameras        {cameras} (height x width)",
        f"on disk        {summary['bytes'] / 2**20:.1f} MiB",
        *(f"{key:<14} {_counted(counts)}" for key, counts in summary["metadata"].items()),
    ]
    for name, component in summary["components"].items():
        lines += ["", f"{name} ({component['kind']}), {component['null']} of {summary['actions']} steps without"]
        for label, count in component["counts"].items():
            lines += _bar(label, count, summary["actions"])
    return "\n".join([*lines, "", f"contact sheet  {summary['contact_sheet']}"])


def _counted(counts: dict[str, int]) -> str:
    if len(counts) == 1:
        return next(iter(counts))
    return ", ".join(f"{value} ({count})" for value, count in counts.items())


def _bar(label: str, count: int | dict[str, list[float]], total: int) -> list[str]:
    if isinstance(count, int):
        return [f"  {label:<20} {count:>9}  {'#' * round(40 * count / max(total, 1))}"]
    edges, counts = count["edges"], count["counts"]
    return [f"  {label}"] + [
        f"    {low:>9.3g}..{high:<9.3g} {int(n):>7}  {'#' * round(40 * n / max(total, 1))}"
        for low, high, n in zip(edges[:-1], edges[1:], counts, strict=True)
    ]
