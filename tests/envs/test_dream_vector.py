"""The vector environment: one denoise for all, and each environment as if it were alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode
from gymnasium.wrappers.vector import NormalizeObservation, RecordEpisodeStatistics

from slowfast.envs.dream import DreamEnv
from slowfast.envs.dream_vector import DreamVectorEnv
from slowfast.world_model import WorldModel

ACTIONS = np.random.default_rng(0).integers(0, 5, (7, 3))
both_memories = pytest.mark.parametrize("memory", ["off", "temp_lora"])


def alone(world: WorldModel, number: int, **arguments: Any) -> np.ndarray:
    """What environment ``number`` sees when it is the only one."""
    env = DreamEnv(world, **arguments)
    seen = [env.reset(seed=10 + number)[0]]
    return np.stack([*seen, *(env.step(int(action))[0] for action in ACTIONS[:, number])])


def together(world: WorldModel, **arguments: Any) -> np.ndarray:
    env = DreamVectorEnv(3, world, **arguments)
    seen = [env.reset(seed=10)[0]]
    return np.stack([*seen, *(env.step(actions)[0] for actions in ACTIONS)], 1)


def test_gymnasium_makes_it_with_its_limit_and_modes(tiny_world_folder: Path) -> None:
    env = gymnasium.make_vec(
        "slowfast/Dream-v0",
        num_envs=2,
        vectorization_mode="vector_entry_point",
        world=str(tiny_world_folder),
        autoreset_mode="SameStep",
        max_episode_steps=4,
    )
    assert env.unwrapped.autoreset_mode is env.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
    assert env.spec is not None
    assert env.spec.kwargs["max_episode_steps"] == 4
    observations, infos = env.reset(seed=0)
    assert observations in env.observation_space
    assert infos["_start"].all()
    assert env.step(env.action_space.sample())[0] in env.observation_space


@both_memories
def test_values_agree_with_each_environment_alone(tiny_world: WorldModel, memory: str) -> None:
    seen = together(tiny_world, memory=memory, observation="latents")
    for number in range(3):
        expected = alone(tiny_world, number, memory=memory, observation="latents")
        assert np.abs(seen[number] - expected).max() < 1e-4


@both_memories
def test_exact_frames_are_equal_to_the_bit(tiny_world: WorldModel, memory: str) -> None:
    seen = together(tiny_world, memory=memory, exact=True)
    for number in range(3):
        assert np.array_equal(seen[number], alone(tiny_world, number, memory=memory))


@both_memories
def test_a_reset_of_one_is_not_felt_by_the_others(tiny_world: WorldModel, memory: str) -> None:
    runs = []
    for resets in (False, True):
        env = DreamVectorEnv(3, tiny_world, memory=memory, observation="latents", exact=True)
        env.reset(seed=10)
        for number, actions in enumerate(ACTIONS):
            if resets and number == 3:
                _, infos = env.reset(options={"reset_mask": np.array([False, True, False])})
                assert infos["_start"].tolist() == [False, True, False]
            observations = env.step(actions)[0]
        runs.append(observations)
    assert np.array_equal(runs[0][[0, 2]], runs[1][[0, 2]])
    assert not np.array_equal(runs[0][1], runs[1][1])


def test_next_step_resets_in_the_step_after_an_end(tiny_world: WorldModel) -> None:
    env = DreamVectorEnv(2, tiny_world, max_episode_steps=2)
    env.reset(seed=0, options={"start": [0, 1]})
    assert not env.step([0, 0])[3].any()
    assert env.step([0, 0])[3].all()
    observations, rewards, terminated, truncated, infos = env.step([0, 0])
    assert not rewards.any()
    assert not (terminated | truncated).any()
    first = tiny_world.starts.frames[infos["start"], -1]
    assert np.array_equal(
        observations, np.stack([tiny_world.decode(tiny_world.encode(f[None, None]))[0, 0] for f in first])
    )
    assert not env.step([0, 0])[3].any()
    assert env.step([0, 0])[3].all()


def test_same_step_hands_over_what_was_last(tiny_world: WorldModel) -> None:
    env = DreamVectorEnv(2, tiny_world, max_episode_steps=2, autoreset_mode=AutoresetMode.SAME_STEP)
    twin = DreamVectorEnv(2, tiny_world, max_episode_steps=None)
    env.reset(seed=0)
    twin.reset(seed=0)
    env.reset(options={"reset_mask": np.array([True, False])})  # so that their episodes end one after the other
    env.step([1, 2])
    twin.step([1, 2])
    last = twin.step([1, 2])[0]
    observations, _, _, truncated, infos = env.step([1, 2])
    assert truncated.tolist() == [True, True]
    assert np.array_equal(infos["final_obs"][1], last[1])
    assert infos["_final_info"].tolist() == [True, True]
    assert infos["final_info"]["start"].shape == (2,)
    assert not np.array_equal(observations[1], last[1])
    assert not env.step([1, 2])[3].any()


def test_disabled_waits_for_a_reset(tiny_world: WorldModel) -> None:
    env = DreamVectorEnv(2, tiny_world, max_episode_steps=1, autoreset_mode="Disabled")
    env.reset(seed=0)
    assert env.step([0, 0])[3].all()
    with pytest.raises(RuntimeError, match=r"\[0, 1\] have ended"):
        env.step([0, 0])
    env.reset(options={"reset_mask": np.array([True, False])})
    with pytest.raises(RuntimeError, match=r"\[1\] have ended"):
        env.step([0, 0])


def test_starts_may_be_frames_of_yours_of_any_length(tiny_world: WorldModel) -> None:
    frames = [np.random.default_rng(n).integers(0, 256, (n, 32, 32, 3), np.uint8) for n in (1, 3)]
    env = DreamVectorEnv(2, tiny_world, memory="temp_lora")
    observations, infos = env.reset(options={"frames": frames, "actions": [[], ["turn left", 1]]})
    assert infos["start"].tolist() == [-1, -1]
    assert np.array_equal(observations[1], tiny_world.decode(tiny_world.encode(frames[1][None, -1:]))[0, 0])
    env.step(["turn left", {"move": 2}])
    env.observe(frames[1][None, :2], [[0, 1]], [1])
    assert env.dream.lengths.tolist() == [2, min(6, tiny_world.config.context)]


def test_words_for_one_and_all(tiny_world: WorldModel) -> None:
    env = DreamVectorEnv(2, tiny_world, render_mode="rgb_array")
    with pytest.raises(RuntimeError, match="call reset"):
        env.step([0, 0])
    observations, _ = env.reset(seed=1)
    assert np.array_equal(np.stack(env.render()), observations)
    with pytest.raises(ValueError, match="1 actions for num_envs=2"):
        env.step([0])
    for options in ({"reset_mask": np.zeros(2, bool)}, {"reset_mask": [1, 0]}, {"begin": 3}, {"start": 10**6}):
        with pytest.raises(ValueError, match="reset"):
            env.reset(options=options)
    with pytest.raises(ValueError, match="3 seeds for num_envs=2"):
        env.reset(seed=[1, 2, 3])
    with pytest.raises(ValueError, match="num_envs=0"):
        DreamVectorEnv(0, tiny_world)


def test_gymnasium_s_own_wrappers_fit(tiny_world: WorldModel) -> None:
    env = RecordEpisodeStatistics(DreamVectorEnv(2, tiny_world, max_episode_steps=3, autoreset_mode="SameStep"))
    env.reset(seed=0)
    for _ in range(3):
        infos = env.step(env.action_space.sample())[4]
    assert infos["episode"]["l"].tolist() == [3, 3]
    scaled = NormalizeObservation(DreamVectorEnv(2, tiny_world, observation="latents"))
    scaled.reset(seed=0)
    assert np.isfinite(scaled.step(scaled.action_space.sample())[0]).all()
