"""Write episodes in another library's format: LeRobot, Minari, or plain videos."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import tyro

from slowfast.cli.progress import Bar
from slowfast.datasets.export.formats import EXPORTS, ExportOptions

if TYPE_CHECKING:
    from slowfast.datasets.export.pipeline import Export


@dataclass(frozen=True)
class ExportEpisodes:
    """Write episodes in another library's format: LeRobot, Minari, or plain videos.

    Collected, ingested and dreamed episodes alike. The folder appears when it is whole; an interrupted export leaves
    nothing behind. One episode is in memory at a time.

    Example:
        slowfast export data/rooms --to lerobot --out out/rooms-lerobot
    """

    folder: tyro.conf.Positional[Path]
    """Folder of episodes."""
    to: Literal["lerobot", "minari", "videos"]
    """lerobot: v3.0, parquet and mp4; minari: loaded by the folder's name; videos: an mp4 and a csv an episode."""
    out: Path
    """Folder to write to; not there yet, or empty. For minari it has to end in -v0, -v1, ..."""
    cameras: tuple[str, ...] = ()
    """Cameras to export; all if not said."""
    limit: int | None = None
    """Export only the first so many episodes."""
    skip_missing: bool = False
    """Leave out episodes with missing actions, for which lerobot and minari have no room, instead of stopping."""
    options: ExportOptions = field(default_factory=ExportOptions)
    """What a format can be told besides; one that has no use for an option refuses it."""

    def __post_init__(self) -> None:
        if self.limit is not None and self.limit < 1:
            raise ValueError(f"limit has to be at least 1, got {self.limit}")


def run(config: ExportEpisodes) -> int:
    from slowfast.datasets.export.pipeline import export

    with Bar("export", unit="episode") as bar:
        done = export(
            config.folder,
            config.to,
            config.out,
            options=config.options,
            cameras=config.cameras,
            limit=config.limit,
            skip_missing=config.skip_missing,
            progress=bar,
        )
    print(report_text(done, config.out))
    return 0


def report_text(done: Export, out: Path) -> str:
    """What was written and what was not."""
    lines = [
        f"format      {done.format}: {EXPORTS[done.format].about}",
        f"episodes    {done.episodes}, {done.frames} frames, {done.bytes / 2**20:.1f} MiB",
        *(f"left out    {what}" for what in done.left_out),
        *(f"skipped     {reason}" for reason in done.skipped),
        f"{out}: {_use(done.format, out)}",
    ]
    return "\n".join(lines)


def _use(name: str, out: Path) -> str:
    return {
        "lerobot": f'LeRobotDataset("local/{out.name}", root="{out}") loads it',
        "minari": f'MINARI_DATASETS_PATH={out.parent}, and minari.load_dataset("{out.name}") loads it',
        "videos": f"`slowfast ingest {out} --out DIR` reads it",
    }[name]
