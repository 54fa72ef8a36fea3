"""What callers may hand to a memory, checked: which episodes, and frames that belong to them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from slowfast.fast.lessons import Learner
    from slowfast.fast.memory_state import MemoryState
    from slowfast.fast.replay import Stream
    from slowfast.fast.rules import MemoryRule
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


def check_continues(stream: Stream, latents: torch.Tensor, actions: ActionTensors) -> None:
    """Raises ValueError unless frames are of the size, and with the actions, of those that ``stream`` holds."""
    if latents.shape[2:] != stream.latents.shape[2:] or actions.keys() != stream.actions.keys():
        raise ValueError(
            f"frames of {tuple(latents.shape[2:])} with actions {sorted(actions)} do not continue a stream of "
            f"{tuple(stream.latents.shape[2:])} with {sorted(stream.actions)}"
        )


def check_same_size(snapshot: MemoryState, state: MemoryState) -> None:
    """Raises ValueError unless ``snapshot`` is of as many episodes and numbers as ``state``."""
    if snapshot.rows.shape != state.rows.shape:
        raise ValueError(
            f"the snapshot holds {tuple(snapshot.rows.shape)} (episodes, numbers an episode), "
            f"this memory {tuple(state.rows.shape)}: restore it into a memory of the same world and rule"
        )


def check_recalled(rule: MemoryRule, slow: Learner) -> None:
    """Raises ValueError where ``rule`` shows more frames again than ``slow`` was trained for."""
    if rule.recalled > slow.recalled:
        raise ValueError(
            f"memory rule {rule.name!r} shows {rule.recalled} frames again, this world reads {slow.recalled}: "
            "train it with `slowfast train slow --init WORLD --task.recalled 0.4`, or choose another rule"
        )
