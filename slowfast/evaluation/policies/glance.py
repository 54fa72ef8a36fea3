"""What a small policy of Stable-Baselines3 (extra ``rl``) looks at: the present frame, and what changed since the last.

Frames are seen at a quarter of their pixels and each with its own brightness and contrast, so that little of what a
dream blurs is missed, and a policy that was trained in one finds its way in the real world.
"""

from __future__ import annotations

import torch
from einops import rearrange
from gymnasium import spaces
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from torch import nn

SEEN = 32
"""Rows and columns that are looked at."""


class Glance(BaseFeaturesExtractor):
    """Stacked frames ``[B, n, H, W, 3]`` from 0 to 255, the newest last, to features ``float32 [B, width]``.

    Raises ValueError for a space that is not a stack of n >= 2 frames.
    """

    def __init__(self, observation_space: spaces.Box, width: int = 64) -> None:
        super().__init__(observation_space, width)
        if len(observation_space.shape) != 4 or observation_space.shape[0] < 2 or observation_space.shape[-1] != 3:
            raise ValueError(f"observations have to be frames [n, H, W, 3] with n >= 2, got {observation_space.shape}")
        self.look = nn.Sequential(
            nn.Conv2d(3 * observation_space.shape[0], 16, 4, stride=2),
            nn.ReLU(),
            nn.Conv2d(16, 32, 4, stride=2),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(32 * 6 * 6, width),  # of SEEN rows and columns
            nn.ReLU(),
        )
        self.pool = nn.AdaptiveAvgPool2d(SEEN)

    def forward(self, observations: torch.Tensor) -> torch.Tensor:
        batch, count = observations.shape[:2]
        frames = self.pool(rearrange(observations.float() / 255, "b n h w c -> (b n) c h w"))
        frames = rearrange(frames, "(b n) c h w -> b n c h w", b=batch, n=count)
        present = frames[:, -1]
        spread, mean = torch.std_mean(present, dim=(1, 2, 3), keepdim=True)
        scale = spread.clamp(min=0.02)
        changes = frames.diff(dim=1).abs() / scale[:, None]  # a step into a wall changes nothing
        return self.look(torch.cat([(present - mean) / scale, changes.flatten(1, 2)], 1))
