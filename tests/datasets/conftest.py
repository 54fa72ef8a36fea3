"""What the tests of data sets share: an importable tiny world, and episodes of every kind of field."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from slowfast.actions import ActionSpec, Columns, Continuous, Discrete, Keyboard, Language
from slowfast.datasets.episode import Episode
from slowfast.datasets.store import Store, write_episode

HELPERS = Path(__file__).parent / "helpers"
sys.path.append(str(HELPERS))

SPEC = ActionSpec(
    (
        Discrete("move", ("left", "right", "stay")),
        Continuous("turn", (-1.0,), (1.0,), ("degrees",)),
        Keyboard("keys", ("jump", "fire")),
        Language("text", describes="move"),
    )
)


@pytest.fixture
def helpers_environment() -> dict[str, str]:
    """Environment variables of a child process that imports the tiny world."""
    return {**os.environ, "PYTHONPATH": str(HELPERS)}


def build_episode(length: int, seed: int) -> Episode:
    """T = ``length`` actions, two cameras with H ≠ W; frame t of episode ``seed`` says both in its pixels."""
    rng = np.random.default_rng(seed)
    front = rng.integers(0, 256, (length + 1, 12, 20, 3), np.uint8)
    front[:, 0, 0, 0], front[:, 0, 0, 1] = seed, np.arange(length + 1)
    moves = rng.integers(-1, 3, length)
    actions: Columns = {
        "move": moves,
        "turn": rng.uniform(-1, 1, (length, 1)).astype(np.float32),
        "keys": rng.integers(-1, 2, (length, 2)),
        "text": np.array(["left", "right ü", "stay", ""], object)[moves],
    }
    return Episode(
        frames={"front": front, "wrist": rng.integers(0, 256, (length + 1, 16, 8, 3), np.uint8)},
        actions=actions,
        spec=SPEC,
        fps=12.5,
        rewards=rng.normal(size=length).astype(np.float32),
        terminations=np.arange(length) == length - 1,
        states={"joints": rng.normal(size=(length + 1, 7)).astype(np.float32)},
        infos={"pose": rng.normal(size=(length + 1, 3)), "room": rng.integers(0, 4, length + 1)},
        metadata={"environment": "test", "seed": seed, "instruction": "go – there", "licence": "CC0-1.0"},
    )


@pytest.fixture
def episode() -> Callable[[int, int], Episode]:
    return build_episode


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Five episodes of 40, 9, 23, 7 and 31 actions."""
    for seed, length in enumerate((40, 9, 23, 7, 31)):
        write_episode(tmp_path / "store", build_episode(length, seed), number=seed, index=False)
    return Store(tmp_path / "store")
