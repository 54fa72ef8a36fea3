"""What planners share: the cost they see, the plan they return, and the budget they keep."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch

Actions = dict[str, torch.Tensor]
"""Acting components by name. Discrete: ``int64 [...]``; continuous: ``float32 [..., d]``; keyboard: ``int64 [..., k]``;
the leading axes are ``[E, K, H]`` for K candidates of H actions in each of E episodes, ``[E, H]`` for a plan."""

Cost = Callable[[Actions], torch.Tensor]
"""Candidates ``[E, K, H, ...]`` to what each costs, ``float [E, K]``; less is better, +inf is never chosen."""

Progress = Callable[[int, int, float], None]
"""Called after every iteration with its number (from 1), how many there are at most, and the mean best cost."""


@dataclass(frozen=True)
class Budget:
    """Ends a search early, never before its first iteration: wall-clock ``seconds``, or ``evaluations`` of candidates
    an episode. None: no bound."""

    seconds: float | None = None
    evaluations: int | None = None

    def __post_init__(self) -> None:
        for name in ("seconds", "evaluations"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise ValueError(f"a budget's {name} is above 0 (None: no bound), got {value}")

    def start(self) -> Meter:
        return Meter(self, time.monotonic())


class Meter:
    """A budget being spent."""

    def __init__(self, budget: Budget, began: float) -> None:
        self.budget, self.began, self.evaluations = budget, began, 0

    def allows(self, candidates: int) -> bool:
        """Whether another iteration with that many candidates an episode may begin."""
        if self.evaluations == 0:
            return True
        seconds, evaluations = self.budget.seconds, self.budget.evaluations
        if seconds is not None and time.monotonic() - self.began >= seconds:
            return False
        return evaluations is None or self.evaluations + candidates <= evaluations


@dataclass(frozen=True)
class Plan:
    """``actions`` ``[E, H, ...]``: the best candidate that was seen, of cost ``cost`` ``float [E]``. ``evaluations``:
    candidates an episode; ``iterations``: that were completed. ``state``: where a search goes on from, for
    :meth:`after`."""

    actions: Actions
    cost: torch.Tensor
    evaluations: int
    iterations: int
    state: Any

    def after(self, steps: int) -> Plan:
        """What is left of it when ``steps`` of its actions were taken, to warm-start the next search. Raises
        ValueError unless 0 <= steps <= H."""
        horizon = next(iter(self.actions.values())).shape[1]
        if not 0 <= steps <= horizon:
            raise ValueError(f"a plan of {horizon} actions goes on after 0 to {horizon} of them, not {steps}")
        left = {name: ahead(own, steps, 1) for name, own in self.actions.items()}
        return Plan(left, self.cost, 0, 0, self.state.after(steps))


class Planner(Protocol):
    """Finds actions of little cost for E episodes at once."""

    def plan(
        self,
        cost: Cost,
        generators: Sequence[torch.Generator],
        warm: Plan | None = None,
        budget: Budget | None = None,
        progress: Progress | None = None,
    ) -> Plan:
        """``generators``: one an episode, the source of all that is drawn for it. ``warm``: an earlier plan to go on
        from, :meth:`Plan.after` the actions that were taken. Raises ValueError when the cost is not ``[E, K]`` or is
        NaN, or an episode has no candidate of finite cost."""
        ...


def ahead(sequence: torch.Tensor, steps: int, axis: int) -> torch.Tensor:
    """``sequence`` without its first ``steps`` along ``axis``; what was last is repeated at the end."""
    if steps == 0:
        return sequence
    length = sequence.shape[axis]
    index = (torch.arange(length, device=sequence.device) + steps).clamp(max=length - 1)
    return sequence.index_select(axis, index)


def checked(costs: torch.Tensor, episodes: int, candidates: int) -> torch.Tensor:
    """``costs`` if they are ``[E, K]`` and usable. Raises ValueError that says what is wrong."""
    if tuple(costs.shape) != (episodes, candidates):
        raise ValueError(f"a cost returns [{episodes}, {candidates}] (episodes, candidates), got {list(costs.shape)}")
    if costs.isnan().any():
        raise ValueError("a cost returned NaN; return inf for what must not be chosen")
    hopeless = (costs == torch.inf).all(1)
    if hopeless.any():
        raise ValueError(f"every candidate of episodes {hopeless.nonzero().flatten().tolist()} costs inf")
    return costs.detach().float()
