"""Prefixes that roll: a dream's step runs its newest frame and the new ones alone, and its state stays a value."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from slowfast.dream import Dream
from slowfast.dream_state import DreamState
from slowfast.envs.dream import DreamEnv
from slowfast.envs.dream_vector import DreamVectorEnv
from slowfast.slow.config import SamplingConfig
from slowfast.world_model import WorldModel

MOVES = [0, 1, 2, 3, 4, 0, 1]


@pytest.fixture(scope="module")
def rolling_world(tiny_world_folder: Path) -> WorldModel:
    world = WorldModel.from_pretrained(tiny_world_folder)
    world.slow.set_sampling(SamplingConfig(roll_prefix=True))
    return world


@pytest.fixture
def frames_run(rolling_world: WorldModel) -> Any:
    """Frames in each of the network's calls."""
    counts: list[int] = []

    def note(module: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        counts.append(inputs[0].shape[2])

    handle = rolling_world.slow.unet.register_forward_pre_hook(note)
    yield counts
    handle.remove()


def begun(world: WorldModel, episodes: int = 1, context: int = 4, **options: Any) -> Dream:
    dream, frames = Dream(world, episodes, **options), world.starts.frames[:episodes, :context]
    dream.start(frames, [MOVES[: context - 1]] * episodes)
    return dream


def walked(dream: Dream, moves: list[int] = MOVES) -> torch.Tensor:
    return torch.cat([dream.step([[move]] * len(dream)) for move in moves], 1)


def test_a_step_runs_what_is_new_alone_and_dreams_nearly_the_same(
    rolling_world: WorldModel, tiny_world: WorldModel, frames_run: list[int]
) -> None:
    rolled = walked(begun(rolling_world, 2, 3))
    assert frames_run == [4, 5, 2, 2, 2, 2, 2]  # a context of 3, of 4, and from then on what has entered
    anew = walked(begun(tiny_world, 2, 3))
    assert torch.equal(rolled[:, :2], anew[:, :2])
    assert 0 < (rolled - anew).square().mean() < 0.1 * anew.square().mean()


def test_more_sampling_steps_run_the_new_frames_alone(rolling_world: WorldModel, frames_run: list[int]) -> None:
    dream = begun(rolling_world, steps=3)
    dream.step([[0, 1]])
    dream.step([[2]])
    assert frames_run == [6, 2, 2, 3, 1, 1]  # of the second window's context two frames are new


def test_a_whole_chunk_leaves_nothing_of_the_context(rolling_world: WorldModel, frames_run: list[int]) -> None:
    dream = begun(rolling_world)
    for count in (4, 1, 1):
        dream.step([MOVES[:count]])
    assert frames_run == [8, 5, 2]


def test_what_is_observed_is_looked_at_anew(rolling_world: WorldModel, frames_run: list[int]) -> None:
    frames = rolling_world.starts.frames[1:2]
    dream, fresh = begun(rolling_world), Dream(rolling_world)
    walked(dream)
    dream.observe(frames[:, :4], [[0, 1, 2]])
    fresh.start(frames[:, :4], [[0, 1, 2]])
    fresh.generators = [generator.clone_state() for generator in dream.generators]
    frames_run.clear()
    assert torch.equal(walked(dream), walked(fresh))
    dream.observe(frames[:, 4:5], [[3]])
    dream.step([[0]])
    assert frames_run[0] == frames_run[-1] == 5


def test_a_memory_sees_all_of_the_context(rolling_world: WorldModel, frames_run: list[int]) -> None:
    walked(begun(rolling_world, memory=rolling_world.new_memory(1)), [0, 1])
    assert set(frames_run) == {5}


def test_episodes_roll_apart(rolling_world: WorldModel) -> None:
    together, alone = begun(rolling_world, 3, seed=5), begun(rolling_world, 3, seed=5)
    made = walked(together, [0, 1, 2])
    for episode in range(3):
        own = torch.cat([alone.step([[move]], [episode]) for move in (0, 1, 2)], 1)
        torch.testing.assert_close(own[0], made[episode], rtol=0, atol=1e-4)
    apart = [2, 0, 1]  # whatever order they are named in
    made, own = together.step([[move] for move in apart], apart), alone.step([[0], [1], [2]])
    torch.testing.assert_close(made, own[apart], rtol=0, atol=1e-4)
    together.start(rolling_world.starts.frames[:1, :2], [[0]], [1])  # one begins again, the others go on
    alone.start(rolling_world.starts.frames[:1, :2], [[0]], [1])
    made = walked(together)
    own = torch.cat([alone.step([[move]], [0]) for move in MOVES], 1)
    torch.testing.assert_close(own[0], made[0], rtol=0, atol=1e-4)


def test_a_snapshot_holds_what_is_kept(rolling_world: WorldModel, tmp_path: Path) -> None:
    env = DreamEnv(rolling_world)
    env.reset(seed=3)
    for move in MOVES:
        env.step(move)
    snapshot = env.snapshot()
    ahead = [env.step(move)[0] for move in MOVES]
    snapshot.save(tmp_path / "moment.safetensors")
    for state in (snapshot, DreamState.load(tmp_path / "moment.safetensors")):
        fresh = DreamEnv(rolling_world)
        fresh.restore(state)
        assert np.array_equal([fresh.step(move)[0] for move in MOVES], ahead)


def test_snapshots_of_rolling_and_of_new_dreams_join(rolling_world: WorldModel) -> None:
    rolling, new = DreamEnv(rolling_world), DreamEnv(rolling_world)
    for env, moves in ((rolling, MOVES), (new, [])):
        env.reset(seed=3)
        for move in moves:
            env.step(move)
    vector = DreamVectorEnv(2, rolling_world, exact=True)
    vector.restore([new.snapshot(), rolling.snapshot()])
    seen = np.stack([vector.step([move] * 2)[0] for move in MOVES], 1)
    for number, env in enumerate((new, rolling)):
        assert np.array_equal(seen[number], [env.step(move)[0] for move in MOVES])
    vector.restore(vector.snapshot().part([1, 0]))
    assert np.array_equal(vector.step([0, 0])[0], [env.step(0)[0] for env in (rolling, new)])


def test_exact_steps_of_a_batch_are_those_alone(rolling_world: WorldModel) -> None:
    vector, single = DreamVectorEnv(2, rolling_world, exact=True), DreamEnv(rolling_world)
    vector.reset(seed=7)
    single.reset(seed=8)
    for move in MOVES:
        assert np.array_equal(vector.step([move] * 2)[0][1], single.step(move)[0])
