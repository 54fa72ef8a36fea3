"""Batches of windows for training: ``prefix`` known items followed by ``new`` ones, from any episode source.

Batch number s is a pure function of (seed, s), whatever was read before and however many workers read. So resuming at
step s continues exactly, and any batch can be made anew.

In a window item k goes with the action that led *into* it: ``actions[k-1]`` of the episode. The first item of an
episode was led into by nothing that is known; its action is null.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from slowfast.actions import Columns
from slowfast.datasets.episode import DatasetError
from slowfast.datasets.sources import EpisodeSource

Batch = dict[str, Any]


@dataclass(frozen=True)
class WindowShape:
    """``prefix`` items (f_p, may be 0) then ``new`` items (f_g, at least 1), drawn in proportion to ``weight``."""

    prefix: int
    new: int
    weight: float = 1.0

    def __post_init__(self) -> None:
        if self.prefix < 0 or self.new < 1 or not self.weight > 0:
            raise DatasetError(f"{self}: expected prefix >= 0, new >= 1 and weight > 0")

    @property
    def frames(self) -> int:
        return self.prefix + self.new


class WindowSampler:
    """Where the windows of batch s lie: uniform over all windows of the drawn shape that fit into an episode.

    ``lengths`` ``[N]`` are the episodes' numbers of actions T; an episode has T+1 items. Episodes that are too short
    for a shape are left out of it. Raises :class:`DatasetError` if a shape fits nowhere.
    """

    def __init__(self, lengths: np.ndarray, shapes: Sequence[WindowShape], batch_size: int, seed: int) -> None:
        if not shapes or batch_size < 1:
            raise DatasetError(f"a loader needs a window shape and a batch size of at least 1, got {batch_size}")
        self.shapes, self.batch_size, self.seed = tuple(shapes), batch_size, seed
        weights = np.array([shape.weight for shape in shapes])
        self._chances = weights / weights.sum()
        self._ends = {}  # number of items in a window -> windows up to and with each episode
        for frames in {shape.frames for shape in shapes}:
            self._ends[frames] = np.cumsum(np.maximum(lengths + 2 - frames, 0))
            if self._ends[frames][-1] == 0:
                raise DatasetError(f"no episode has {frames} frames; the longest has {int(lengths.max()) + 1}")

    def draw(self, step: int) -> tuple[WindowShape, np.ndarray, np.ndarray]:
        """Shape, episodes ``int64 [B]`` and first items ``int64 [B]`` of batch ``step``."""
        rng = np.random.default_rng(np.random.SeedSequence((self.seed, step)))
        shape = self.shapes[rng.choice(len(self.shapes), p=self._chances)]
        ends = self._ends[shape.frames]
        window = rng.integers(ends[-1], size=self.batch_size)
        episodes = np.searchsorted(ends, window, side="right")
        return shape, episodes, window - np.concatenate([[0], ends])[episodes]


class WindowLoader:
    """An endless iterator over batches, read ahead in a thread (numpy and HDF5 only; no torch).

    A batch holds, with F = prefix + new:

    - ``source.key``: ``frames`` ``uint8 [B, F, H, W, 3]`` or ``latents`` ``float32 [B, F, C, h, w]``;
    - ``actions``: columns ``[B, F, ...]``, the action that led into each item, null where unknown;
    - ``prefix``: ``int64 [B]``, all equal: one batch has one shape;
    - ``episodes``, ``starts``: ``int64 [B]``, where the windows come from.

    ``loader[s]`` is batch s, so ``torch.utils.data.DataLoader(loader, batch_size=None, sampler=range(a, b),
    num_workers=n)`` reads the same batches in worker processes.
    """

    def __init__(
        self,
        source: EpisodeSource,
        shapes: Sequence[WindowShape],
        batch_size: int,
        seed: int = 0,
        prefetch: int = 2,
    ) -> None:
        sizes = {source.shape(i) for i in range(len(source))}
        if len(sizes) != 1:
            raise DatasetError(f"a batch needs {source.key} of one size, the episodes have {sorted(sizes)}")
        self.source, self.prefetch, self.step = source, prefetch, 0
        self.sampler = WindowSampler(source.lengths, shapes, batch_size, seed)
        self._led_in: dict[int, Columns] = {}

    def __getitem__(self, step: int) -> Batch:
        shape, episodes, starts = self.sampler.draw(step)
        places = [(int(i), int(start), int(start) + shape.frames) for i, start in zip(episodes, starts, strict=True)]
        spec = self.source.spec
        return {
            self.source.key: np.stack([self.source.read(*place) for place in places]),
            "actions": spec.stack([spec.select(self._actions(i), slice(start, stop)) for i, start, stop in places]),
            "prefix": np.full(len(places), shape.prefix, np.int64),
            "episodes": episodes,
            "starts": starts,
        }

    def __iter__(self) -> Iterator[Batch]:
        """Batches from the current step on; the position counts the batches that were handed out."""
        pool = ThreadPoolExecutor(1, thread_name_prefix="windows")
        try:
            ahead = deque(pool.submit(self.__getitem__, self.step + k) for k in range(max(self.prefetch, 1)))
            while True:
                batch = ahead.popleft().result()
                self.step += 1
                ahead.append(pool.submit(self.__getitem__, self.step + len(ahead)))
                yield batch
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def state_dict(self) -> dict[str, int]:
        """The position as plain integers; valid for the same source, shapes, batch size and seed."""
        return {"step": self.step, "seed": self.sampler.seed}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Continue where ``state`` was taken; iterators that run already are not moved."""
        if state["seed"] != self.sampler.seed:
            raise DatasetError(
                f"the loader has seed {self.sampler.seed}, the saved position is of seed {state['seed']}"
            )
        self.step = int(state["step"])

    def _actions(self, i: int) -> Columns:
        """The action that led into each of the T+1 items of an episode."""
        if i not in self._led_in:
            spec = self.source.spec
            self._led_in[i] = spec.concat([spec.null((1,)), self.source.actions(i)])
        return self._led_in[i]
