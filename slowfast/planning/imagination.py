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
from slowfast.slow.windows import ActionTensors, concat_actions


@dataclass(frozen=True)
class ImaginedCost:
    """The cost of actions in ``dream`` as it stands at the call: what its world imagines, judged by ``objective``.

    ``seed``: of the noise, the same for all candidates of an episode and at every call. ``batch``: sequences that are
    imagined at once, at most (at least one of each episode). The dream is not changed. Raises RuntimeError when an
    episode has not begun, ValueError when contexts differ in length (let the younger ones dream on first).
    """

    dream: Dream
    objective: Objective
    seed: int = 0
    batch: int = 256

    @torch.no_grad()
    def __call__(self, candidates: Actions) -> torch.Tensor:
        first = next(iter(candidates.values()))
        episodes, count = first.shape[:2]
        share = max(1, self.batch // episodes)
        parts = [
            {name: own[:, start : start + share] for name, own in candidates.items()}
            for start in range(0, count, share)
        ]
        return torch.cat([self._costs(part) for part in parts], 1)

    def _costs(self, candidates: Actions) -> torch.Tensor:
        """Of candidates ``[E, K, H, ...]``."""
        dream, world = self.dream, self.dream.world
        length, (episodes, count) = self._length(), next(iter(candidates.values())).shape[:2]
        flat = {name: rearrange(own, "e k h ... -> (e k) h ...").to(world.device) for name, own in candidates.items()}
        context = dream.context.windows(torch.arange(episodes), length, 0)
        latents = context.latents.repeat_interleave(count, 0)
        past = {name: own.repeat_interleave(count, 0) for name, own in context.actions.items()}
        new = self._completed(flat, len(latents))
        generators = [episode_generator(self.seed, episode) for episode in range(episodes) for _ in range(count)]
        made = world.imagine_latents(latents, concat_actions([past, new]), dream.memory, generators)
        costs = torch.as_tensor(self.objective(Outcome(world, made, flat)))
        if costs.shape != (len(made),):
            raise ValueError(f"an objective returns [{len(made)}] costs, one a candidate, got {list(costs.shape)}")
        return costs.float().cpu().unflatten(0, (episodes, count))

    def _length(self) -> int:
        lengths = self.dream.lengths.unique().tolist()
        if lengths[0] == 0:
            raise RuntimeError("an episode of the dream has not begun: call start() first")
        if len(lengths) > 1:
            raise ValueError(f"episodes have contexts of {lengths} frames; imagining needs them equally long")
        return lengths[0]

    def _completed(self, actions: Actions, batch: int) -> ActionTensors:
        """With a null for what the world knows beside the acting components (words)."""
        horizon = next(iter(actions.values())).shape[1]
        return {**self.dream.world.slow.null_actions(batch, horizon), **actions}
