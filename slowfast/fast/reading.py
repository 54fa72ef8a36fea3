"""How a memory is read: its adapter is part of the network, and kept frames that fit take the place of older context.

What a frame will show is not known before it is made. So a memory that keeps frames dreams twice: a draft without them,
then, from the same noise, with the kept frames that look like the draft at the start of the prefix.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from slowfast.fast.generators import states
from slowfast.fast.likeness import likest
from slowfast.slow.windows import ActionTensors, concat_actions, select_actions

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
) -> torch.Tensor:
    """As ``slow.generate``, reading the memories of ``episodes`` and writing nothing.

    ``context`` ``[B, P, C, h, w]``, 1 <= P <= f_p, and ``actions`` ``[B, P + frames]``; B = k * E', episode-major.
    """
    if memory is None:
        return slow.generate(context, actions, frames, generators, steps)
    kept, usable = memory.kept(episodes)
    with memory.attached(episodes):
        if not usable.any():
            return slow.generate(context, actions, frames, generators, steps)
        size = memory.rule.recall_chunk or frames
        parts: list[torch.Tensor] = []
        for done in range(0, frames, size):
            count = min(size, frames - done)
            known = torch.cat([context, *parts], 1)
            near = known[:, -memory.context :]
            led = select_actions(actions, (slice(None), slice(known.shape[1] - near.shape[1], known.shape[1] + count)))
            parts.append(_recalling(slow, memory, kept, usable, near, led, count, generators, steps))
    return torch.cat(parts, 1)


def _recalling(
    slow: SlowLearner,
    memory: EpisodicMemory,
    kept: torch.Tensor,
    usable: torch.Tensor,
    context: torch.Tensor,
    actions: ActionTensors,
    frames: int,
    generators: Sequence[torch.Generator],
    steps: int | None,
) -> torch.Tensor:
    """One draft, one look among the ``kept`` frames, one answer."""
    before, count = states(generators), memory.rule.recalled
    draft = slow.generate(context, actions, frames, generators, steps)
    near = context[:, -max(memory.context - count, 1) :]
    asked = draft[:, [min(slot, frames - 1) for slot in range(count)]]
    picks, likeness = likest(asked, near, kept, usable)
    for generator, state in zip(generators, before, strict=True):
        generator.set_state(state.clone())
    led = select_actions(actions, (slice(None), slice(context.shape[1] - near.shape[1], None)))
    unknown = {name: own.to(context.device) for name, own in slow.null_actions(len(context), count).items()}
    prefix = torch.cat([_picked(kept, picks).to(context), near], 1)
    made = slow.generate(prefix, concat_actions([unknown, led]), frames, generators, steps)
    # Where too little is kept, or nothing like the first of the new frames, the draft stands.
    ready = likeness.isfinite().all(1) & (likeness[:, 0] >= memory.rule.alike)
    return torch.where(ready[:, None, None, None, None], made, draft)


def _picked(frames: torch.Tensor, picks: torch.Tensor) -> torch.Tensor:
    """``frames`` ``[E, N, ...]`` at ``picks`` ``int64 [k * E, n]``, episode-major."""
    each = picks.unflatten(0, (len(frames), -1))  # [E, k, n]
    episodes = torch.arange(len(frames), device=frames.device)[:, None, None]
    return frames[episodes, each].flatten(0, 1)
