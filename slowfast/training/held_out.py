"""Held-out episodes as a head reads them: the latents around each step, a stretch at a time."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn

from slowfast.datasets.sources import EpisodeSource
from slowfast.training.splits import Subset
from slowfast.world_model import WorldModel

AT_ONCE = 64


def stretches(world: WorldModel, part: Subset, i: int) -> Iterator[tuple[slice, torch.Tensor]]:
    """Of episode ``i`` of a part that holds frames: which steps (n at most :data:`AT_ONCE`), and the latents around
    them, ``float32 [1, n + 1, C, h, w]``. One stretch is held at a time."""
    for start in range(0, int(part.lengths[i]), AT_ONCE):
        stop = min(start + AT_ONCE, int(part.lengths[i]))
        yield slice(start, stop), world.encode(part.read(i, start, stop + 1)[None])


def device_of(head: nn.Module) -> torch.device:
    """Where a head is trained; the rest of its world stays where it was loaded."""
    return next(head.parameters()).device


def check_data(world: WorldModel, train: EpisodeSource, measured: dict[str, Subset]) -> None:
    """Raises ValueError when the data has other actions than the world, or when a part to measure on holds latents:
    what is measured is read as an agent sees it, from frames."""
    if train.spec != world.action_spec:
        raise ValueError(
            f"the data has the actions {train.spec}, the world {world.action_spec}; `slowfast train slow --init` takes "
            "a world to the actions of the data"
        )
    for part in measured.values():
        if part.key != "frames":
            raise ValueError(f"a validation data set has to hold frames, this one holds {part.key}")
