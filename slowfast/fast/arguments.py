"""What callers may hand to a memory, checked: which episodes, and frames that belong to them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from slowfast.slow.windows import ActionTensors

Episodes = torch.Tensor | Sequence[int] | Sequence[bool] | None
"""Which episodes: indices ``int64 [E']``, a mask ``bool [E]``, or None for all in order."""


def episode_index(episodes: Episodes, count: int) -> torch.Tensor:
    """``episodes`` of ``count`` as indices ``int64 [E']`` on the CPU. Raises ValueError for what names none of them."""
    if episodes is None:
        return torch.arange(count)
    index = torch.as_tensor(episodes, device="cpu")
    if index.dtype == torch.bool:
        if index.shape != (count,):
            raise ValueError(f"a mask of episodes has shape [{count}], got {tuple(index.shape)}")
        return index.nonzero().flatten()
    index = index.to(torch.int64)
    if index.ndim != 1 or (len(index) and not 0 <= int(index.min()) <= int(index.max()) < count):
        raise ValueError(f"episodes are indices in 0..{count - 1} or a mask, got {index.tolist()}")
    return index


def check_frames(index: torch.Tensor, latents: torch.Tensor, actions: ActionTensors) -> None:
    """Raises ValueError unless latents ``[E', n, C, h, w]`` and actions ``[E', n, ...]`` are of the episodes ``index``,
    each named once."""
    if len(index.unique()) != len(index):
        raise ValueError(f"an episode is named twice in {index.tolist()}")
    if latents.ndim != 5 or len(latents) != len(index):
        raise ValueError(f"{len(index)} episodes need latents [{len(index)}, n, C, h, w], got {tuple(latents.shape)}")
    for name, tensor in actions.items():
        if tensor.shape[:2] != latents.shape[:2]:
            raise ValueError(f"action {name!r} has axes {tuple(tensor.shape[:2])}, latents {tuple(latents.shape[:2])}")
