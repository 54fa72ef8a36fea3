"""Planning by the cost's own gradient, where it has one: for continuous actions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from slowfast.action_components import Continuous
from slowfast.actions import ActionSpec
from slowfast.planning.distributions import ActionDistribution, Gaussian
from slowfast.planning.noise import colored_noise
from slowfast.planning.plan import Budget, Cost, Plan, Progress, checked
from slowfast.planning.sampling import SearchState, better


@dataclass(frozen=True)
class GradientDescent:
    """Adam on ``candidates`` sequences of ``horizon`` actions at once, each from its own random start.

    Actions stay within their bounds as low + (high - low) * sigmoid(x); ``learning_rate`` is that of x. Raises
    ValueError for components that are not continuous, and at :meth:`plan` for a cost without a gradient.
    """

    spec: ActionSpec
    horizon: int = 8
    candidates: int = 8
    iterations: int = 20
    learning_rate: float = 0.2

    def __post_init__(self) -> None:
        for name in ("horizon", "candidates", "iterations"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is at least 1, got {getattr(self, name)}")
        other = [part.name for part in self.spec.acting if not isinstance(part, Continuous)]
        if other:
            raise ValueError(
                f"gradients need continuous actions, {other[0]!r} is not; use random_shooting, cem, icem or mppi"
            )

    def plan(
        self,
        cost: Cost,
        generators: Sequence[torch.Generator],
        warm: Plan | None = None,
        budget: Budget | None = None,
        progress: Progress | None = None,
    ) -> Plan:
        """See :class:`~slowfast.planning.plan.Planner`. A warm start is one of the sequences that are improved."""
        first = ActionDistribution.at_first(self.spec, len(generators), self.horizon)
        bounds = {name: (part.low, part.high) for name, part in first.parts.items() if isinstance(part, Gaussian)}
        starts = first.sample(colored_noise(generators, self.candidates, self.horizon, first.width))
        if warm is not None:
            starts = {name: torch.cat([warm.actions[name][:, None], own[:, 1:]], 1) for name, own in starts.items()}
        free = {name: _unbounded(own, *bounds[name]).requires_grad_() for name, own in starts.items()}
        optimiser = torch.optim.Adam(free.values(), self.learning_rate)
        meter, best, done = (budget or Budget()).start(), None, 0
        while done < self.iterations and meter.allows(self.candidates):
            with torch.enable_grad():
                candidates = {name: _bounded(own, *bounds[name]) for name, own in free.items()}
                costs = cost(candidates)
                known = checked(costs, len(generators), self.candidates)
                if not costs.requires_grad:
                    raise ValueError("this cost has no gradient; use random_shooting, cem, icem or mppi")
                gradients = torch.autograd.grad(torch.where(known.isfinite(), costs, 0).sum(), list(free.values()))
            best = better(best, {name: own.detach() for name, own in candidates.items()}, known)
            meter.evaluations += self.candidates
            for own, gradient in zip(free.values(), gradients, strict=True):
                own.grad = gradient
            optimiser.step()
            done += 1
            if progress:
                progress(done, self.iterations, float(best[1].mean()))
        assert best is not None
        return Plan(*best, meter.evaluations, done, SearchState(first))


def _bounded(free: torch.Tensor, low: torch.Tensor, high: torch.Tensor) -> torch.Tensor:
    return low + (high - low) * free.sigmoid()


def _unbounded(values: torch.Tensor, low: torch.Tensor, high: torch.Tensor) -> torch.Tensor:
    """The inverse of :func:`_bounded`, a little inside of the bounds, where the sigmoid still has a slope."""
    return ((values - low) / (high - low)).clamp(0.02, 0.98).logit()
