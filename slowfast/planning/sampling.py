"""Planners that draw candidates, weigh them by cost, and draw again around the better ones."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from slowfast.actions import ActionSpec
from slowfast.planning.distributions import ActionDistribution
from slowfast.planning.noise import colored_noise
from slowfast.planning.plan import Actions, Budget, Cost, Plan, Progress, ahead, checked


@dataclass(frozen=True)
class SearchState:
    """Where a search stands: the distribution, and the best candidates so far ``[E, n, H, ...]`` (None: none kept)."""

    distribution: ActionDistribution
    elites: Actions | None = None

    def after(self, steps: int) -> SearchState:
        kept = None if self.elites is None else {name: ahead(own, steps, 2) for name, own in self.elites.items()}
        return SearchState(self.distribution.after(steps), kept)


@dataclass(frozen=True)
class SamplingPlanner(ABC):
    """``horizon``: actions of a plan. ``candidates``: drawn an iteration, for each episode. ``iterations``: at most.
    ``momentum``: how much of the old distribution stays at a refit, in [0, 1). ``exponent``: of the noise's spectrum,
    0 for independent steps (``noise.py``).

    The likeliest sequence of the distribution is the first candidate of every iteration.
    """

    spec: ActionSpec
    horizon: int = 8
    candidates: int = 64
    iterations: int = 4
    momentum: float = 0.1
    exponent: float = 0.0

    def __post_init__(self) -> None:
        for name, least in (("horizon", 1), ("candidates", 2), ("iterations", 1)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} is at least {least}, got {getattr(self, name)}")
        if not 0 <= self.momentum < 1:
            raise ValueError(f"momentum is in [0, 1), got {self.momentum}")
        if self.exponent < 0:
            raise ValueError(f"the noise's exponent is at least 0, got {self.exponent}")

    def plan(
        self,
        cost: Cost,
        generators: Sequence[torch.Generator],
        warm: Plan | None = None,
        budget: Budget | None = None,
        progress: Progress | None = None,
    ) -> Plan:
        """See :class:`~slowfast.planning.plan.Planner`."""
        state = self._begin(warm, len(generators))
        meter, best, done = (budget or Budget()).start(), None, 0
        while done < self.iterations and meter.allows(self._count(done)):
            candidates = self._candidates(state, done, generators)
            count = next(iter(candidates.values())).shape[1]
            costs = checked(cost(candidates), len(generators), count)
            meter.evaluations += count
            best = better(best, candidates, costs)
            state = self._learned(state, candidates, costs)
            done += 1
            if progress:
                progress(done, self.iterations, float(best[1].mean()))
        assert best is not None
        return Plan(*best, meter.evaluations, done, state)

    def _begin(self, warm: Plan | None, episodes: int) -> SearchState:
        if warm is None:
            return SearchState(ActionDistribution.at_first(self.spec, episodes, self.horizon))
        known = next(iter(warm.actions.values())).shape[:2]
        if tuple(known) != (episodes, self.horizon):
            raise ValueError(
                f"the warm start is a plan of {known[1]} actions for {known[0]} episodes, "
                f"not of {self.horizon} for {episodes}"
            )
        return warm.state

    def _count(self, iteration: int) -> int:
        return self.candidates

    def _candidates(self, state: SearchState, iteration: int, generators: Sequence[torch.Generator]) -> Actions:
        kept = state.elites
        fresh = self._count(iteration) - 1 - (0 if kept is None else next(iter(kept.values())).shape[1])
        noise = colored_noise(generators, fresh, self.horizon, state.distribution.width, self.exponent)
        drawn = state.distribution.sample(noise)
        mode = {name: own[:, None] for name, own in state.distribution.mode().items()}
        parts = [mode, *([kept] if kept else []), drawn]
        return {name: torch.cat([part[name] for part in parts], 1) for name in mode}

    @abstractmethod
    def _learned(self, state: SearchState, candidates: Actions, costs: torch.Tensor) -> SearchState:
        """Where the search stands after an iteration whose candidates had these ``costs`` ``[E, K]``."""

    def _refitted(self, state: SearchState, candidates: Actions, weights: torch.Tensor) -> SearchState:
        """``weights`` ``[E, K]``: what each candidate counts for; rows sum to 1."""
        return SearchState(state.distribution.refit(candidates, weights, self.momentum))


@dataclass(frozen=True)
class RandomShooting(SamplingPlanner):
    """Draws once, and takes the best: what every other planner has to beat."""

    iterations: int = 1

    def _learned(self, state: SearchState, candidates: Actions, costs: torch.Tensor) -> SearchState:
        return state


@dataclass(frozen=True)
class CEM(SamplingPlanner):
    """The cross-entropy method (Rubinstein 1999): refits to the ``elites`` best candidates, all alike."""

    elites: int = 8

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.elites <= self.candidates:
            raise ValueError(f"elites are 1 to {self.candidates} of the candidates, got {self.elites}")

    def _learned(self, state: SearchState, candidates: Actions, costs: torch.Tensor) -> SearchState:
        chosen = costs.argsort(dim=1, stable=True)[:, : self.elites]
        usable = costs.gather(1, chosen).isfinite().float()
        weights = torch.zeros_like(costs).scatter(1, chosen, usable / usable.sum(1, keepdim=True))
        return self._refitted(state, candidates, weights)


@dataclass(frozen=True)
class ICEM(CEM):
    """The improved cross-entropy method (Pinneri et al. 2020): coloured noise, a share of the elites goes on as
    candidates (also to the next search, moved on), and each iteration draws ``decay`` times fewer."""

    exponent: float = 1.0
    kept: float = 0.3
    decay: float = 1.25

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.kept <= 1 or self.decay < 1:
            raise ValueError(f"kept is in [0, 1] and decay at least 1, got {self.kept} and {self.decay}")

    @property
    def carried(self) -> int:
        """Elites that go on."""
        return min(round(self.kept * self.elites), self.candidates - 2)

    def _count(self, iteration: int) -> int:
        least = max(2 * self.elites, self.carried + 2)
        return min(self.candidates, max(least, round(self.candidates / self.decay**iteration)))

    def _learned(self, state: SearchState, candidates: Actions, costs: torch.Tensor) -> SearchState:
        learned = super()._learned(state, candidates, costs)
        return SearchState(learned.distribution, taken(candidates, costs, self.carried) if self.carried else None)


@dataclass(frozen=True)
class MPPI(SamplingPlanner):
    """Model predictive path integral control (Williams et al. 2017): refits to all candidates, weighed by
    exp(-cost / ``temperature``), with the costs of an episode scaled to a standard deviation of 1. Unlike there, the
    spread of the candidates is refitted with their mean, so that several iterations close in."""

    temperature: float = 0.3
    momentum: float = 0.3

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.temperature <= 0:
            raise ValueError(f"temperature is above 0, got {self.temperature}")

    def _learned(self, state: SearchState, candidates: Actions, costs: torch.Tensor) -> SearchState:
        finite = costs.isfinite()
        known = torch.where(finite, costs, 0)
        count = finite.sum(1, keepdim=True)
        mean = known.sum(1, keepdim=True) / count
        spread = (torch.where(finite, costs - mean, 0).square().sum(1, keepdim=True) / count).sqrt()
        scaled = (costs - costs.amin(1, keepdim=True)) / spread.clamp(min=1e-8)
        return self._refitted(state, candidates, torch.softmax(-scaled / self.temperature, 1))


def better(
    best: tuple[Actions, torch.Tensor] | None, candidates: Actions, costs: torch.Tensor
) -> tuple[Actions, torch.Tensor]:
    """The best sequence of each episode so far ``[E, H, ...]`` and its cost ``[E]``; the earlier one when equal."""
    least, index = costs.min(1)
    rows = torch.arange(len(costs), device=costs.device)
    found = {name: own[rows, index] for name, own in candidates.items()}
    if best is None:
        return found, least
    wins = least < best[1]
    kept = {name: torch.where(_like(wins, own), own, best[0][name]) for name, own in found.items()}
    return kept, torch.where(wins, least, best[1])


def taken(candidates: Actions, costs: torch.Tensor, count: int) -> Actions:
    """The ``count`` best candidates ``[E, count, H, ...]``."""
    index = costs.argsort(dim=1, stable=True)[:, :count]
    rows = torch.arange(len(costs), device=costs.device)[:, None]
    return {name: own[rows, index] for name, own in candidates.items()}


def _like(mask: torch.Tensor, tensor: torch.Tensor) -> torch.Tensor:
    return mask.view(-1, *(1,) * (tensor.ndim - 1))
