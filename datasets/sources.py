"""What a loader reads windows from, and the registry of the formats that can be one.

A new format is one file with a class of this shape, and one line in ``FORMATS``.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from slowfast.actions import ActionSpec, Columns
from slowfast.datasets.episode import DatasetError


class EpisodeSource(Protocol):
    """Episodes that can be read a window at a time; episode ``i`` has T = ``lengths[i]`` actions and T+1 items.

    ``key`` is the name that windows of items get in a batch ("frames" or "latents").
    """

    key: str
    spec: ActionSpec
    lengths: np.ndarray

    def __len__(self) -> int: ...

    def shape(self, i: int) -> tuple[int, ...]:
        """The shape of one item of episode ``i``."""

    def read(self, i: int, start: int, stop: int) -> np.ndarray:
        """Items ``start`` to ``stop`` (excluded), ``[stop - start, *shape(i)]``."""

    def actions(self, i: int) -> Columns:
        """All T actions."""

    def metadata(self, i: int) -> dict[str, Any]:
        """What is known of the episode: environment, seed, source, licence."""


@dataclass(frozen=True)
class Format:
    """A format by the files that a folder of it holds; ``opens`` is "module:class", called with the folder."""

    pattern: str
    opens: str


FORMATS: dict[str, Format] = {
    "episodes": Format("episodes/*.h5", "slowfast.datasets.store:Store"),
    "latents": Format("latents-*.safetensors", "slowfast.datasets.latents:LatentStore"),
}


def open_source(folder: Path | str) -> EpisodeSource:
    """Open a folder of any registered format. Raises :class:`DatasetError` where none fits."""
    folder = Path(folder)
    for entry in FORMATS.values():
        if next(folder.glob(entry.pattern), None) is not None:
            module, _, name = entry.opens.partition(":")
            opens: Callable[[Path], EpisodeSource] = getattr(importlib.import_module(module), name)
            return opens(folder)
    expected = ", ".join(f"{entry.pattern} ({name})" for name, entry in FORMATS.items())
    raise DatasetError(f"{folder}: no data set; expected a folder with {expected}")
