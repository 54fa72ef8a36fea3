"""Memories are read by dreams, written by observing, and belong to one world."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from toy_world import ROOMS, SIZE, build, clip, close

from slowfast import WorldModel
from slowfast.fast import memory_rule
from slowfast.slow.compiled import compile_network
from slowfast.slow.config import SamplingConfig


def taught(world: WorldModel, episodes: int = 1) -> Any:
    memory = world.new_memory(episodes)
    frames = np.stack([clip(6, seed=10 + e) for e in range(episodes)])
    stats = world.observe(frames, [[0, 1, 2, 0, 1]] * episodes, memory)
    assert (stats["updates"] > 0).all()
    return memory


def test_dreams_read_the_memory_and_never_write_it(world: WorldModel) -> None:
    memory = taught(world)
    before = memory.snapshot()
    plain = world.imagine(clip(3), [0, 1, 2, 0])
    with_memory = world.imagine(clip(3), [0, 1, 2, 0], memory=memory)
    assert (plain != with_memory).any()
    after = memory.snapshot()
    assert torch.equal(after.rows, before.rows)
    assert torch.equal(after.random, before.random)
    assert torch.equal(after.stream.frames, before.stream.frames)
    assert (world.imagine(clip(3), [0, 1, 2, 0], memory=memory) == with_memory).all()
    assert (world.imagine(clip(3), [0, 1, 2, 0]) == plain).all()


def test_the_base_never_changes(world: WorldModel) -> None:
    before = world.base_hash
    world.imagine(clip(3), [0, 1, 2], memory=taught(world))
    assert WorldModel(world.config, world.codec, world.slow).base_hash == before


def test_candidates_share_their_episodes_memory(world: WorldModel) -> None:
    memory = taught(world, episodes=2)
    frames = clip(3, (4,))
    actions = [[0, 1, 2, 0]] * 4
    both = world.imagine(frames, actions, memory=memory)
    memory.reset([False, True])
    changed = world.imagine(frames, actions, memory=memory)
    assert close(changed[:2], both[:2])
    assert not close(changed[2:], both[2:])


def test_observing_goes_on_where_it_left_off(world: WorldModel) -> None:
    frames, actions = clip(7), [0, 1, 2, 0, 1, 2]
    whole, parts = world.new_memory(), world.new_memory()
    world.observe(frames, actions, whole)
    world.observe(frames[:1], [], parts)
    world.observe(frames[1:4], actions[:3], parts)
    world.observe(frames[4:], actions[3:], parts)
    torch.testing.assert_close(parts.snapshot().rows, whole.snapshot().rows, rtol=1e-3, atol=1e-4)
    with pytest.raises(ValueError, match=r"3 frames take 2 actions \(or 3, when they go on\), got 4"):
        world.observe(frames[:3], [0] * 4, parts)


def test_a_memory_of_another_world_is_refused(world: WorldModel, folder: Path) -> None:
    stranger = WorldModel.from_pretrained(folder).new_memory()
    with pytest.raises(ValueError, match="another world's network"):
        world.imagine(clip(1), [0], memory=stranger)
    with pytest.raises(ValueError, match="another world's network"):
        world.observe(clip(2), [0], stranger)


def test_the_memorys_rule_is_the_worlds_own_unless_named(world: WorldModel) -> None:
    assert (world.new_memory().rule.name, world.new_memory().rule.rank) == ("ancestor", 2)
    assert world.new_memory(rule="ancestor").rule == world.new_memory().rule
    assert world.new_memory(rule="paper").rule.name == "paper"
    rule = replace(world.new_memory().rule, rank=1)
    assert world.new_memory(rule=rule).rule == rule


@pytest.mark.parametrize("keep_prefix", [False, True])
def test_compiled_code_sees_memories_come_and_go(tmp_path: Path, keep_prefix: bool) -> None:
    build(widths=(8,)).save_pretrained(folder := tmp_path / "smallest")
    eager, compiled = WorldModel.from_pretrained(folder), WorldModel.from_pretrained(folder, compile=True)
    for each in (eager, compiled):
        each.slow.set_sampling(SamplingConfig(keep_prefix=keep_prefix))
    # Traced and guarded as ever, but no minutes of generating C++.
    compile_network(compiled.slow.unet, rare=0, backend="eager")
    frames, actions, rule = clip(3), [0, 1, 2], memory_rule("ancestor", rank=2, layers="temporal_attention")

    def dreams(world: WorldModel) -> list[np.ndarray]:
        memory, made = world.new_memory(rule=rule), [world.imagine(frames, actions)]
        for seed in range(2):  # the second finds compiled code that has read the first
            rows = torch.randn(memory.snapshot().rows.shape, generator=torch.Generator().manual_seed(seed))
            memory.restore(replace(memory.snapshot(), rows=rows))
            made.append(world.imagine(frames, actions, memory=memory))
        return [*made, world.imagine(frames, actions)]

    expected = dreams(eager)
    assert len({dream.tobytes() for dream in expected}) == 3
    assert all(close(one, two) for one, two in zip(dreams(compiled), expected, strict=True))


def test_no_part_stays_behind_on_another_device(world: WorldModel, folder: Path) -> None:
    moved = WorldModel.from_pretrained(folder, device="meta")
    latents = moved.encode(clip(3, (2,)))
    actions = moved.action_tensors(ROOMS.columns([[0, 1, "forward"]] * 2))
    assert {tensor.device.type for tensor in (latents, *actions.values())} == {"meta"}
    predicted = moved.slow.predict(latents, torch.zeros(2, 3, device="meta"), actions)
    assert predicted.shape == latents.shape
    assert moved.codec.decode(predicted).shape == (2, 3, 3, *SIZE)
    assert moved.device.type == "meta"
