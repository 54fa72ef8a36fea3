"""The outer loop of Algorithm 1(b): Φ learns to foretell the next real chunk while a frozen memory is attached."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from slowfast.datasets.sources import EpisodeSource
from slowfast.fast.adapters import AdapterLayout, attached
from slowfast.slow.windows import Windows
from slowfast.training.loop_store import MemoryStore, Pair, led_in
from slowfast.training.random import numpy_generator, torch_generator
from slowfast.training.routes import draw_routes
from slowfast.training.slow_config import SlowTaskConfig
from slowfast.training.slow_task import SlowTask
from slowfast.training.splits import Subset
from slowfast.world_model import WorldModel

ORDER, KIND, ROUTES, LOSS = range(50, 54)  # streams of random numbers


@dataclass(frozen=True)
class Remembered:
    """A batch of pairs: windows ``[B, context + chunk, ...]`` and the memory of each, ``float32 [B, P]``, or None."""

    windows: Windows
    rows: Tensor | None


class LoopTask(SlowTask):
    """A :class:`~slowfast.training.task.TrainTask`; validation and export are the slow learner's.

    Batches are pairs of the store, all of them once before any comes again; a share ``plain`` of the batches is
    the slow learner's own, without a memory. Without a ``store`` the same pairs come without memories (the control
    that the paper lacks: plain fine-tuning on the same data).
    """

    def __init__(
        self,
        world: WorldModel,
        config: SlowTaskConfig,
        train: EpisodeSource,
        measured: dict[str, Subset],
        pairs: Sequence[Pair],
        store: MemoryStore | None,
        layout: AdapterLayout,
        plain: float,
        seed: int = 0,
    ) -> None:
        super().__init__(world, config, train, measured, seed)
        self.source, self.pairs, self.store, self.layout, self.plain = train, pairs, store, layout, plain

    def batch(self, index: int) -> Any:
        if numpy_generator(self.seed, KIND, index).random() < self.plain:
            return super().batch(index)
        size = self.config.batch_size
        chosen = in_passes(np.arange(index * size, (index + 1) * size), len(self.pairs), self.seed)
        pairs = [self.pairs[number] for number in chosen]
        windows = self.windows([(pair.episode, pair.start) for pair in pairs], index)
        return Remembered(windows, None if self.store is None else self.store.rows(pairs))

    def loss(self, batch: Any, index: int) -> tuple[Tensor, dict[str, Tensor]]:
        if not isinstance(batch, Remembered):
            return super().loss(batch, index)
        return self.loss_with(batch.windows, batch.rows, index)

    def windows(self, places: Sequence[tuple[int, int]], index: int) -> Windows:
        """Windows of ``context + chunk`` frames from ``places`` (episode, first frame) on, with drawn routes."""
        context, length = self.world.config.context, self.world.config.context + self.world.config.chunk
        spans = [(episode, start, start + length) for episode, start in places]
        latents = torch.from_numpy(np.stack([self.source.read(*span) for span in spans]))
        columns = self.spec.stack([led_in(self.source, *span) for span in spans])
        columns = draw_routes(self.spec, columns, self.config, numpy_generator(self.seed, ROUTES, index))
        return Windows(latents, self.module.actions.tensors(columns, "cpu"), context)

    def loss_with(self, windows: Windows, rows: Tensor | None, index: int) -> tuple[Tensor, dict[str, Tensor]]:
        """The slow learner's loss on ``windows`` with the frozen memories ``rows`` ``[B, P]`` attached, if any."""
        device = self.world.device
        generators = [torch_generator(self.seed, LOSS, index)]
        remembering = nullcontext() if rows is None else attached(self.module.unet, self.layout, rows.to(device))
        with remembering:
            loss = self.module.loss(windows.to(device), generators).mean()
        return loss, {"loss_remembered": loss.detach()}


def in_passes(positions: np.ndarray, count: int, seed: int) -> np.ndarray:
    """What stands at ``positions`` ``int64 [n]`` of an endless row of passes over ``count`` things, each pass in an
    order of its own."""
    orders = {
        passed: numpy_generator(seed, ORDER, int(passed)).permutation(count) for passed in np.unique(positions // count)
    }
    return np.array([orders[position // count][position % count] for position in positions])
