"""Frames of each episode that a memory keeps as they are, to show them again: a bounded, varied selection.

All tensors are replaced, never written in place, so that a snapshot shares them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from slowfast.fast.likeness import directions
from slowfast.heads.poses import PoseScale, nearest

SAME = 0.98
"""Cosine likeness from which an observed frame takes the place of a kept one, as the newer picture of one view."""
KNOWN = 0.8
"""From which a dreamed frame is passed over: what it shows is kept already, and perhaps as it really was."""
SAME_PLACE, KNOWN_PLACE = 0.25, 0.5
"""The same of frames with a pose: within how many steps of a kept one."""


@dataclass(frozen=True)
class Seen:
    """Where frames were seen from: ``poses`` ``[E', n, 3]``, NaN where that is not known."""

    poses: torch.Tensor
    scale: PoseScale


@dataclass(frozen=True)
class Bank:
    """Up to N frames of each of E episodes: ``latents`` ``float16 [E, N, C, h, w]``, of which the first ``kept``
    ``int64 [E]`` (CPU) exist; ``poses`` ``float32 [E, N, 3]``, if it is known where they were seen from."""

    latents: torch.Tensor
    kept: torch.Tensor
    poses: torch.Tensor | None = None

    @classmethod
    def empty(cls, slots: int, latents: torch.Tensor, episodes: int, posed: bool = False) -> Bank:
        """No frames yet, for frames like ``latents [*, *, C, h, w]``."""
        shape = (episodes, slots, *latents.shape[2:])
        poses = latents.new_zeros((episodes, slots, 3), dtype=torch.float32) if posed else None
        return cls(latents.new_zeros(shape, dtype=torch.float16), torch.zeros(episodes, dtype=torch.int64), poses)

    @property
    def slots(self) -> int:
        return self.latents.shape[1]

    def forget(self, index: torch.Tensor) -> Bank:
        """Without the frames of the episodes ``index``."""
        return replace(self, kept=self.kept.index_fill(0, index, 0))

    def exchanged(self, order: torch.Tensor) -> Bank:
        """The frames of the episodes ``order`` ``int64 [E]`` in the places of all."""
        rows = order.to(self.latents.device)
        return Bank(self.latents[rows], self.kept[order], None if self.poses is None else self.poses[rows])

    def usable(self, index: torch.Tensor) -> torch.Tensor:
        """``bool [E', N]``, on the device of the frames."""
        filled = torch.arange(self.slots)[None] < self.kept[index][:, None]
        return filled.to(self.latents.device)

    def offer(self, index: torch.Tensor, latents: torch.Tensor, dreamed: bool, seen: Seen | None = None) -> Bank:
        """With frames ``[E', n, C, h, w]`` of the episodes ``index`` kept or passed over, one after the other.

        An observed frame replaces its like, or fills a free slot, or replaces what is most alike. A dreamed one is kept
        where there is a free slot and nothing like it. Alike are frames that look so, or, in a bank with poses, that
        were ``seen`` from near by; there a frame that was seen from who knows where is passed over.
        """
        bank = self
        for step, frame in enumerate(latents.unbind(1)):
            bank = bank._offer(index, frame, dreamed, None if seen is None else Seen(seen.poses[:, step], seen.scale))
        return bank

    def _offer(self, index: torch.Tensor, frame: torch.Tensor, dreamed: bool, seen: Seen | None) -> Bank:
        rows = index.to(self.latents.device)
        if seen is None or self.poses is None:
            likeness = (directions(self.latents[rows]) @ directions(frame[:, None]).mT).squeeze(-1)  # [E', N]
            most, alike = likeness.masked_fill(~self.usable(index), -1).max(1)
            known, valid = most >= (KNOWN if dreamed else SAME), torch.ones_like(most, dtype=torch.bool)
        else:
            alikes, apart = nearest(seen.poses[:, None], self.poses[rows], self.usable(index), seen.scale)
            alike, known = alikes[:, 0], apart[:, 0] <= (KNOWN_PLACE if dreamed else SAME_PLACE)
            valid = seen.poses.isfinite().all(-1)
        alike, known, valid, free = alike.cpu(), known.cpu(), valid.cpu(), self.kept[index] < self.slots
        takes = valid & free & ~known if dreamed else valid
        slot = torch.where(known | ~free, alike, self.kept[index])
        chosen = takes.to(rows.device)
        where = (rows[chosen], slot[takes].to(rows.device))
        return Bank(
            self.latents.index_put(where, frame[chosen].half()),
            self.kept.index_add(0, index, (takes & free & ~known).long()),
            None if self.poses is None or seen is None else self.poses.index_put(where, seen.poses[chosen].float()),
        )
