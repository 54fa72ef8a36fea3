"""Frames of each episode that a memory keeps as they are, to show them again: a bounded, varied selection.

All tensors are replaced, never written in place, so that a snapshot shares them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from slowfast.fast.likeness import directions

SAME = 0.98
"""Cosine likeness from which an observed frame takes the place of a kept one, as the newer picture of one view."""
KNOWN = 0.8
"""From which a dreamed frame is passed over: what it shows is kept already, and perhaps as it really was."""


@dataclass(frozen=True)
class Bank:
    """Up to N frames of each of E episodes: ``latents`` ``float16 [E, N, C, h, w]``, of which the first ``kept``
    ``int64 [E]`` (CPU) exist."""

    latents: torch.Tensor
    kept: torch.Tensor

    @classmethod
    def empty(cls, slots: int, latents: torch.Tensor, episodes: int) -> Bank:
        """No frames yet, for frames like ``latents [*, *, C, h, w]``."""
        shape = (episodes, slots, *latents.shape[2:])
        return cls(latents.new_zeros(shape, dtype=torch.float16), torch.zeros(episodes, dtype=torch.int64))

    @property
    def slots(self) -> int:
        return self.latents.shape[1]

    def forget(self, index: torch.Tensor) -> Bank:
        """Without the frames of the episodes ``index``."""
        return replace(self, kept=self.kept.index_fill(0, index, 0))

    def usable(self, index: torch.Tensor) -> torch.Tensor:
        """``bool [E', N]``, on the device of the frames."""
        filled = torch.arange(self.slots)[None] < self.kept[index][:, None]
        return filled.to(self.latents.device)

    def offer(self, index: torch.Tensor, latents: torch.Tensor, dreamed: bool) -> Bank:
        """With frames ``[E', n, C, h, w]`` of the episodes ``index`` kept or passed over, one after the other.

        An observed frame replaces its like, or fills a free slot, or replaces what is most alike. A dreamed one is kept
        where there is a free slot and nothing like it.
        """
        bank = self
        for frame in latents.unbind(1):
            bank = bank._offer(index, frame, dreamed)
        return bank

    def _offer(self, index: torch.Tensor, frame: torch.Tensor, dreamed: bool) -> Bank:
        rows = index.to(self.latents.device)
        likeness = (directions(self.latents[rows]) @ directions(frame[:, None]).mT).squeeze(-1)  # [E', N]
        most, alike = likeness.masked_fill(~self.usable(index), -1).max(1)
        most, alike, free = most.cpu(), alike.cpu(), self.kept[index] < self.slots
        known = most >= (KNOWN if dreamed else SAME)
        takes = free & ~known if dreamed else torch.ones_like(known)
        slot = torch.where(known | ~free, alike, self.kept[index])
        where = (rows[takes.to(rows.device)], slot[takes].to(rows.device))
        kept = self.kept.index_add(0, index, (takes & free & ~known).long())
        return Bank(self.latents.index_put(where, frame[takes.to(rows.device)].half()), kept)
