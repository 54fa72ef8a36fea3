"""Kept frames found by what they show.

What a frame will show is not known before it is made. So the network dreams twice: a draft without kept frames, then,
from the same noise, with those that look like the draft at the start of the prefix.
"""

from __future__ import annotations

import torch

from slowfast.fast.generators import states
from slowfast.fast.likeness import likest
from slowfast.fast.showing import Kept, Look, Request, picked


def answer_by_likeness(kept: Kept) -> Look:
    """One draft, one look among the ``kept`` frames, one answer."""

    def look(request: Request) -> torch.Tensor:
        before, rule = states(request.generators), request.memory.rule
        draft = request.plain()
        asked = draft[:, [min(slot, request.frames - 1) for slot in range(rule.recalled)]]
        picks, likeness = likest(asked, request.near, kept.latents, kept.usable)
        shown = picked(kept.latents, picks)
        # Where too little is kept, or nothing like the first of the new frames, the draft stands.
        ready = likeness.isfinite().all(1) & (likeness[:, 0] >= rule.alike)
        if request.same_draws and not bool(ready.any()):
            return draft
        if request.same_draws and request.divisible:
            part, chosen = request.part(ready), before[ready.to(before.device)]
            draft[ready] = part.from_noise(lambda: part.with_shown(shown[ready]), chosen)
            return draft
        made = request.from_noise(lambda: request.with_shown(shown), before)
        return torch.where(ready[:, None, None, None, None], made, draft)

    return look
