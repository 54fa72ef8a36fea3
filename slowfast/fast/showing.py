"""Kept frames as the network is shown them: in the place of older context, with null actions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import torch

from slowfast.slow.windows import ActionTensors, concat_actions, select_actions

if TYPE_CHECKING:
    from slowfast.fast.memory import EpisodicMemory
    from slowfast.slow import SlowLearner


@dataclass(frozen=True)
class Kept:
    """Frames that may be shown again: ``latents`` ``float32 [E', N, C, h, w]``, which of them exist, ``usable`` ``bool
    [E', N]``, and ``poses`` ``float32 [E', N, 3]`` if they are found by where they were seen from."""

    latents: torch.Tensor
    usable: torch.Tensor
    poses: torch.Tensor | None = None


class Look(Protocol):
    """Makes ``frames`` new ones after ``context`` with one look among the kept frames."""

    def __call__(
        self,
        slow: SlowLearner,
        memory: EpisodicMemory,
        kept: Kept,
        context: torch.Tensor,
        actions: ActionTensors,
        frames: int,
        generators: Sequence[torch.Generator],
        steps: int | None,
    ) -> torch.Tensor: ...


def near_frames(memory: EpisodicMemory, context: torch.Tensor) -> torch.Tensor:
    """What of ``context`` stays beside the frames that are shown again."""
    return context[:, -max(memory.context - memory.rule.recalled, 1) :]


def answer_with(
    slow: SlowLearner,
    memory: EpisodicMemory,
    shown: torch.Tensor,
    context: torch.Tensor,
    actions: ActionTensors,
    frames: int,
    generators: Sequence[torch.Generator],
    steps: int | None,
) -> torch.Tensor:
    """``slow.generate`` with frames ``shown`` ``[B, n, C, h, w]`` before the last ones of ``context``."""
    near = near_frames(memory, context)
    led = select_actions(actions, (slice(None), slice(context.shape[1] - near.shape[1], None)))
    null = slow.null_actions(len(context), shown.shape[1])
    unknown = {name: own.to(context.device) for name, own in null.items()}
    prefix = torch.cat([shown.to(context), near], 1)
    return slow.generate(prefix, concat_actions([unknown, led]), frames, generators, steps)


def picked(frames: torch.Tensor, picks: torch.Tensor) -> torch.Tensor:
    """``frames`` ``[E, N, ...]`` at ``picks`` ``int64 [k * E, n]``, episode-major."""
    each = picks.unflatten(0, (len(frames), -1))  # [E, k, n]
    episodes = torch.arange(len(frames), device=frames.device)[:, None, None]
    return frames[episodes, each].flatten(0, 1)
