"""The streamed relative of the slow-fast loop: memories that learn beside Φ while it trains, none of them stored.

Batch after batch, Φ takes a step on the next window of B episodes with their memories attached and frozen; then the
memories learn that window with the new Φ frozen. So a memory is always one of (nearly) the present weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from slowfast.datasets.sources import EpisodeSource
from slowfast.fast import EpisodicMemory
from slowfast.fast.adapters import AdapterLayout
from slowfast.fast.state_io import state_from_tensors, state_tensors
from slowfast.slow.windows import Windows
from slowfast.training.loop_config import LoopConfig
from slowfast.training.loop_store import generated, offsets, read_windows
from slowfast.training.loop_task import LoopTask, in_passes
from slowfast.training.random import numpy_generator, torch_generator
from slowfast.training.slow_config import SlowTaskConfig
from slowfast.training.slow_task import SlowTask
from slowfast.training.splits import Subset
from slowfast.world_model import WorldModel

PLAIN, FIRST, MADE = range(55, 58)  # streams of random numbers
AT = "at"


@dataclass(frozen=True)
class Following:
    """Windows ``[B, context + chunk, ...]``: number ``window`` of each episode of the group numbered ``group``."""

    windows: Windows
    group: int
    window: int


class LiveLoopTask(LoopTask):
    """A :class:`~slowfast.training.task.StatefulTask`; its state is the live memories.

    ``episodes``, ``starts`` ``int64 [N]``: where the windows of ``source`` ``train`` lie; B of them (a batch) are a
    group, all of them come once before any comes again. ``memory``: of B episodes, on ``world``; None is the control,
    the same windows in the same order without a memory. A share ``loop.plain`` of the batches, rounded to whole ones
    for each group, is the slow learner's own. Of several ``processes`` each has its own groups.
    """

    def __init__(
        self,
        world: WorldModel,
        config: SlowTaskConfig,
        train: EpisodeSource,
        measured: dict[str, Subset],
        episodes: np.ndarray,
        starts: np.ndarray,
        memory: EpisodicMemory | None,
        layout: AdapterLayout,
        loop: LoopConfig,
        seed: int = 0,
        processes: int = 1,
    ) -> None:
        super().__init__(world, config, train, measured, [], None, layout, loop.plain, seed)
        if memory is not None and len(memory) != config.batch_size:
            raise ValueError(f"a batch of {config.batch_size} windows needs as many memories, got {len(memory)}")
        if memory is not None and not memory.rule.steps:
            raise ValueError(f"memory rule {memory.rule.name!r} learns in 0 steps: choose another for live memories")
        self.episodes, self.begins, self.memory, self.loop, self.processes = episodes, starts, memory, loop, processes
        self.offsets = offsets(world, loop)
        self.plain_batches = round(len(self.offsets) * loop.plain / (1 - loop.plain))
        self._at = (-1, 0)  # the group that the memories are of, and how many of its windows they have learned

    def batch(self, index: int) -> Any:
        group, window = self.place(index)
        if window is None:
            return SlowTask.batch(self, index)
        episodes, starts = self.group(group)
        places = [(int(i), int(start)) for i, start in zip(episodes, starts + self.offsets[window], strict=True)]
        return Following(self.windows(places, index), group, window)

    def loss(self, batch: Any, index: int) -> tuple[Tensor, dict[str, Tensor]]:
        if not isinstance(batch, Following):
            return super().loss(batch, index)
        if self.memory is None:
            return self.loss_with(batch.windows, None, index)
        self.follow(batch.group, batch.window)
        return self.loss_with(batch.windows, self.memory.snapshot().rows, index)

    def place(self, index: int) -> tuple[int, int | None]:
        """Which group batch ``index`` is of, and which of its windows (None: a plain batch between them)."""
        cycle, slot = divmod(index // self.processes, len(self.offsets) + self.plain_batches)
        group = cycle * self.processes + index % self.processes
        order = numpy_generator(self.seed, PLAIN, group).permutation(len(self.offsets) + self.plain_batches)
        plain = order[: self.plain_batches]
        return group, None if slot in plain else slot - int((plain < slot).sum())

    def group(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Its episodes and the frames that they begin at, ``int64 [B]``."""
        size = self.config.batch_size
        chosen = in_passes(np.arange(number * size, (number + 1) * size), len(self.episodes), self.seed)
        return self.episodes[chosen], self.begins[chosen]

    def follow(self, group: int, window: int) -> None:
        """Brings the memories to where they have learned all windows of ``group`` before ``window``.

        In a run that is one window, the last. Memories that stand elsewhere (a checkpoint of other processes) learn the
        windows before it anew.
        """
        assert self.memory is not None
        if self._at[0] != group or self._at[1] > window:
            seeds = np.random.SeedSequence((self.seed, FIRST, group)).generate_state(len(self.memory))
            self.memory.reset(seeds=seeds.tolist())
            self._at = (group, 0)
        episodes, starts = self.group(group)
        # Memories learn in the precision of the weights, as they do in use, whatever the slow learner trains in.
        with self._evaluating(), torch.autocast(self.world.device.type, enabled=False):
            for number in range(self._at[1], window):
                windows = read_windows(self.world, self.source, episodes, starts + self.offsets[number])
                if self.loop.learns == "generated":
                    rows = range(len(episodes))
                    generators = [torch_generator(self.seed, MADE, group, number, row) for row in rows]
                    windows = generated(self.world, windows, self.memory, generators)
                self.memory.study(windows)
                self._at = (group, number + 1)

    def state(self) -> dict[str, Tensor]:
        if self.memory is None:
            return {}
        return state_tensors(self.memory.snapshot()) | {AT: torch.tensor(self._at)}

    def load_state(self, tensors: dict[str, Tensor]) -> None:
        if self.memory is None:
            return
        group, learned = tensors[AT].tolist()
        self.memory.restore(state_from_tensors(tensors, self.world.device))
        self._at = (group, learned)
