"""What a step came to: its reward, and whether it ended the episode, read from latents before and after it and from the
action between them.

A reward is a distribution over bins that grow exponentially away from 0, trained by cross-entropy on the two bins that
lie around the true value (Hafner et al. 2023, "Mastering diverse domains through world models", symexp two-hot). So
rewards of any scale are learned alike, and what is read is the mean: 0.1, where one in ten steps that look the same is
paid 1.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from torch import nn

from slowfast.heads.parts import look, read_head, save_head


@dataclass(frozen=True)
class OutcomeConfig:
    """``channels`` of a latent, ``action_width`` of the world's action vectors; ``low`` and ``high``: the least and the
    largest reward there is, between which ``bins`` lie. Raises ValueError when there is nothing between them."""

    channels: int
    action_width: int
    low: float
    high: float
    bins: int = 41
    width: int = 32

    def __post_init__(self) -> None:
        if not self.low < self.high or self.bins < 2:
            raise ValueError(f"rewards need low < high and at least 2 bins, got {self.low}, {self.high}, {self.bins}")


class Outcomes(NamedTuple):
    """``rewards`` ``float32 [B, n]``, the mean of what is expected; ``chances`` ``float32 [B, n]`` that the step ended
    the episode, from 0 to 1."""

    rewards: torch.Tensor
    chances: torch.Tensor


class OutcomeHead(nn.Module):
    """Reads what steps came to. ``threshold``: the chance from which a step counts as an end, a scalar buffer that
    training sets."""

    threshold: torch.Tensor

    def __init__(self, config: OutcomeConfig) -> None:
        super().__init__()
        self.config, width = config, config.width
        self.look = look(2 * config.channels, width)
        self.told = nn.Linear(config.action_width, 2 * width)
        self.answer = nn.Sequential(
            nn.SiLU(), nn.Linear(2 * width, 2 * width), nn.SiLU(), nn.Linear(2 * width, config.bins + 1)
        )
        self.register_buffer("threshold", torch.tensor(0.5))

    def forward(self, before: torch.Tensor, after: torch.Tensor, actions: torch.Tensor) -> Outcomes:
        """``[B, n, C, h, w]`` before and after each step, and the action vectors between them ``[B, n, D]``."""
        rewards, ends = self.logits(before, after, actions)
        return Outcomes(rewards.softmax(-1) @ self.support(rewards.device), ends.sigmoid())

    def logits(
        self, before: torch.Tensor, after: torch.Tensor, actions: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Of the reward's bins ``float32 [B, n, bins]``, and of an end ``float32 [B, n]``."""
        dtype = self.told.weight.dtype
        looked = self.look(torch.cat([before, after], 2).flatten(0, 1).to(dtype))
        told = self.told(actions.flatten(0, 1).to(dtype))
        answer = self.answer(looked + told).float().unflatten(0, before.shape[:2])
        return answer[..., :-1], answer[..., -1]

    def ends(self, chances: torch.Tensor) -> torch.Tensor:
        """Which steps count as ends, ``bool``."""
        return chances >= self.threshold.to(chances.device)

    def support(self, device: torch.device | str = "cpu") -> torch.Tensor:
        """The reward that each bin stands for, ``float32 [bins]``, ascending from ``low`` to ``high``."""
        # Computed when asked for, because a world in half precision would round it.
        ends = torch.tensor([self.config.low, self.config.high], dtype=torch.float64)
        low, high = (ends.sign() * ends.abs().log1p()).tolist()
        spaced = torch.linspace(low, high, self.config.bins, dtype=torch.float64)
        return (spaced.sign() * spaced.abs().expm1()).float().to(device)

    def two_hot(self, rewards: torch.Tensor) -> torch.Tensor:
        """Rewards ``[...]`` as weights on the two nearest bins ``[..., bins]``, whose mean is the reward; what lies
        outside of all bins counts as the outermost one."""
        support = self.support(rewards.device)
        inside = rewards.float().clamp(support[0], support[-1]).contiguous()
        above = torch.searchsorted(support, inside).clamp(1, len(support) - 1)
        least = torch.finfo(torch.float32).tiny  # and not 0, where rounding has joined two bins
        share = ((inside - support[above - 1]) / (support[above] - support[above - 1]).clamp(min=least))[..., None]
        hot = torch.zeros(*inside.shape, len(support), device=rewards.device)
        return hot.scatter(-1, above[..., None] - 1, 1 - share).scatter(-1, above[..., None], share)

    def save_pretrained(self, folder: str | Path, dtype: torch.dtype | None = None) -> None:
        """Writes ``config.json`` and ``model.safetensors``."""
        save_head(self, asdict(self.config), folder, dtype)

    @classmethod
    def from_pretrained(cls, folder: str | Path) -> OutcomeHead:
        """Raises FileNotFoundError when a file is missing, RuntimeError when weights do not fit the config."""
        config, state = read_head(folder)
        head = cls(OutcomeConfig(**config))
        head.load_state_dict(state)
        return head
