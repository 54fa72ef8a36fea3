"""A dream that reads another episode's memory for a while, and is itself again afterwards."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from slowfast.dream import Dream
from slowfast.evaluation.anothers_memory import reading_anothers
from slowfast.world_model import WorldModel


@pytest.fixture(scope="module")
def world(rooms_world_folder: Path) -> WorldModel:
    return WorldModel.from_pretrained(rooms_world_folder)


def taught(world: WorldModel, episodes: int) -> Dream:
    rule = world.memory_rule(memory="temp_lora")
    dream = Dream(world, episodes, world.new_memory(episodes, 1, rule), 0)
    frames = np.random.default_rng(0).integers(0, 255, (episodes, 12, *world.config.frame_size, 3), dtype=np.uint8)
    dream.start(frames, [[0] * 11] * episodes)
    return dream


def test_each_episode_reads_the_next_ones_memory_and_its_own_again(world: WorldModel) -> None:
    dream = taught(world, 3)
    before = dream.snapshot()
    assert dream.memory is not None
    rows = dream.memory.snapshot().rows
    assert len({row.numpy().tobytes() for row in rows}) == 3
    with reading_anothers(dream):
        assert torch.equal(dream.memory.snapshot().rows, rows[[1, 2, 0]])
        assert torch.equal(dream.context.latents, before.tensors["context.latents"])
        dream.step([[0]] * 3)
    after = dream.snapshot()
    assert all(torch.equal(own, after.tensors[name]) for name, own in before.tensors.items())


def test_a_single_world_has_no_other(world: WorldModel) -> None:
    with pytest.raises(ValueError, match="at least two worlds"), reading_anothers(taught(world, 1)):
        pass
