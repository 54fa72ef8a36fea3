"""What a memory keeps of its episodes: the last frames of each stream, and a bounded number of earlier windows.

All tensors are replaced, never written in place, so that a snapshot shares them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from slowfast.slow.windows import ActionTensors, Windows


@dataclass(frozen=True)
class Stream:
    """The last L frames of E episodes, right-aligned: ``latents [E, L, C, h, w]``, ``actions`` ``[E, L, ...]``.

    ``frames`` ``int64 [E]`` (CPU) counts the frames since the episode began or was cut; the last ``min(frames, L)``
    entries are valid. A cut is where the next frame does not follow the last one.
    """

    latents: torch.Tensor
    actions: ActionTensors
    frames: torch.Tensor

    @classmethod
    def empty(cls, episodes: int, length: int, latents: torch.Tensor, actions: ActionTensors) -> Stream:
        """No frames yet, for frames like ``latents [*, *, C, h, w]`` and ``actions [*, *, ...]``."""
        return cls(
            latents.new_zeros(episodes, length, *latents.shape[2:]),
            {name: tensor.new_zeros(episodes, length, *tensor.shape[2:]) for name, tensor in actions.items()},
            torch.zeros(episodes, dtype=torch.int64),
        )

    def extend(self, index: torch.Tensor, latents: torch.Tensor, actions: ActionTensors) -> Stream:
        """With frames ``[E', n, ...]`` added to the episodes ``index`` ``int64 [E']`` (CPU)."""
        return Stream(
            _appended(self.latents, index, latents),
            {name: _appended(tensor, index, actions[name]) for name, tensor in self.actions.items()},
            self.frames.index_add(0, index, torch.full_like(index, latents.shape[1])),
        )

    def cut(self, index: torch.Tensor) -> Stream:
        return replace(self, frames=self.frames.index_fill(0, index, 0))

    def windows(self, index: torch.Tensor, length: int, prefix: int) -> Windows:
        """The last ``length`` frames of the episodes ``index``."""
        rows = index.to(self.latents.device)
        return Windows(
            self.latents[rows, -length:],
            {name: tensor[rows, -length:] for name, tensor in self.actions.items()},
            prefix,
        )


@dataclass(frozen=True)
class Replay:
    """Up to R earlier windows of each of E episodes, an even sample of the whole episode (reservoir sampling).

    ``latents [E, R, L, C, h, w]``, ``actions [E, R, L, ...]``; ``offered`` ``int64 [E]`` (CPU): windows seen so far, of
    which the first ``min(offered, R)`` slots hold the kept ones.
    """

    latents: torch.Tensor
    actions: ActionTensors
    offered: torch.Tensor

    @classmethod
    def empty(cls, slots: int, stream: Stream) -> Replay:
        def wide(tensor: torch.Tensor) -> torch.Tensor:
            return tensor.new_zeros(tensor.shape[0], slots, *tensor.shape[1:])

        actions = {name: wide(tensor) for name, tensor in stream.actions.items()}
        return cls(wide(stream.latents), actions, torch.zeros_like(stream.frames))

    @property
    def slots(self) -> int:
        return self.latents.shape[1]

    def forget(self, index: torch.Tensor) -> Replay:
        """Without the windows of the episodes ``index``."""
        return replace(self, offered=self.offered.index_fill(0, index, 0))

    def offer(self, index: torch.Tensor, windows: Windows, generators: Sequence[torch.Generator]) -> Replay:
        """With one full-length window of each of the episodes ``index`` kept or passed over, as its generator draws."""
        if not self.slots:
            return self
        rows, slots, chosen = [], [], []
        for position, (row, generator) in enumerate(zip(index.tolist(), generators, strict=True)):
            seen = int(self.offered[row])
            slot = seen
            if seen >= self.slots:
                slot = int(torch.randint(seen + 1, (), generator=generator))
            if slot < self.slots:
                rows.append(row)
                slots.append(slot)
                chosen.append(position)
        offered = self.offered.index_add(0, index, torch.ones_like(index))
        if not rows:
            return replace(self, offered=offered)
        where = (torch.tensor(rows, device=self.latents.device), torch.tensor(slots, device=self.latents.device))
        kept = windows.select(torch.tensor(chosen, device=self.latents.device))
        actions = {name: tensor.index_put(where, kept.actions[name]) for name, tensor in self.actions.items()}
        return Replay(self.latents.index_put(where, kept.latents), actions, offered)

    def candidates(self, index: torch.Tensor, newest: Windows) -> Candidates:
        """What the episodes ``index`` may learn from now: the newest window, and the kept ones cut to its length."""
        rows, length = index.to(self.latents.device), newest.latents.shape[1]

        def joined(new: torch.Tensor, kept: torch.Tensor) -> torch.Tensor:
            return torch.cat([new[:, None], kept[rows][:, :, -length:]], 1)

        return Candidates(
            joined(newest.latents, self.latents),
            {name: joined(newest.actions[name], tensor) for name, tensor in self.actions.items()},
            newest.prefix,
            (1 + self.offered[index].clamp(max=self.slots)).tolist(),
        )


@dataclass(frozen=True)
class Candidates:
    """Windows to draw from: ``latents [E', 1 + R, F, C, h, w]``, of which the first ``counts[e]`` exist."""

    latents: torch.Tensor
    actions: ActionTensors
    prefix: int
    counts: list[int]

    def draw(self, steps: int, batch: int, generators: Sequence[torch.Generator]) -> torch.Tensor:
        """Which windows each step learns, ``int64 [steps, E', batch]``; an episode with one window draws nothing."""
        picks = [
            torch.zeros(steps, batch, dtype=torch.int64)
            if count == 1
            else torch.randint(count, (steps, batch), generator=generator)
            for count, generator in zip(self.counts, generators, strict=True)
        ]
        return torch.stack(picks, 1).to(self.latents.device)

    def windows(self, picks: torch.Tensor) -> Windows:
        """The windows ``picks`` ``int64 [E', batch]``, episode-major."""
        rows = torch.arange(len(picks), device=picks.device)[:, None]
        actions = {name: tensor[rows, picks].flatten(0, 1) for name, tensor in self.actions.items()}
        return Windows(self.latents[rows, picks].flatten(0, 1), actions, self.prefix)


def _appended(stream: torch.Tensor, index: torch.Tensor, new: torch.Tensor) -> torch.Tensor:
    rows = index.to(stream.device)
    joined = torch.cat([stream[rows], new.to(stream)], 1)[:, -stream.shape[1] :]
    return stream.index_copy(0, rows, joined)
