"""What tests of ingestion ingest, how they stop it, and what they find afterwards."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from clips import counted, counting, write_clip

from slowfast.datasets.ingest.pipeline import Ingestion
from slowfast.datasets.store import Store


def folder_of_clips(folder: Path, count: int = 6, frames: int = 9) -> Path:
    """Clip k shows 20 k, 20 k + 1, ..."""
    for k in range(count):
        write_clip(folder / f"{k}.mp4", counting(frames, first=20 * k))
        (folder / f"{k}.csv").write_text("action\n" + "".join(f"{t % 3}\n" for t in range(frames)))
    return folder


def first_frames(out: Path) -> list[int]:
    return [counted(episode.frames[next(iter(episode.frames))][:1])[0] for episode in Store(out)]


def files(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(out.glob("episodes/*"))}


def odd(name: str, count: int, **more: Any) -> Ingestion:
    return Ingestion(str(count), f"odd_readers:{name}", **more)


class Stopped(Exception):
    pass


class StopAfter:
    def __init__(self, count: int) -> None:
        self.count = count

    def __call__(self, done: int, total: int, skipped: int) -> None:
        if done >= self.count:
            raise Stopped
