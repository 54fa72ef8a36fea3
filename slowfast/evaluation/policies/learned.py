"""A policy that Stable-Baselines3 (extra ``rl``) has learned, as one that is evaluated."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from gymnasium.vector import VectorEnv
from stable_baselines3.common.distributions import CategoricalDistribution
from stable_baselines3.common.policies import ActorCriticPolicy

from slowfast.evaluation.policies.walkers import generators


class Learned:
    """Draws its moves from the probabilities of ``policy``, as in training; one network pass serves all worlds.

    Each world has a generator of its own. Raises TypeError for a policy whose actions are not discrete.
    """

    def __init__(self, policy: ActorCriticPolicy, seed: int = 0) -> None:
        if not isinstance(policy.action_dist, CategoricalDistribution):
            raise TypeError(f"a policy with discrete actions is needed, this has {type(policy.action_dist).__name__}")
        self.policy, self.seed = policy, seed

    def begin(self, envs: VectorEnv[Any, Any, Any], worlds: Sequence[int]) -> None:
        self.generators = generators(self.seed, worlds)

    @torch.no_grad()
    def act(self, observations: np.ndarray) -> np.ndarray:
        self.policy.set_training_mode(False)
        tensors, _ = self.policy.obs_to_tensor(observations)
        chances: torch.Tensor = self.policy.get_distribution(tensors).distribution.probs  # type: ignore[union-attr]  # discrete
        reached = chances.double().cpu().cumsum(1).numpy()
        drawn = np.array([generator.random() for generator in self.generators])
        return (reached < drawn[:, None] * reached[:, -1:]).sum(1)
