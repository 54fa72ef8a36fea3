"""A way for a memory to go straight from what a frame is about to what it looks like.

The network's middle block sees a new frame as what follows from prefix and action, before anything of it is drawn. A
linear map from there to the output can hold pictures under these keys: an associative memory, fast weights in the sense
of Schmidhuber (1992). By itself the map is zero, nothing of it is ever saved or trained with the network; a memory
attaches to it as to any other layer.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional


class AssociativePath(nn.Module):
    """From the middle block's features ``[B * F, ...]`` of ``features`` numbers to what is added to the output,
    ``outputs`` numbers a frame.

    Only frames that are (nearly) noise alone are added to, those at noise levels from ``from_level`` on: there a key
    depends on prefix and action, later also on what is drawn already.
    """

    def __init__(self, features: int, outputs: int, from_level: float) -> None:
        super().__init__()
        self.from_level = from_level
        self.value = Unwritten(features, outputs)

    def forward(self, middle: torch.Tensor, level: torch.Tensor) -> torch.Tensor:
        """``middle`` ``[B * F, C, h, w]``, ``level`` ``[B * F]``; returns ``[B * F, outputs]``."""
        features = functional.layer_norm(middle.flatten(1), (self.value.in_features,))
        return self.value(features * (level >= self.from_level).to(features)[:, None])


class Unwritten(nn.Linear):
    """A linear map whose weight is zero and no parameter: it neither trains nor is part of a state dict."""

    def __init__(self, features: int, outputs: int) -> None:
        super().__init__(1, 1, bias=False)  # the weight is exchanged below, and large ones take long to draw
        self.in_features, self.out_features = features, outputs
        del self.weight
        self.register_buffer("weight", torch.zeros(outputs, features), persistent=False)


def middle_size(channels: int, levels: int, shape: tuple[int, int, int]) -> int:
    """Numbers in the middle block of a UNet of so many ``levels``, of a frame of latents of ``shape`` (C, h, w)."""
    height, width = (_halved(side, levels - 1) for side in shape[1:])
    return channels * height * width


def _halved(side: int, times: int) -> int:
    for _ in range(times):
        side = (side + 1) // 2
    return side
