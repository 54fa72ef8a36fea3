"""From an objective to a cost: every candidate is imagined from where a dream stands, and nothing is written.

Candidates share their episode's memory, which is read in one batch, and the noise of their episode, so that they are
compared for what they do and not for what they drew.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from einops import rearrange

from slowfast.dream import Dream
from slowfast.fast.generators import episode_generator
from slowfast.planning.objectives import Objective, Outcome
from slowfast.planning.plan import Actions
from slowfast.slow.windows import ActionTensors


@dataclass(frozen=True)
class ImaginedCost:
    """The cost of actions in ``dream`` as it stands at the call: what its world imagines, judged by ``objective``.

    ``seed``: of the noise, the same for all candidates of an episode and at every call. ``batch``: sequences that are
    imagined at once, at most (at least one of each episode). ``only``: ``bool [E]``, whose candidates are imagined
    (None: all); others cost nothing and take no time. The dream is not changed. Raises RuntimeError when an episode has
    not begun, ValueError when contexts differ in length (let the younger ones dream on first).
    """

    dream: Dream
    objective: Objective
    seed: int = 0
    batch: int = 256
    only: torch.Tensor | None = None

    @torch.no_grad()
    def __call__(self, candidates: Actions) -> torch.Tensor:
        first = next(iter(candidates.values()))
        costs = torch.zeros(first.shape[:2])
        chosen = torch.arange(len(first)) if self.only is None else self.only.nonzero().flatten()
        if not len(chosen):
            return costs
        share = max(1, self.batch // len(chosen))
        for start in range(0, first.shape[1], share):
            part = {name: own[chosen, start : start + share] for name, own in candidates.items()}
            costs[chosen, start : start + share] = self._costs(part, chosen)
        return costs

    def _costs(self, candidates: Actions, chosen: torch.Tensor) -> torch.Tensor:
        """Of candidates ``[E', K, H, ...]`` of the episodes ``chosen``."""
        world, (episodes, count) = self.dream.world, next(iter(candidates.values())).shape[:2]
        flat = {name: rearrange(own, "e k h ... -> (e k) h ...").to(world.device) for name, own in candidates.items()}
        generators = [episode_generator(self.seed, episode) for episode in chosen.tolist() for _ in range(count)]
        made = self.dream.imagine(self._completed(flat, episodes * count), generators, chosen)
        costs = torch.as_tensor(self.objective(Outcome(world, made, flat, episodes=chosen)))
        if costs.shape != (len(made),):
            raise ValueError(f"an objective returns [{len(made)}] costs, one a candidate, got {list(costs.shape)}")
        return costs.float().cpu().unflatten(0, (episodes, count))

    def _completed(self, actions: Actions, batch: int) -> ActionTensors:
        """With a null for what the world knows beside the acting components (words)."""
        horizon = next(iter(actions.values())).shape[1]
        return {**self.dream.world.slow.null_actions(batch, horizon), **actions}
