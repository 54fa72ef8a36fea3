"""What a plan is for: costs of imagined outcomes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import torch

from slowfast.planning.plan import Actions
from slowfast.rewards import RewardFunction, judge
from slowfast.world_model import WorldModel


@dataclass(frozen=True)
class Outcome:
    """What a world imagines for N candidates of H actions: ``latents`` ``[N, H, C, h, w]`` after each action, and the
    ``actions`` themselves ``[N, H, ...]``. Candidates of one episode follow each other; ``episodes`` ``int64 [E']``:
    which of a dream's they belong to (None: all)."""

    world: WorldModel
    latents: torch.Tensor
    actions: Actions
    info: Mapping[str, Any] = field(default_factory=dict)
    episodes: torch.Tensor | None = None

    @cached_property
    def frames(self) -> np.ndarray:
        """``uint8 [N, H, H', W', 3]``, decoded when first asked for."""
        return self.world.decode(self.latents)


class Objective(Protocol):
    """``outcome`` of N candidates to costs ``float [N]``; less is better."""

    def __call__(self, outcome: Outcome) -> torch.Tensor: ...


@dataclass(frozen=True)
class ImageGoal:
    """The mean squared distance to a picture, in latents, of the frames that the actions lead to.

    ``goal``: normalised latents, ``[C, h, w]`` for all episodes or ``[E, C, h, w]``, see :meth:`of`. A frame that comes
    ``k`` steps later weighs ``discount ** k``; ``last`` (a share from 0 to 1) blends that mean with the distance of
    the last frame alone.
    """

    goal: torch.Tensor
    discount: float = 1.0
    last: float = 0.5

    @classmethod
    def of(cls, world: WorldModel, frame: np.ndarray, **settings: Any) -> ImageGoal:
        """Of one frame ``uint8 [H, W, 3]`` or of one an episode ``[E, H, W, 3]``."""
        frames = frame if frame.ndim == 4 else frame[None]
        latents = world.encode(frames[:, None])[:, 0]
        return cls(latents if frame.ndim == 4 else latents[0], **settings)

    def __call__(self, outcome: Outcome) -> torch.Tensor:
        count, steps = outcome.latents.shape[:2]
        goal = self.goal
        if goal.ndim == 4:
            goal = goal if outcome.episodes is None else goal[outcome.episodes.to(goal.device)]
            goal = goal.repeat_interleave(count // len(goal), 0)[:, None]
        distances = (outcome.latents - goal).square().flatten(2).mean(2)  # [N, H]
        weights = self.discount ** torch.arange(steps, device=distances.device)
        along = distances @ (weights / weights.sum())
        return self.last * distances[:, -1] + (1 - self.last) * along


@dataclass(frozen=True)
class RewardGoal:
    """A user's own reward (``slowfast.rewards``): the cost is minus the discounted sum of its rewards, up to and with
    the step at which it says that the episode ends."""

    reward_fn: RewardFunction
    discount: float = 1.0

    def __call__(self, outcome: Outcome) -> torch.Tensor:
        actions = {name: own.cpu().numpy() for name, own in outcome.actions.items()}
        rewards, ends = judge(self.reward_fn, outcome.frames, actions, outcome.info)
        lasts = np.cumsum(ends, 1) - ends == 0  # no end before this step
        return -torch.from_numpy((rewards * lasts) @ self.discount ** np.arange(rewards.shape[1]))
