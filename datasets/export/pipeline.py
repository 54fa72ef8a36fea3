"""From a folder of episodes to a folder of another format, one episode after the other; whole or not at all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Protocol

from slowfast.datasets.episode import DatasetError, Episode
from slowfast.datasets.export.folder import new_folder
from slowfast.datasets.export.formats import EXPORTS, ExportOptions, writer_class
from slowfast.datasets.export.survey import Survey, survey
from slowfast.datasets.store import Store


class Writer(Protocol):
    """A format being written; ``Writer(folder, name, survey, options)`` in the registry's terms.

    ``folder`` is empty and temporary, ``name`` is what it will be called. The constructor raises
    :class:`DatasetError` where the survey shows that the episodes do not fit. Used as a context manager; the format is
    complete when the block ends without an error. ``left_out``: what the format has no place for, in words.
    """

    left_out: tuple[str, ...]

    def __init__(self, folder: Path, name: str, survey: Survey, options: ExportOptions) -> None: ...

    def add(self, number: int, episode: Episode) -> None:
        """Write an episode; ``number`` counts those that are written."""

    def __enter__(self) -> Writer: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


@dataclass(frozen=True)
class Export:
    """What was exported. ``left_out``: what the format holds nothing of. ``skipped``: episodes with missing actions."""

    format: str
    episodes: int
    frames: int
    bytes: int
    left_out: tuple[str, ...]
    skipped: tuple[str, ...]


def export(
    folder: Path | str,
    to: str,
    out: Path | str,
    *,
    options: ExportOptions | None = None,
    cameras: tuple[str, ...] = (),
    limit: int | None = None,
    skip_missing: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Export:
    """Write the episodes of ``folder`` to ``out`` in the format ``to`` (a key of ``formats.EXPORTS``).

    ``cameras``: the ones to export (default: all). ``limit``: the first episodes only. ``skip_missing``: leave out
    episodes with missing actions, where the format has no room for them. ``progress(done, total)`` is called at the
    start and after every episode. One episode is in memory at a time. Raises :class:`DatasetError` for an ``out`` that
    is not empty and for episodes that do not fit the format; ImportError naming the extra where a package is missing.
    """
    options = options or ExportOptions()
    writes = writer_class(to, options)
    out = Path(out)
    if skip_missing and EXPORTS[to].missing:
        raise DatasetError(f"format {to!r} has room for missing actions; there is nothing to skip")
    with new_folder(out) as temporary:
        store = Store(folder, open_files=2)
        missing = "keep" if EXPORTS[to].missing else "skip" if skip_missing else "refuse"
        found = survey(store, cameras, limit, missing)
        frames = 0
        with writes(temporary, out.name, found, options) as writer:
            if progress:
                progress(0, len(found.episodes))
            for number, i in enumerate(found.episodes):
                episode = store[i]
                writer.add(number, episode)
                frames += len(episode) + 1
                if progress:
                    progress(number + 1, len(found.episodes))
        size = sum(path.stat().st_size for path in temporary.rglob("*") if path.is_file())
    left_out = (*found.left_out, *writer.left_out)
    return Export(to, len(found.episodes), frames, size, left_out, found.skipped)
