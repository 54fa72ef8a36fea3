"""The vector frame stack against Gymnasium's own for single environments, through every kind of autoreset."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from gymnasium.wrappers import FrameStackObservation

from slowfast.envs.dream_vector import DreamVectorEnv
from slowfast.envs.wrappers import VectorFrameStack
from slowfast.world_model import WorldModel

LENGTHS = (3, 5)
STEPS = 12


class Counter(gymnasium.Env[np.ndarray, int]):
    """Shows (episode, step); an episode is over after ``length`` steps."""

    observation_space = Box(0, 100, (2,), np.float32)
    action_space = Discrete(2)

    def __init__(self, length: int) -> None:
        self.length, self.episode, self.now = length, -1, 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[np.ndarray, dict]:
        self.episode, self.now = self.episode + 1, 0
        return self._seen(), {}

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict]:
        self.now += 1
        return self._seen(), 1.0, self.now == self.length, False, {}

    def _seen(self) -> np.ndarray:
        return np.array([self.episode, self.now], np.float32)


def stacks_alone(length: int, n: int) -> list[np.ndarray]:
    """What a stack over one environment shows: at each reset and step, for a few episodes."""
    env = FrameStackObservation(Counter(length), n, padding_type="reset")
    seen = []
    for _ in range(6):
        seen.append(np.asarray(env.reset()[0]))
        for _ in range(length):
            seen.append(np.asarray(env.step(0)[0]))
    return seen


@pytest.mark.parametrize("n", [1, 3])
@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_stacks_are_those_of_each_environment_alone(mode: AutoresetMode, n: int) -> None:
    venv = SyncVectorEnv([lambda length=length: Counter(length) for length in LENGTHS], autoreset_mode=mode)
    env = VectorFrameStack(venv, n)
    assert env.observation_space.shape == (2, n, 2)
    seen: list[list[np.ndarray]] = [[], []]
    observations, _ = env.reset()
    for number in range(2):
        seen[number].append(observations[number])
    for _ in range(STEPS):
        observations, _, terminated, truncated, infos = env.step(np.zeros(2, int))
        assert observations in env.observation_space
        ended = terminated | truncated
        for number in range(2):
            if mode is AutoresetMode.SAME_STEP and ended[number]:
                seen[number].append(infos["final_obs"][number])
            seen[number].append(observations[number])
        if mode is AutoresetMode.DISABLED and ended.any():
            observations, _ = env.reset(options={"reset_mask": ended})
            for number in np.flatnonzero(ended):
                seen[number].append(observations[number])
    for number, length in enumerate(LENGTHS):
        expected = stacks_alone(length, n)
        assert len(seen[number]) > 2 * length
        assert all(np.array_equal(*pair) for pair in zip(seen[number], expected, strict=False))


def test_a_stack_over_dreams(tiny_world: WorldModel) -> None:
    env = VectorFrameStack(DreamVectorEnv(2, tiny_world, max_episode_steps=2), 3)
    first, _ = env.reset(seed=0)
    assert first in env.observation_space
    assert (first == first[:, :1]).all()
    second = env.step(np.array([0, 1]))[0]
    assert np.array_equal(second[:, :2], first[:, 1:])
    env.step(np.array([0, 1]))
    anew = env.step(np.array([0, 1]))[0]
    assert (anew == anew[:, :1]).all()


def test_what_cannot_be_stacked_is_said() -> None:
    venv = SyncVectorEnv([lambda: Counter(3)])
    with pytest.raises(ValueError, match="at least one"):
        VectorFrameStack(venv, 0)
    venv.metadata = {}
    with pytest.raises(ValueError, match="autoreset_mode"):
        VectorFrameStack(venv, 2)
