"""Kept frames found by what they show.

What a frame will show is not known before it is made. So the network dreams twice: a draft without kept frames, then,
from the same noise, with those that look like the draft at the start of the prefix.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from slowfast.fast.generators import states
from slowfast.fast.likeness import likest
from slowfast.fast.showing import Kept, answer_with, near_frames, picked
from slowfast.slow.windows import ActionTensors

if TYPE_CHECKING:
    from slowfast.fast.memory import EpisodicMemory
    from slowfast.slow import SlowLearner


def answer_by_likeness(
    slow: SlowLearner,
    memory: EpisodicMemory,
    kept: Kept,
    context: torch.Tensor,
    actions: ActionTensors,
    frames: int,
    generators: Sequence[torch.Generator],
    steps: int | None,
) -> torch.Tensor:
    """One draft, one look among the ``kept`` frames, one answer."""
    before, count = states(generators), memory.rule.recalled
    draft = slow.generate(context, actions, frames, generators, steps)
    asked = draft[:, [min(slot, frames - 1) for slot in range(count)]]
    picks, likeness = likest(asked, near_frames(memory, context), kept.latents, kept.usable)
    for generator, state in zip(generators, before, strict=True):
        generator.set_state(state.clone())
    shown = picked(kept.latents, picks)
    made = answer_with(slow, memory, shown, context, actions, frames, generators, steps)
    # Where too little is kept, or nothing like the first of the new frames, the draft stands.
    ready = likeness.isfinite().all(1) & (likeness[:, 0] >= memory.rule.alike)
    return torch.where(ready[:, None, None, None, None], made, draft)
