"""Copies of a set of DoomRooms that may be spoiled, and its episodes with other actions or pictures."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from slowfast.actions import ActionSpec, Continuous
from slowfast.datasets.episode import Episode
from slowfast.datasets.hdf5 import open_file, read_episode, write_file
from slowfast.datasets.store import episode_path

TRAIN, VALIDATION = "train", "validation"
WAYS = {
    "turn left": (-1, 0, 0),
    "turn right": (1, 0, 0),
    "forward": (0, 1, 0),
    "backward": (0, -1, 0),
    "strafe left": (0, 0, -1),
    "strafe right": (0, 0, 1),
}
AXES = ("turn", "forward", "strafe")


@dataclass(frozen=True)
class Planted:
    """Where a fault is. ``episode`` None: in the set as a whole, or said of the first of many."""

    split: str | None = None
    episode: str | None = None
    frame: int | None = None


class Copy:
    """A copy of a set, ``folder/SPLIT/episodes/NNNNNN.h5``; files are shared until they are written to."""

    def __init__(self, original: Path, folder: Path) -> None:
        self.folder = folder
        for path in sorted(original.glob("*/episodes/*.h5")):
            new = folder / path.relative_to(original)
            new.parent.mkdir(parents=True, exist_ok=True)
            os.link(path, new)

    def count(self, split: str) -> int:
        return len(list((self.folder / split / "episodes").glob("*.h5")))

    def path(self, split: str, number: int) -> Path:
        return episode_path(self.folder / split, number)

    def read(self, split: str, number: int) -> Episode:
        with open_file(self.path(split, number)) as file:  # without the index, which wants one action spec in all files
            return read_episode(file)

    def write(self, split: str, number: int, episode: Episode) -> None:
        write_file(self.path(split, number), episode, "none")  # takes the place of the shared file

    def change(self, split: str, number: int, change: Callable[[Episode], Episode]) -> None:
        self.write(split, number, change(self.read(split, number)))

    def change_all(self, change: Callable[[Episode], Episode]) -> None:
        for split in (TRAIN, VALIDATION):
            for number in range(self.count(split)):
                self.change(split, number, change)


def moved(episode: Episode, moves: np.ndarray) -> Episode:
    """With other choices, and the words that go with them."""
    words = np.array([*episode.spec["move"].labels, ""], object)
    return replace(episode, actions={"move": moves, "text": words[moves]})


def as_vector(episode: Episode) -> Episode:
    """With how far it turned, went and strafed in the place of the choice."""
    labels = episode.spec["move"].labels
    ways = np.array([WAYS.get(label, (0, 0, 0)) for label in labels], np.float32)
    spec = ActionSpec((Continuous("go", (-1.0,) * 3, (1.0,) * 3, AXES),))
    return replace(episode, spec=spec, actions={"go": ways[episode.actions["move"]]})


def with_frames(episode: Episode, frames: np.ndarray) -> Episode:
    return replace(episode, frames={"camera": frames})


def slipped(rows: np.ndarray, late: int, start: int = 0) -> np.ndarray:
    """Rows from ``start`` on ``late`` rows later than they should be (earlier if negative)."""
    return np.concatenate([rows[:start], np.roll(rows, late, 0)[start:]])
