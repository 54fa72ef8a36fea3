"""A reward of the user's own, in single and vector dreams."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

from slowfast.actions import Columns
from slowfast.envs.dream import DreamEnv
from slowfast.envs.dream_vector import DreamVectorEnv
from slowfast.world_model import WorldModel


class Brightness:
    """Pays for bright frames and ends after action 4; remembers what it was asked about."""

    def __init__(self) -> None:
        self.asked: list[tuple[tuple[int, ...], Mapping[str, Any]]] = []

    def __call__(self, frames: np.ndarray, actions: Columns, info: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray]:
        self.asked.append((frames.shape, info))
        assert frames.dtype == np.uint8
        return frames.mean((2, 3, 4)) / 255, actions["move"] == 4


def test_a_dream_pays_what_the_user_says(tiny_world: WorldModel) -> None:
    reward_fn = Brightness()
    env = DreamEnv(tiny_world, memory="temp_lora", reward_fn=reward_fn)
    env.reset(seed=0)
    frame, reward, terminated, truncated, _ = env.step(1)
    assert reward == pytest.approx(frame.mean() / 255)
    assert (terminated, truncated) == (False, False)
    assert env.step(4)[2]
    shape, info = reward_fn.asked[0]
    assert shape == (1, 1, 32, 32, 3)
    assert set(info) == {"memory_updates", "memory_frames_pending", "start"}
    assert all(value.shape == (1,) for value in info.values())


@pytest.mark.parametrize("observation", ["frames", "latents"])
def test_a_vector_pays_each_environment_what_it_earns_alone(tiny_world: WorldModel, observation: str) -> None:
    actions = np.array([[0, 1], [1, 4], [2, 3], [3, 0]])  # the second one ends at the second step
    venv = DreamVectorEnv(2, tiny_world, reward_fn=Brightness(), observation=observation, exact=True)
    venv.reset(seed=3)
    paid = [venv.step(row)[1:3] for row in actions]
    alone = DreamEnv(tiny_world, reward_fn=Brightness())
    alone.reset(seed=3)
    for row, (rewards, terminated) in zip(actions, paid, strict=True):
        assert rewards[0] == alone.step(int(row[0]))[1]
        assert not terminated[0]
    assert [bool(ends[1]) for _, ends in paid] == [False, True, False, False]
    assert paid[2][0][1] == 0.0  # that step only reset it
    assert paid[3][0][1] > 0


@pytest.mark.parametrize("mode", ["SameStep", "Disabled"])
def test_an_end_resets_as_the_mode_says(tiny_world: WorldModel, mode: str) -> None:
    venv = DreamVectorEnv(2, tiny_world, reward_fn=Brightness(), autoreset_mode=mode)
    venv.reset(seed=3)
    _, _, terminated, truncated, infos = venv.step(np.array([4, 0]))
    assert terminated.tolist() == [True, False]
    assert not truncated.any()
    if AutoresetMode(mode) is AutoresetMode.SAME_STEP:
        assert infos["final_obs"][0].shape == (32, 32, 3)
        venv.step(np.array([0, 0]))
    else:
        with pytest.raises(RuntimeError, match=r"\[0\] have ended"):
            venv.step(np.array([0, 0]))


def test_a_reward_reaches_through_gymnasium_make(tiny_world: WorldModel) -> None:
    env = gymnasium.make("slowfast/Dream-v0", world=tiny_world, reward_fn=Brightness())
    env.reset(seed=0)
    assert float(env.step(0)[1]) > 0


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (np.zeros(1), r"rewards \[1, 1\]"),
        ((np.zeros((1, 1)), np.zeros((1, 1))), "ends as bool"),
        (np.full((1, 1), np.nan), "NaN"),
    ],
)
def test_an_answer_that_is_no_reward_is_refused(tiny_world: WorldModel, answer: Any, message: str) -> None:
    env = DreamEnv(tiny_world, reward_fn=lambda frames, actions, info: answer)
    env.reset(seed=0)
    with pytest.raises(ValueError, match=message):
        env.step(0)
