"""Which episodes train and which are held out. Episodes of different seeds are different worlds, so an episode that is
not trained on is a world that was never seen."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from slowfast.actions import Columns
from slowfast.datasets.sources import EpisodeSource, open_source
from slowfast.datasets.store import Store


class Subset:
    """Some episodes of a source, as a source; ``episodes`` are their positions in ``whole``."""

    def __init__(self, whole: EpisodeSource, episodes: np.ndarray) -> None:
        self.whole, self.episodes = whole, episodes
        self.key, self.spec, self.lengths = whole.key, whole.spec, whole.lengths[episodes]

    def __len__(self) -> int:
        return len(self.episodes)

    def shape(self, i: int) -> tuple[int, ...]:
        return self.whole.shape(int(self.episodes[i]))

    def read(self, i: int, start: int, stop: int) -> np.ndarray:
        return self.whole.read(int(self.episodes[i]), start, stop)

    def actions(self, i: int) -> Columns:
        return self.whole.actions(int(self.episodes[i]))

    def metadata(self, i: int) -> dict[str, Any]:
        return self.whole.metadata(int(self.episodes[i]))

    def info(self, i: int, name: str, start: int, stop: int) -> np.ndarray | None:
        """Rows of a per-step info of episode ``i``, or None where the source keeps none by that name."""
        if not isinstance(self.whole, Store):
            return None
        rows = self.whole.info(int(self.episodes[i]), name)
        return None if rows is None else rows[start:stop]


@dataclass(frozen=True)
class Splits:
    """``held_out`` is a harder part (held-out textures) that is reported beside ``validation``, if there is one."""

    train: Subset
    validation: Subset
    held_out: Subset | None

    @property
    def measured(self) -> dict[str, Subset]:
        """The parts that validation measures, by the prefix of their figures' names."""
        return {"": self.validation} | ({"held_out_": self.held_out} if self.held_out else {})


def open_splits(data: Path, validation_episodes: int) -> Splits:
    """Opens ``data``: a folder with the data sets ``train``, ``validation`` and perhaps ``held_out``, or a single data
    set whose last ``validation_episodes`` episodes (at most half of all) are held out.

    Raises DatasetError on a folder without episodes, ValueError on a data set of a single episode.
    """
    if (data / "train").is_dir():
        held_out = _all(data / "held_out") if (data / "held_out").is_dir() else None
        return Splits(_all(data / "train"), _all(data / "validation"), held_out)
    source = open_source(data)
    if len(source) < 2:
        raise ValueError(f"{data} holds {len(source)} episode; training needs at least 2, one of them for validation")
    kept = len(source) - min(validation_episodes, len(source) // 2)
    return Splits(Subset(source, np.arange(kept)), Subset(source, np.arange(kept, len(source))), None)


def _all(folder: Path) -> Subset:
    source = open_source(folder)
    return Subset(source, np.arange(len(source)))
