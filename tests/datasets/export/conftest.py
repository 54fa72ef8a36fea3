"""Folders of small episodes with every kind of action, and none missing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from slowfast.actions import ActionSpec, Component, Continuous, Discrete, Keyboard, Language
from slowfast.datasets.episode import Episode
from slowfast.datasets.store import Store, write_episode

MOVE = Discrete("move", ("left", "right", "stay"))
ARM = Continuous("arm", (-2.0, -1.0), (2.0, 1.0), ("x", "y"))
KEYS = Keyboard("keys", ("jump", "fire", "duck"))
TASK = Language("task")
COMPONENTS: dict[str, tuple[Component, ...]] = {
    "choice": (MOVE,),
    "vector": (ARM,),
    "keys": (KEYS,),
    "language": (TASK,),
    "mixed": (MOVE, ARM, KEYS, TASK),
    "described": (MOVE, Language("text", describes="move")),
}

MakeEpisode = Callable[..., Episode]
MakeStore = Callable[..., Store]


def build(kind: str = "mixed", count: int = 12, seed: int = 0, **changed: Any) -> Episode:
    """``count`` frames of a soft grey gradient that shifts, so that H.264 keeps it well."""
    rng = np.random.default_rng(seed)
    across, down = np.meshgrid(np.arange(32), np.arange(24))
    shades = np.stack([(3 * across + 2 * down + 9 * t + 40 * seed) % 128 + 60 for t in range(count)])
    spec = ActionSpec(COMPONENTS[kind])
    moves = rng.integers(0, 3, count - 1)
    columns: dict[str, Any] = {
        "move": moves,
        "arm": rng.uniform(-1, 1, (count - 1, 2)).astype(np.float32),
        "keys": rng.integers(0, 2, (count - 1, 3)),
        "task": np.where(np.arange(count - 1) < 5, "open the dör", "close it").astype(object),
        "text": np.array(MOVE.labels, object)[moves],
    }
    given: dict[str, Any] = {
        "frames": {"front": np.repeat(shades[..., None], 3, -1).astype(np.uint8)},
        "actions": {component.name: columns[component.name] for component in spec.components},
        "spec": spec,
        "fps": 12.5,
        "rewards": rng.normal(size=count - 1).astype(np.float32),
        "terminations": np.arange(count - 1) == count - 2,
        "states": {"joints": rng.normal(size=(count, 4)).astype(np.float32)},
        "infos": {"pose": rng.normal(size=(count, 3)), "room": rng.integers(0, 4, count)},
        "metadata": {"seed": seed},
    }
    return Episode(**{**given, **changed})


@pytest.fixture
def make_episode() -> MakeEpisode:
    return build


@pytest.fixture
def make_store(tmp_path: Path) -> MakeStore:
    """A folder of episodes of 12, 7 and 15 frames, or of those given."""

    def make(kind: str = "mixed", episodes: list[Episode] | None = None, **changed: Any) -> Store:
        if episodes is None:
            episodes = [build(kind, count, seed, **changed) for seed, count in enumerate((12, 7, 15))]
        for number, episode in enumerate(episodes):
            write_episode(tmp_path / "source", episode, "none", number, index=False)
        return Store(tmp_path / "source")

    return make


@pytest.fixture
def psnr() -> Callable[[np.ndarray, np.ndarray], float]:
    def measure(read: np.ndarray, written: np.ndarray) -> float:
        assert read.shape == written.shape
        return float(10 * np.log10(255**2 / max(((read.astype(float) - written) ** 2).mean(), 1e-9)))

    return measure
