"""Adam with decoupled weight decay on stacked memories: every row has its own step count and its own clipping.

Row e of an update equals what ``torch.optim.AdamW`` does to that row alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class AdamSettings:
    """``clip`` bounds the norm of an episode's whole gradient; None leaves it as it is."""

    learning_rate: float
    betas: tuple[float, float] = (0.9, 0.999)
    epsilon: float = 1e-8
    weight_decay: float = 0.0
    clip: float | None = None


@dataclass(frozen=True)
class AdamState:
    """First and second moments ``float32 [E, P]`` and steps taken ``int64 [E]`` (on the CPU)."""

    first: torch.Tensor
    second: torch.Tensor
    steps: torch.Tensor

    @classmethod
    def fresh(cls, rows: torch.Tensor) -> AdamState:
        return cls(torch.zeros_like(rows), torch.zeros_like(rows), torch.zeros(len(rows), dtype=torch.int64))


def clip_rows(gradient: torch.Tensor, limit: float) -> torch.Tensor:
    """``gradient`` ``[E, P]`` with each row's norm brought down to ``limit`` where it is larger."""
    norm = torch.linalg.vector_norm(gradient, dim=1, keepdim=True)
    return gradient * (limit / (norm + 1e-6)).clamp(max=1.0)


@torch.no_grad()
def adam_step(
    rows: torch.Tensor, gradient: torch.Tensor, state: AdamState, settings: AdamSettings
) -> tuple[torch.Tensor, AdamState]:
    """Rows and state after one step, as new tensors: what went in stays as it was, so that snapshots can share it."""
    if settings.clip is not None:
        gradient = clip_rows(gradient, settings.clip)
    beta1, beta2 = settings.betas
    steps = state.steps + 1
    count = steps.to(torch.float64)
    # Bias corrections in float64 on the CPU, as the stock optimiser computes them.
    step_size = (settings.learning_rate / (1 - beta1**count)).to(rows)[:, None]
    root = (1 - beta2**count).sqrt().to(rows)[:, None]
    first = torch.lerp(state.first, gradient, 1 - beta1)
    second = (state.second * beta2).addcmul_(gradient, gradient, value=1 - beta2)
    change = first / (second.sqrt() / root).add_(settings.epsilon)
    moved = (rows * (1 - settings.learning_rate * settings.weight_decay)).sub_(change.mul_(step_size))
    return moved, AdamState(first, second, steps)
