"""What E dreams keep of their contexts from frame to frame, see :mod:`slowfast.slow.prefix`; nothing, until one does.

All tensors are replaced, never written in place, so that a snapshot shares them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch

from slowfast.slow.prefix import KeptPrefix

NAMES = "rolling."
ENTERED = f"{NAMES}entered"


@dataclass(frozen=True)
class RollingPrefix:
    """``tensors``: each ``[E * rows, ...]``, of a :class:`~slowfast.slow.prefix.KeptPrefix`, of which every episode has
    ``rows``, episode-major. ``entered`` ``int64 [E]`` (CPU): frames that have joined the context since; 0 where nothing
    is kept."""

    tensors: tuple[torch.Tensor, ...]
    entered: torch.Tensor

    @classmethod
    def empty(cls, episodes: int) -> RollingPrefix:
        return cls((), torch.zeros(episodes, dtype=torch.int64))

    def named(self) -> dict[str, torch.Tensor]:
        """Its tensors as they are in a snapshot, ``[E, rows, ...]``; it has none where nothing is kept."""
        if not self.entered.any():
            return {}
        apart = {f"{NAMES}{number:03d}": self._apart(own) for number, own in enumerate(self.tensors)}
        return {ENTERED: self.entered, **apart}

    @classmethod
    def of_named(cls, tensors: Mapping[str, torch.Tensor], episodes: int, device: torch.device) -> RollingPrefix:
        """The inverse of :meth:`named`, from all tensors of a snapshot of so many episodes."""
        if ENTERED not in tensors:
            return cls.empty(episodes)
        names = sorted(name for name in tensors if name.startswith(NAMES) and name != ENTERED)
        return cls(tuple(tensors[name].to(device).flatten(0, 1) for name in names), tensors[ENTERED])

    def cut(self, index: torch.Tensor) -> RollingPrefix:
        """Without what the episodes ``index`` keep."""
        return replace(self, entered=self.entered.index_fill(0, index, 0))

    def of(self, index: torch.Tensor, context: int) -> KeptPrefix:
        """What the episodes ``index``, all of which keep as much, have of their contexts; empty for nothing."""
        entered = int(self.entered[index[0]])
        if not entered:
            return KeptPrefix(context)
        whole = self._all(index)
        chosen = self.tensors if whole else [self._apart(own)[index].flatten(0, 1) for own in self.tensors]
        kept = KeptPrefix(context, chosen)
        kept.enter(entered)
        return kept

    def keep(self, index: torch.Tensor, kept: KeptPrefix, entered: int) -> RollingPrefix:
        """With what the episodes ``index`` keep now, ``entered`` frames ago."""
        if self._all(index):
            tensors = tuple(kept.tensors)
        else:
            new = [own.unflatten(0, (len(index), -1)) for own in kept.tensors]
            old = [self._apart(own) for own in self.tensors]
            old = old or [own.new_zeros(len(self.entered), *own.shape[1:]) for own in new]
            pairs = zip(old, new, strict=True)
            tensors = tuple(one.index_copy(0, index.to(one.device), two).flatten(0, 1) for one, two in pairs)
        return RollingPrefix(tensors, self.entered.index_fill(0, index, entered))

    def _apart(self, own: torch.Tensor) -> torch.Tensor:
        """``[E, rows, ...]`` of ``[E * rows, ...]``."""
        return own.unflatten(0, (len(self.entered), -1))

    def _all(self, index: torch.Tensor) -> bool:
        """Whether ``index`` names all episodes in their order."""
        return index.tolist() == list(range(len(self.entered)))
