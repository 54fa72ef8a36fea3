"""One run folder is written by one run: two at once would delete each other's checkpoints."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout


@contextmanager
def only_run(folder: Path) -> Iterator[None]:
    """Holds ``folder/.lock`` meanwhile. A run that was killed leaves no lock behind: the system lets go of it.

    Raises ValueError when another process holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / ".lock", timeout=0):
            yield
    except Timeout:
        raise ValueError(
            f"{folder}: another process trains here; wait for it, or give this run another folder"
        ) from None
