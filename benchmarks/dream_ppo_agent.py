"""The PPO of ``dream_ppo.py``: Stable-Baselines3's, with settings that learn something from ten thousand frames."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from gymnasium.vector import VectorEnv
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from torch import nn
from tqdm import tqdm

from slowfast.envs import to_sb3
from slowfast.evaluation.policies.glance import Glance


@dataclass(frozen=True)
class Learning:
    """PPO's own terms. ``rollout``: steps of each environment between two updates; the learning rate falls to 0. Tuned
    in real training worlds alone: what a turn is worth shows within a few steps, hence the low ``gamma``."""

    rollout: int = 16
    batch: int = 64
    epochs: int = 10
    learning_rate: float = 1e-3
    gamma: float = 0.9
    gae_lambda: float = 0.9
    entropy: float = 0.005
    width: int = 64


class Curve(BaseCallback):
    """``points``: frames so far, and the mean reward of a step since the last point."""

    def __init__(self, frames: int) -> None:
        super().__init__()
        self.points: list[tuple[int, float]] = []
        self.rewards: list[float] = []
        self.bar = tqdm(total=frames, unit="frame", leave=False)

    def _on_step(self) -> bool:
        self.rewards.append(float(np.mean(self.locals["rewards"])))
        self.bar.update(self.training_env.num_envs)
        return True

    def _on_rollout_end(self) -> None:
        self.points.append((self.num_timesteps, float(np.mean(self.rewards))))
        self.bar.set_postfix(reward=f"{self.points[-1][1]:.3f}")
        self.rewards.clear()

    def _on_training_end(self) -> None:
        self.bar.close()


def learn(
    envs: VectorEnv[Any, Any, Any], learning: Learning, frames: int, seed: int
) -> tuple[PPO, list[tuple[int, float]]]:
    """PPO after ``frames`` frames of ``envs`` (whole rollouts, so no more than these), and how it came there.

    Raises ValueError for fewer frames than environments.
    """
    steps = min(learning.rollout, frames // envs.num_envs)
    if not steps:
        raise ValueError(f"{frames} frames are less than one for each of {envs.num_envs} environments")
    whole = frames // (steps * envs.num_envs) * steps * envs.num_envs
    agent = untrained(envs, learning, steps, seed)
    curve = Curve(whole)
    agent.learn(whole, callback=curve)
    return agent, curve.points


def untrained(envs: VectorEnv[Any, Any, Any], learning: Learning, steps: int, seed: int) -> PPO:
    """A new agent that updates after ``steps`` steps of all ``envs``."""
    return PPO(
        "MlpPolicy",
        to_sb3(envs),
        learning_rate=lambda left: learning.learning_rate * left,
        n_steps=steps,
        batch_size=min(learning.batch, steps * envs.num_envs),
        n_epochs=learning.epochs,
        gamma=learning.gamma,
        gae_lambda=learning.gae_lambda,
        ent_coef=learning.entropy,
        policy_kwargs={
            "features_extractor_class": Glance,
            "features_extractor_kwargs": {"width": learning.width},
            "net_arch": [],
            "activation_fn": nn.ReLU,
        },
        # Its environments are seeded with this and what follows, so that no two trainings share them.
        seed=seed * envs.num_envs,
        device="cpu",
    )
