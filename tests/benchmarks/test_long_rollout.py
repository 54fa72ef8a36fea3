"""The benchmark of long dreams: what it says rolls does, and a chunk is what it says."""

from __future__ import annotations

from pathlib import Path

import long_rollout
import numpy as np
import torch
from torch import nn

from slowfast.world_model import WorldModel

FRAMES = 60


def test_rolled_ways_dream_frame_by_frame_and_run_what_is_new_alone(small_world: Path) -> None:
    world = WorldModel.from_pretrained(small_world)
    counts: list[int] = []

    def note(module: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        counts.append(inputs[0].shape[2])

    world.slow.unet.register_forward_pre_hook(note)
    context = world.config.context
    frames = np.zeros((1, context, 16, 16, 3), np.uint8)
    actions = dict(world.action_spec.null((1, context - 1 + FRAMES)))
    for label, way in long_rollout.other_ways(world).items():
        counts.clear()
        world.slow.set_sampling(way.sampling)
        made, _ = long_rollout.dream(world, frames, actions, None, way.chunk)
        assert made.shape[:2] == (1, FRAMES)
        assert ("rolled" in label) == (counts[-1] <= 2), (label, counts)
