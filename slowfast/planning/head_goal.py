"""The rewards that a world has learned, as a goal."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from slowfast.dream import Dream
from slowfast.planning.objectives import Outcome


@dataclass(frozen=True)
class HeadGoal:
    """Minus the discounted sum of the rewards that the world's outcome head tells of what is imagined.

    A reward counts for as much as the episode is likely to have got to it: the step that ends an episode is still paid,
    those after it only as far as it may have gone on. ``dream`` is where the imagining begins, as it stands at each
    call: the first step is judged from its present frame. Raises ValueError for a world without an outcome head
    (``slowfast train outcome``).
    """

    dream: Dream
    discount: float = 1.0

    def __post_init__(self) -> None:
        world = self.dream.world
        if world.outcome is None:
            raise ValueError(
                f"the world {world.config.name!r} has no outcome head, so that nothing in it is worth anything: "
                "`slowfast train outcome` adds one, RewardGoal takes a function of your own"
            )

    @torch.no_grad()
    def __call__(self, outcome: Outcome) -> torch.Tensor:
        world, head = self.dream.world, self.dream.world.outcome
        assert head is not None
        count, steps = outcome.latents.shape[:2]
        present = self.dream.latents  # [E, C, h, w]
        present = present if outcome.episodes is None else present[outcome.episodes.to(present.device)]
        if count % len(present):
            raise ValueError(f"{count} candidates are not equally many for each of {len(present)} episodes")
        first = present.repeat_interleave(count // len(present), 0)[:, None].to(outcome.latents)
        before = torch.cat([first, outcome.latents[:, :-1]], 1)
        vectors = world.slow.action_vectors({**world.slow.null_actions(count, steps), **outcome.actions})
        rewards, chances = head(before, outcome.latents, vectors)
        going_on = torch.cat([torch.ones_like(chances[:, :1]), (1 - chances[:, :-1]).cumprod(1)], 1)
        discounts = self.discount ** torch.arange(steps, device=rewards.device)
        return -(rewards * going_on) @ discounts
