"""Rewards and ends of what is dreamed: a function of the user's, the world's own outcome head, or none.

What pays for ground covered is an outcome head that is not trained: it asks the world's odometry.
"""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import torch
from torch import nn

from slowfast.actions import Columns
from slowfast.heads.odometry import Odometry
from slowfast.heads.outcome import Outcomes
from slowfast.rewards import RewardFunction
from slowfast.world_model import WorldModel


def check_reward(world: WorldModel, reward: str | None, reward_fn: RewardFunction | None) -> None:
    """Raises ValueError for what is not known, for two rewards at once, and for a head that the world has not."""
    if reward not in (None, "head"):
        raise ValueError(f"reward={reward!r} is not None or 'head'; a function of your own goes into reward_fn")
    if reward is not None and reward_fn is not None:
        raise ValueError("reward='head' and reward_fn are two rewards: give one of them")
    if reward == "head" and world.outcome is None:
        raise ValueError(
            f"reward='head': the world {world.config.name!r} has no outcome head; `slowfast train outcome` adds one, "
            "reward_fn takes a function of your own"
        )


@torch.no_grad()
def told_by_head(
    world: WorldModel, before: torch.Tensor, after: torch.Tensor, actions: Columns, exact: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Rewards ``float64 [N]`` and ends ``bool [N]`` of N steps, by latents ``[N, C, h, w]`` before and after each and
    actions ``[N, 1]``. ``exact``: one by one, so that none depends on its neighbours by a last bit."""
    head = world.outcome
    assert head is not None
    vectors = world.action_tensors(actions)
    rows = [slice(row, row + 1) for row in range(len(after))] if exact else [slice(0, len(after))]
    rewards, ends = [], []
    for own in rows:
        told = world.slow.action_vectors({name: tensor[own] for name, tensor in vectors.items()})
        outcomes = head(before[own, None], after[own, None], told)
        rewards.append(outcomes.rewards[:, 0].cpu())
        ends.append(head.ends(outcomes.chances)[:, 0].cpu())
    return torch.cat(rewards).double().numpy(), torch.cat(ends).numpy()


class GroundOutcome(nn.Module):
    """What an :class:`~slowfast.heads.outcome.OutcomeHead` is asked, answered by an odometry: a step pays how far it
    led forward, in steps of the world, as :class:`~slowfast.envs.wrappers.ground_covered.GroundCovered` pays in a real
    one. No step ends anything."""

    def __init__(self, odometry: Odometry) -> None:
        super().__init__()
        self.odometry = odometry

    def forward(self, before: torch.Tensor, after: torch.Tensor, actions: torch.Tensor) -> Outcomes:
        """``[B, n, C, h, w]`` before and after each step, and the action vectors between them ``[B, n, D]``."""
        forward = self.odometry.paces(before, after, actions)[..., 0]
        return Outcomes(forward, torch.zeros_like(forward))

    def ends(self, chances: torch.Tensor) -> torch.Tensor:
        """None, ``bool`` like ``chances``."""
        return torch.zeros_like(chances, dtype=torch.bool)

    def save_pretrained(self, folder: str | Path, dtype: torch.dtype | None = None) -> None:
        """Raises ValueError: there is nothing to save beside the odometry."""
        raise ValueError(f"{folder}: paying_for_ground made this world's rewards; save the world that it was made from")


def paying_for_ground(world: WorldModel) -> WorldModel:
    """``world`` with a reward for ground covered: make a dream of it with ``reward="head"``.

    Weights are shared with ``world``, which stays as it is. Raises ValueError when it has no odometry.
    """
    if world.odometry is None:
        raise ValueError(
            f"the world {world.config.name!r} has no odometry, which tells how far a step led; "
            "`slowfast train odometry` adds one"
        )
    paying = copy.copy(world)
    paying.outcome = GroundOutcome(world.odometry).eval()  # type: ignore[assignment]  # asked as the head is
    return paying
