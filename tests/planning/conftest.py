"""Action specs to plan with, and generators."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from slowfast.actions import ActionSpec, Continuous, Discrete, Keyboard, Language
from slowfast.fast.generators import episode_generator

Generators = Callable[..., list[torch.Generator]]


@pytest.fixture
def spec() -> ActionSpec:
    """All kinds of action at once, and words, which nobody plans."""
    return ActionSpec(
        (
            Discrete("move", ("left", "right", "ahead")),
            Continuous("speed", (-2.0, 0.0), (2.0, 1.0)),
            Keyboard("keys", ("jump", "fire")),
            Language("text", describes="move"),
        )
    )


@pytest.fixture
def generators() -> Generators:
    def make(episodes: int, seed: int = 0) -> list[torch.Generator]:
        return [episode_generator(seed, episode) for episode in range(episodes)]

    return make
