"""The window of ``render_mode="human"``, on SDL's driver without a screen."""

from __future__ import annotations

import numpy as np
import pytest

from slowfast.envs.dream import DreamEnv
from slowfast.world_model import WorldModel


def test_human_mode_draws_every_frame(tiny_world: WorldModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    import pygame

    env = DreamEnv(tiny_world, render_mode="human")
    for act in (lambda: env.reset(seed=0), lambda: env.step(1)):
        observation = act()[0]
        shown = pygame.surfarray.array3d(pygame.display.get_surface()).swapaxes(0, 1)
        assert shown.shape == (384, 384, 3)
        assert np.array_equal(shown[::12, ::12], observation)
    assert env.render() is None
    env.close()
    env.close()
    assert pygame.display.get_surface() is None
