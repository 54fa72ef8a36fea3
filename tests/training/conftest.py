"""A world of one line: each episode is a random panorama, the view turns along it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from slowfast.actions import ActionSpec, Discrete, Language
from slowfast.datasets.episode import Episode
from slowfast.datasets.store import write_episode

SPEC = ActionSpec((Discrete("move", ("turn left", "turn right", "stay")), Language("text", describes="move")))
SHIFT = (-4, 4, 0)


def panorama_episode(seed: int, length: int = 24, size: int = 16) -> Episode:
    random = np.random.default_rng(seed)
    blocks = random.integers(0, 256, (size // 8, 8, 3), np.uint8)
    panorama = blocks.repeat(8, axis=0).repeat(8, axis=1)  # [size, 64, 3]
    moves = random.integers(0, 3, length)
    position = np.cumsum([random.integers(64), *(SHIFT[move] for move in moves)])
    frames = np.stack([np.roll(panorama, -offset, axis=1)[:, :size] for offset in position])
    return Episode({"view": frames}, SPEC.columns(moves), SPEC, fps=10.0, metadata={"seed": seed})


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set of 20 short episodes of 16x16 frames."""
    folder = tmp_path_factory.mktemp("clips")
    for seed in range(20):
        write_episode(folder, panorama_episode(seed))
    return folder
