"""Odometry: how far a step moved the camera, read from latents before and after it and from the action between them.

What it says adds up to a pose, by dead reckoning. Without a latent after the step it says what the action will do from
here: whether a wall is in the way can be seen before.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import nn

from slowfast.heads.parts import look, read_head, save_head
from slowfast.heads.poses import PoseScale


@dataclass(frozen=True)
class OdometryConfig:
    """``channels`` of a latent, ``action_width`` of the world's action vectors; ``step`` (in the world's unit of
    length) and ``turn`` (in degrees): one step of it, see :class:`~slowfast.heads.poses.PoseScale`."""

    channels: int
    action_width: int
    step: float
    turn: float
    width: int = 32


class Odometry(nn.Module):
    """Reads what a step did: forward, left and turned, in the world's units and degrees."""

    def __init__(self, config: OdometryConfig) -> None:
        super().__init__()
        self.config, width = config, config.width
        self.scale = PoseScale(config.step, config.turn)
        self.look = look(2 * config.channels + 1, width)
        self.told = nn.Linear(config.action_width, 2 * width)
        self.answer = nn.Sequential(nn.SiLU(), nn.Linear(2 * width, 2 * width), nn.SiLU(), nn.Linear(2 * width, 3))

    def forward(self, before: torch.Tensor, after: torch.Tensor | None, actions: torch.Tensor) -> torch.Tensor:
        """``[B, n, C, h, w]``, the same or None, and action vectors ``[B, n, D]`` to ``float32 [B, n, 3]``."""
        return self.paces(before, after, actions) * self._units(before.device)

    def paces(
        self, before: torch.Tensor, after: torch.Tensor | None, actions: torch.Tensor, seen: torch.Tensor | None = None
    ) -> torch.Tensor:
        """The same in steps and turns of the world. ``seen`` ``bool [B, n]``: where ``after`` is to be looked at."""
        batch, count = before.shape[:2]
        if seen is None:
            seen = torch.full((batch, count), after is not None, device=before.device)
        shown = seen[:, :, None, None, None].to(before).expand(-1, -1, 1, *before.shape[3:])
        later = torch.zeros_like(before) if after is None else after * shown
        looked = self.look(torch.cat([before, later, shown], 2).flatten(0, 1).to(self.told.weight.dtype))
        told = self.told(actions.flatten(0, 1).to(self.told.weight.dtype))
        return self.answer(looked + told).float().unflatten(0, (batch, count))

    def in_paces(self, motion: torch.Tensor) -> torch.Tensor:
        """``[..., 3]`` in the world's units as steps and turns of the world."""
        return motion / self._units(motion.device)

    def save_pretrained(self, folder: str | Path, dtype: torch.dtype | None = None) -> None:
        """Writes ``config.json`` and ``model.safetensors``."""
        save_head(self, asdict(self.config), folder, dtype)

    @classmethod
    def from_pretrained(cls, folder: str | Path) -> Odometry:
        """Raises FileNotFoundError when a file is missing, RuntimeError when weights do not fit the config."""
        config, weights = read_head(folder)
        head = cls(OdometryConfig(**config))
        head.load_state_dict(weights)
        return head

    def _units(self, device: torch.device) -> torch.Tensor:
        return torch.tensor([self.scale.step, self.scale.step, self.scale.turn], device=device)
