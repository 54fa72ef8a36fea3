"""Folders of clips, and what is read of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from clips import counting, write_clip

from slowfast.datasets.ingest.formats import SourceOptions
from slowfast.datasets.ingest.readers.videos import VideoFolder
from slowfast.datasets.ingest.recording import Recording

N = 11  # frames of a clip, at 10 a second


def clips(folder: Path, *names: str, frames: int = N) -> None:
    for name in names:
        write_clip(folder / name, counting(frames))


def opened(source: Path, **options: Any) -> VideoFolder:
    return VideoFolder(source, SourceOptions(**options))


def texts(recording: Recording, name: str = "text") -> list[str]:
    return list(recording.actions[name])
