"""What a memory of E episodes is at one moment, as a value."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from slowfast.fast.bank import Bank
from slowfast.fast.optimiser import AdamState
from slowfast.fast.replay import Replay, Stream


@dataclass(frozen=True)
class MemoryState:
    """All that a memory is at one moment. Its tensors are never written in place: a snapshot shares them.

    ``rows`` ``float32 [E, P]`` and ``adam``: the adapters and their optimiser; ``stream``, ``replay``: frames (None
    before the first); ``bank``: frames that are shown again (None: the rule keeps none, or none came yet); ``pose``
    ``float32 [E, 3]``: where each stream's last frame was seen from, as an odometry says; ``lives`` ``int64 [E]``:
    resets so far; ``random`` ``uint8 [E, n]``: the generators' states; ``settled`` like ``rows``: what weights decay to
    (None: to nothing); ``keys`` ``float32 [E, r, r]``: sums of the products of keys that an associative memory was
    asked for (None: of another one).
    """

    rows: torch.Tensor
    adam: AdamState
    stream: Stream | None
    replay: Replay | None
    bank: Bank | None
    pose: torch.Tensor
    lives: torch.Tensor
    random: torch.Tensor
    settled: torch.Tensor | None = None
    keys: torch.Tensor | None = None

    @classmethod
    def fresh(cls, rows: torch.Tensor, random: torch.Tensor, settles: bool, keys: int | None = None) -> MemoryState:
        """Of episodes that have seen nothing, with their first ``rows``; ``keys``: numbers in a key, if there are."""
        lives = torch.zeros(len(rows), dtype=torch.int64)
        pose = torch.zeros_like(rows[:, :3])
        settled = rows if settles else None
        sums = None if keys is None else rows.new_zeros(len(rows), keys, keys)
        return cls(rows, AdamState.fresh(rows), None, None, None, pose, lives, random, settled, sums)

    def written(
        self,
        index: torch.Tensor,
        rows: torch.Tensor,
        adam: AdamState,
        settled: torch.Tensor | None = None,
        keys: torch.Tensor | None = None,
    ) -> MemoryState:
        """With rows and optimiser of the episodes ``index`` ``int64 [E']`` exchanged, what has settled of them: if
        it is not said, the rows; and their keys: if they are not said, none."""
        where, old = index.to(self.rows.device), self.adam
        merged = AdamState(
            old.first.index_copy(0, where, adam.first),
            old.second.index_copy(0, where, adam.second),
            old.steps.index_copy(0, index, adam.steps),
        )
        new = rows if settled is None else settled
        settled = None if self.settled is None else self.settled.index_copy(0, where, new)
        if self.keys is not None:
            keys = self.keys.index_fill(0, where, 0.0) if keys is None else self.keys.index_copy(0, where, keys)
        return replace(self, rows=self.rows.index_copy(0, where, rows), adam=merged, settled=settled, keys=keys)

    def exchanged(self, order: torch.Tensor) -> MemoryState:
        """What the episodes ``order`` ``int64 [E]`` learned and kept, in the places of all; streams, poses and what an
        update goes on from stay."""
        there = order.to(self.rows.device)
        keys, bank = None if self.keys is None else self.keys[there], self.bank and self.bank.exchanged(order)
        return replace(self, rows=self.rows[there], keys=keys, bank=bank)

    def forgetful(self, index: torch.Tensor) -> MemoryState:
        """Without any frame of the episodes ``index``."""
        return replace(
            self,
            stream=self.stream and self.stream.cut(index),
            replay=self.replay and self.replay.forget(index),
            bank=self.bank and self.bank.forget(index),
            pose=self.pose.index_fill(0, index.to(self.pose.device), 0.0),
        )
