"""Chunks of actions: one denoising for n steps, through every wrapper in between."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest

from slowfast.actions import ActionSpec
from slowfast.envs.dream import DreamEnv
from slowfast.envs.wrappers import ChunkedActions
from slowfast.envs.wrappers.chunked_actions import repeated_space
from slowfast.world_model import WorldModel


def chunked(world: WorldModel, n: int, **arguments: Any) -> ChunkedActions:
    return ChunkedActions(gymnasium.make("slowfast/Dream-v0", world=world, **arguments), n)


def test_a_chunk_is_what_imagine_foretells(tiny_world: WorldModel) -> None:
    env = chunked(tiny_world, 4)
    env.reset(seed=11, options={"start": 2})
    observation, reward, terminated, truncated, info = env.step(np.array([1, 2, 3, 4]))
    random, _ = gymnasium.utils.seeding.np_random(11)
    seed = int(random.integers(2**63, size=2)[0])
    starts = tiny_world.starts
    actions = ActionSpec.concat([ActionSpec.select(starts.actions, 2), tiny_world.action_spec.columns([1, 2, 3, 4])])
    foretold = tiny_world.imagine(starts.frames[2], actions, seed=seed)
    assert np.array_equal(info["frames"], foretold)
    assert np.array_equal(observation, foretold[-1])
    assert (reward, terminated, truncated) == (0.0, False, False)


def test_a_chunk_is_one_denoising(tiny_world: WorldModel, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    generate = tiny_world.slow.generate
    monkeypatch.setattr(tiny_world.slow, "generate", lambda *a, **k: calls.append(a[2]) or generate(*a, **k))
    env = chunked(tiny_world, 3)
    env.reset(seed=0)
    env.step([0, 1, 2])
    assert calls == [3]


def test_steps_are_counted_one_by_one(tiny_world: WorldModel) -> None:
    env = chunked(tiny_world, 4, max_episode_steps=6)
    env.reset(seed=0)
    assert env.step([0] * 4)[3] is False
    _, _, _, truncated, info = env.step([0] * 4)
    assert truncated
    assert len(info["frames"]) == 2
    env.reset(seed=0)
    assert len(env.step([0] * 4)[4]["frames"]) == 4


def test_memory_learns_after_a_chunk(tiny_world: WorldModel) -> None:
    env = chunked(tiny_world, 4, memory="temp_lora")
    env.reset(options={"start": 0})
    assert env.step([0] * 4)[4]["memory_updates"] == 2


def test_latents_come_as_chunks_too(tiny_world: WorldModel) -> None:
    env = chunked(tiny_world, 2, observation="latents")
    env.reset(seed=0)
    assert env.step([0, 1])[4]["frames"].shape == (2, 4, 4, 4)


@pytest.mark.parametrize("n", [0, 5])
def test_no_more_than_the_world_makes_at_once(tiny_world: WorldModel, n: int) -> None:
    with pytest.raises(ValueError, match="1 to 4 actions"):
        chunked(tiny_world, n)


def test_too_few_actions_are_refused(tiny_world: WorldModel) -> None:
    env = chunked(tiny_world, 3)
    env.reset(seed=0)
    with pytest.raises(ValueError, match="takes 3 actions, got 2"):
        env.step([0, 1])


def test_prepared_frames_are_for_their_actions_alone(tiny_world: WorldModel) -> None:
    env = DreamEnv(tiny_world)
    env.reset(seed=0)
    env.prepare([0, 1])
    with pytest.raises(RuntimeError, match="not been stepped through"):
        env.observe(np.zeros((1, 32, 32, 3), np.uint8), [0])
    env.step(0)
    with pytest.raises(RuntimeError, match="prepared for action 1, not for 2"):
        env.step(2)


def test_spaces_are_n_fold() -> None:
    spaces = gymnasium.spaces
    assert repeated_space(spaces.Discrete(7), 3) == spaces.MultiDiscrete([7, 7, 7])
    box = repeated_space(spaces.Box(np.float32([-1, -2]), np.float32([1, 2])), 3)
    assert isinstance(box, spaces.Box)
    assert box.shape == (3, 2)
    assert box.low.tolist() == [[-1, -2]] * 3
    assert repeated_space(spaces.Text(5), 2) == spaces.Tuple([spaces.Text(5)] * 2)


class Counter(gymnasium.Env[np.ndarray, int]):
    """A real world without any notion of chunks: the reward is the action, the observation the step."""

    observation_space = gymnasium.spaces.Box(0, 99, (1,), np.int64)
    action_space = gymnasium.spaces.Discrete(5)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        self.steps = 0
        return np.array([0]), {}

    def step(self, action: int) -> Any:
        self.steps += 1
        return np.array([self.steps]), float(action), self.steps == 5, False, {"step": self.steps}


def test_a_world_without_chunks_is_stepped_n_times_and_rewards_add_up() -> None:
    env = ChunkedActions(Counter(), 3)
    env.reset()
    observation, reward, terminated, _, info = env.step([1, 2, 3])
    assert (observation.tolist(), reward, terminated, info["step"]) == ([3], 6.0, False, 3)
    _, reward, terminated, _, info = env.step([4, 4, 4])
    assert (reward, terminated, info["frames"].tolist()) == (8.0, True, [[4], [5]])
