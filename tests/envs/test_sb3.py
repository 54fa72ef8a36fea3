"""Stable-Baselines3 in a dream: its conventions, and PPO for a few hundred steps."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest

import slowfast.envs
from slowfast.envs.dream_vector import DreamVectorEnv
from slowfast.world_model import WorldModel

pytest.importorskip("stable_baselines3")


def forward_pays(frames: np.ndarray, actions: Any, info: Any) -> np.ndarray:
    return (actions["move"] == 2).astype(float)


def make(world: WorldModel, **arguments: Any) -> Any:
    settings = {"autoreset_mode": "SameStep", "observation": "latents", "reward_fn": forward_pays}
    return slowfast.envs.to_sb3(DreamVectorEnv(4, world, **{**settings, **arguments}))


def test_ppo_learns_in_a_dream(tiny_world: WorldModel) -> None:
    from stable_baselines3 import PPO
    from stable_baselines3.common.vec_env import VecMonitor

    venv = VecMonitor(make(tiny_world, max_episode_steps=8))
    agent = PPO("MlpPolicy", venv, n_steps=32, batch_size=64, n_epochs=8, learning_rate=3e-3, seed=0, device="cpu")
    agent.learn(640)
    episodes = list(agent.ep_info_buffer)
    assert all(episode["l"] == 8 for episode in episodes)
    early, late = (np.mean([episode["r"] for episode in part]) for part in (episodes[:16], episodes[-16:]))
    assert late > early + 1  # of 8, by luck 1.6


def test_an_end_tells_what_was_last_seen_and_why_it_ended(tiny_world: WorldModel) -> None:
    venv = make(tiny_world, max_episode_steps=2)
    venv.seed(5)
    first = venv.reset()
    assert first.shape == (4, *venv.observation_space.shape)
    assert [set(info) for info in venv.reset_infos] == [{"memory_updates", "memory_frames_pending", "start"}] * 4
    seen, rewards, dones, infos = venv.step(np.array([2, 0, 2, 0]))
    assert rewards.tolist() == [1, 0, 1, 0]
    assert rewards.dtype == np.float32
    assert not dones.any()
    _, _, dones, infos = venv.step(np.array([0, 0, 0, 0]))
    assert dones.all()
    assert all(info["TimeLimit.truncated"] for info in infos)
    assert all(info["terminal_observation"].shape == seen.shape[1:] for info in infos)
    venv.seed(5)
    assert np.array_equal(venv.reset(), first)


def test_pictures_attributes_and_methods_are_those_of_the_vector(tiny_world: WorldModel) -> None:
    venv = make(tiny_world, observation="frames", render_mode="rgb_array")
    venv.reset()
    assert np.stack(venv.get_images()).shape == (4, 32, 32, 3)
    assert venv.get_attr("max_episode_steps") == [500] * 4
    venv.set_attr("max_episode_steps", 7)
    assert venv.venv.max_episode_steps == 7
    with pytest.raises(ValueError, match="without indices"):
        venv.set_attr("max_episode_steps", 7, indices=[0])
    assert len(venv.env_method("snapshot", indices=[0, 1])) == 2
    assert venv.env_is_wrapped(object) == [False] * 4


def test_another_way_of_resetting_is_refused(tiny_world: WorldModel) -> None:
    with pytest.raises(ValueError, match="autoreset_mode='SameStep'"):
        make(tiny_world, autoreset_mode="NextStep")


def test_without_the_extra_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "slowfast.envs.sb3", raising=False)
    monkeypatch.setitem(sys.modules, "stable_baselines3.common.vec_env", None)
    with pytest.raises(ImportError, match=r"slowfast\[rl\]"):
        slowfast.envs.to_sb3(None)
