"""Attention over a handful of positions: faster on CPUs as plain matrix products than as a fused kernel."""

from __future__ import annotations

from typing import Any

import torch
from diffusers.models.attention_processor import Attention, AttnProcessor, AttnProcessor2_0

SHORT = 256
"""Positions up to which plain products win on a CPU; a window has 8 along time and 64 in space."""


class ShortAttention:
    """A diffusers attention processor: :class:`AttnProcessor` for short sequences on CPUs, else the fused one.

    PyTorch's fused kernel is made for long sequences; on 8 positions its backward pass takes longer than everything
    else in the layer.
    """

    def __init__(self) -> None:
        self.plain, self.fused = AttnProcessor(), AttnProcessor2_0()

    def __call__(self, attn: Attention, hidden_states: torch.Tensor, *inputs: Any, **options: Any) -> torch.Tensor:
        short = hidden_states.device.type == "cpu" and hidden_states.shape[1] <= SHORT
        return (self.plain if short else self.fused)(attn, hidden_states, *inputs, **options)
