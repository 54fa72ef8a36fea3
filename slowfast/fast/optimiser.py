"""Optimisers of stacked memories: every row has its own step count, its own clipping and its own state.

Row e of an update equals what the stock optimiser does to that row alone. All take the same state, so that a snapshot
does not depend on which one is used.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from slowfast.fast.adapters import AdapterLayout
from slowfast.fast.preconditioning import preconditioned


@dataclass(frozen=True)
class OptimiserSettings:
    """``name``: a key of :data:`OPTIMISERS`. ``betas``: of Adam; momentum is the first of them. ``damping``: what is
    added to the diagonal of a preconditioner. ``clip`` bounds the norm of an episode's whole gradient; None leaves it
    as it is."""

    learning_rate: float
    betas: tuple[float, float] = (0.9, 0.999)
    epsilon: float = 1e-8
    weight_decay: float = 0.0
    clip: float | None = None
    name: str = "adam"
    damping: float = 1e-6


@dataclass(frozen=True)
class AdamState:
    """First and second moments ``float32 [E, P]`` and steps taken ``int64 [E]`` (on the CPU).

    The velocity of ``momentum`` is the first moment, its second one stays as it is.
    """

    first: torch.Tensor
    second: torch.Tensor
    steps: torch.Tensor

    @classmethod
    def fresh(cls, rows: torch.Tensor) -> AdamState:
        return cls(torch.zeros_like(rows), torch.zeros_like(rows), torch.zeros(len(rows), dtype=torch.int64))


@torch.no_grad()
def step(
    rows: torch.Tensor,
    gradient: torch.Tensor,
    state: AdamState,
    settings: OptimiserSettings,
    layout: AdapterLayout,
    settled: torch.Tensor | None = None,
) -> tuple[torch.Tensor, AdamState]:
    """Rows ``[E, P]`` and state after one step, as new tensors: what went in stays as it was, so that snapshots can
    share it. The gradient is clipped first, and weights decay apart from it (as in AdamW), whatever the optimiser: to
    ``settled`` ``[E, P]``, or to nothing."""
    if settings.clip is not None:
        gradient = clip_rows(gradient, settings.clip)
    decay = settings.learning_rate * settings.weight_decay
    decayed = rows * (1 - decay) if settled is None else torch.lerp(rows, settled, decay)
    change, state = OPTIMISERS[settings.name](rows, gradient, state, settings, layout)
    return decayed.sub_(change), state


def clip_rows(gradient: torch.Tensor, limit: float) -> torch.Tensor:
    """``gradient`` ``[E, P]`` with each row's norm brought down to ``limit`` where it is larger."""
    norm = torch.linalg.vector_norm(gradient, dim=1, keepdim=True)
    return gradient * (limit / (norm + 1e-6)).clamp(max=1.0)


Change = Callable[
    [torch.Tensor, torch.Tensor, AdamState, OptimiserSettings, AdapterLayout], tuple[torch.Tensor, AdamState]
]
"""What is taken from rows ``[E, P]``, given their gradient, and the state afterwards."""


def adam(
    rows: torch.Tensor, gradient: torch.Tensor, state: AdamState, settings: OptimiserSettings, layout: AdapterLayout
) -> tuple[torch.Tensor, AdamState]:
    """Adam (arXiv 1412.6980), bias corrected."""
    beta1, beta2 = settings.betas
    steps = state.steps + 1
    count = steps.to(torch.float64)
    # Bias corrections in float64 on the CPU, as the stock optimiser computes them.
    step_size = (settings.learning_rate / (1 - beta1**count)).to(rows)[:, None]
    root = (1 - beta2**count).sqrt().to(rows)[:, None]
    first = torch.lerp(state.first, gradient, 1 - beta1)
    second = (state.second * beta2).addcmul_(gradient, gradient, value=1 - beta2)
    change = first / (second.sqrt() / root).add_(settings.epsilon)
    return change.mul_(step_size), AdamState(first, second, steps)


def momentum(
    rows: torch.Tensor, gradient: torch.Tensor, state: AdamState, settings: OptimiserSettings, layout: AdapterLayout
) -> tuple[torch.Tensor, AdamState]:
    """Gradient descent with momentum, as ``torch.optim.SGD`` has it (no dampening, not Nesterov's)."""
    velocity = state.first * settings.betas[0] + gradient
    return velocity * settings.learning_rate, AdamState(velocity, state.second, state.steps + 1)


def scaled_adam(
    rows: torch.Tensor, gradient: torch.Tensor, state: AdamState, settings: OptimiserSettings, layout: AdapterLayout
) -> tuple[torch.Tensor, AdamState]:
    """Adam on the gradient preconditioned for low-rank factors ("scaled AdamW" of arXiv 2402.02347, Algorithm 2)."""
    return adam(rows, preconditioned(gradient, rows, layout, settings.damping), state, settings, layout)


OPTIMISERS: dict[str, Change] = {"adam": adam, "momentum": momentum, "preconditioned": scaled_adam}
