"""Down factors of an associative memory: keys by which a frame is found again, and told from all others.

The same frame is asked for in many ways: from another noise, with other frames or by itself, after a prefix that is
true or half dreamed. Linear discriminant analysis (Fisher 1936; Rao 1948) finds the directions in which the features of
different frames differ most, against how those of one frame differ from ask to ask.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Keys:
    """``down`` ``float32 [in, r]``: features to keys, whose mean squared size is 1. ``held``: of the variance of their
    keys, the share that is between frames; of all features it was ``held_before``."""

    down: torch.Tensor
    held: float
    held_before: float


def discriminant(looks: Iterable[torch.Tensor], rank: int, shrinkage: float = 0.03) -> Keys:
    """The leading ``rank`` directions for ``looks``, batches ``[n, k, in]`` of n frames that were each asked for in k
    ways. ``shrinkage``: of the variance within a frame's features, what is added in every direction, as a share of its
    mean. In float64. Raises ValueError for fewer frames than ``rank``, or less than two looks at each.
    """
    frames, within, between, mean = 0, torch.zeros(()), torch.zeros(()), torch.zeros(())
    for batch in looks:
        if batch.shape[1] < 2:
            raise ValueError("keys are learned from two or more looks at each frame, got one")
        features = batch.double()
        centres = features.mean(1)
        apart = (features - centres[:, None]).flatten(0, 1)
        frames += len(features)
        within = within + apart.mT @ apart / features.shape[1]
        between, mean = between + centres.mT @ centres, mean + centres.sum(0)
    if frames <= rank:
        raise ValueError(f"{rank} directions are learned from more than as many frames, got {frames}")
    mean = mean / frames
    within, raw = within / frames, between / frames
    between = raw - torch.outer(mean, mean)
    noise = within + shrinkage * within.diagonal().mean() * torch.eye(len(within)).to(within)
    values, vectors = torch.linalg.eigh(noise)
    whitened = vectors * values.rsqrt()  # [in, in]
    chosen = torch.linalg.eigh(whitened.mT @ between @ whitened)[1][:, -rank:].flip(1)
    down = whitened @ chosen
    # A direction's sign is the library's choice; this one is the same everywhere.
    down = down * down.gather(0, down.abs().argmax(0, keepdim=True)).sign()
    down = down / torch.sqrt(_trace(down, within + raw))
    held = _trace(down, between) / _trace(down, between + within)
    before = between.trace() / (between + within).trace()
    return Keys(down.float().contiguous(), float(held), float(before))


def _trace(down: torch.Tensor, matrix: torch.Tensor) -> torch.Tensor:
    """Of ``matrix`` ``[in, in]`` along the directions ``down`` ``[in, r]``."""
    return (down * (matrix @ down)).sum()
