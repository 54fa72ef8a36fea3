"""How a memory is read: its adapter is part of the network, and kept frames that fit take the place of older context.

Frames are made chunk by chunk; with frames to show, as many at a time as the memory's rule says, each time with one
look among what is kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING

import torch

from slowfast.fast.by_likeness import answer_by_likeness
from slowfast.fast.by_pose import answer_by_pose
from slowfast.fast.showing import Request
from slowfast.slow.windows import ActionTensors, select_actions

if TYPE_CHECKING:
    from slowfast.fast.arguments import Episodes
    from slowfast.fast.memory import EpisodicMemory
    from slowfast.slow import SlowLearner


def generate(
    slow: SlowLearner,
    memory: EpisodicMemory | None,
    context: torch.Tensor,
    actions: ActionTensors,
    frames: int,
    generators: Sequence[torch.Generator],
    steps: int | None = None,
    episodes: Episodes = None,
    chunk: int | None = None,
    longest: int | None = None,
) -> torch.Tensor:
    """As ``slow.generate``, ``chunk`` frames at a time (by default all at once), reading the memories of ``episodes``
    and writing nothing.

    ``context`` ``[B, P, C, h, w]``, P >= 1, and ``actions`` ``[B, P + frames]``; B = k * E', episode-major.
    ``longest``: frames of context that the network is shown (by default P).
    """
    kept = None if memory is None else memory.kept(episodes)
    size, longest = chunk or frames, longest or context.shape[1]
    if memory is None or kept is None or not kept.usable.any():
        look = None
    else:
        size, longest = min(size, memory.rule.recall_chunk or size), memory.context
        look = answer_by_likeness(kept) if kept.poses is None else answer_by_pose(memory, kept, context, episodes)
    known, done = context, 0
    with nullcontext() if memory is None else memory.attached(episodes):
        while done < frames:
            count = min(size, frames - done)
            near = known[:, -longest:]
            led = select_actions(actions, (slice(None), slice(known.shape[1] - near.shape[1], known.shape[1] + count)))
            if look is None:
                made = slow.generate(near, led, count, generators, steps)
            else:
                assert memory is not None
                made = look(Request(slow, memory, near, led, count, generators, steps))
            known, done = torch.cat([known, made], 1), done + count
    return known[:, context.shape[1] :]
