"""Training a slow learner: windows of latents in, the loss on their new frames out; validated as a whole world."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from slowfast.actions import ActionSpec
from slowfast.datasets.sources import EpisodeSource
from slowfast.datasets.windows import WindowLoader, WindowShape
from slowfast.evaluation.horizon import horizon_errors
from slowfast.evaluation.one_chunk import (
    TrueWindows,
    action_effect,
    figures,
    has_text_route,
    imagined,
    one_chunk_errors,
    route,
    swapped_actions,
)
from slowfast.slow.windows import Windows, select_actions
from slowfast.training.random import numpy_generator, torch_generator
from slowfast.training.recalled import Ahead, EpisodePoses, dreamed_ahead, put_first, recalled_frames
from slowfast.training.routes import draw_routes
from slowfast.training.sheets import save_sheet
from slowfast.training.slow_config import SlowTaskConfig
from slowfast.training.splits import Subset
from slowfast.training.starts import draw_starts
from slowfast.world_model import WorldModel

DRAW, LOSS, OWN, VALIDATION, RECALLED = range(10, 15)  # streams of random numbers


class SlowTask:
    """A :class:`~slowfast.training.task.TrainTask` for ``world.slow``; the export is the whole world.

    ``train`` holds latents of ``world.codec``; ``measured`` holds frames of worlds that are not trained on, by the
    prefix of their figures' names (``""`` is what the gate reads). ``poses`` says where the frames of ``train`` were
    seen from, if that is known.
    """

    def __init__(
        self,
        world: WorldModel,
        config: SlowTaskConfig,
        train: EpisodeSource,
        measured: dict[str, Subset],
        seed: int = 0,
        poses: EpisodePoses | None = None,
    ) -> None:
        window = world.slow.config.window
        for prefix, new, _ in config.shapes:
            if prefix + new > window:
                raise ValueError(f"window shape ({prefix}, {new}) does not fit the network's window of {window} frames")
        if sum(config.validation_shape) > window:
            raise ValueError(f"validation_shape {config.validation_shape} does not fit the window of {window} frames")
        self.world, self.module, self.config, self.seed = world, world.slow, config, seed
        if config.recalled:
            self.module.config = replace(self.module.config, recalled=config.recalled_frames)
        self.spec, self.poses = world.action_spec, poses
        shapes = [WindowShape(prefix, new, weight) for prefix, new, weight in config.shapes]
        self.loader = WindowLoader(train, shapes, config.batch_size, seed)
        prefix, new = config.validation_shape
        self.truth = {
            name: true_windows(part, prefix, new, config.validation_windows, seed) for name, part in measured.items()
        }
        self.starts = draw_starts(measured[""], config.starts, config.start_frames, seed)
        self.long: dict[str, TrueWindows] = {}
        if config.horizon:
            self.long = {
                name: true_windows(part, prefix, config.horizon, config.horizon_windows, seed)
                for name, part in measured.items()
            }

    def batch(self, index: int) -> Windows | Ahead:
        raw = self.loader[index]
        prefix = int(raw["prefix"][0])
        recalled, ahead = self._recalled(prefix, next(iter(raw["actions"].values())).shape[1] - prefix, index)
        if recalled:
            random = numpy_generator(self.seed, RECALLED, index, 1)
            shown = recalled_frames(raw, self.loader.source, recalled, random, ahead, self.poses)
            if not ahead:
                put_first(raw, shown[:, 0], self.spec)
        columns = draw_routes(self.spec, raw["actions"], self.config, numpy_generator(self.seed, DRAW, index))
        windows = Windows(torch.from_numpy(raw["latents"]), self.module.actions.tensors(columns, "cpu"), prefix)
        return Ahead(windows, shown) if ahead else windows

    def loss(self, batch: Windows | Ahead, index: int) -> tuple[Tensor, dict[str, Tensor]]:
        batch = batch.to(self.world.device)
        if isinstance(batch, Ahead):
            with self._own_frames(index, len(batch.shown)) as generators:
                windows = dreamed_ahead(self.module, batch, generators)
        else:
            windows = self._with_own_prefix(batch, index)
        generators = [torch_generator(self.seed, LOSS, index)]
        loss = self.module.loss(windows, generators, self.config.prefix_noise, motion=self.config.motion).mean()
        shape = f"loss_{windows.prefix}+{windows.latents.shape[1] - windows.prefix}"
        return loss, {shape: loss.detach()}

    def validate(self, step: int, folder: Path) -> dict[str, float]:
        """Loss, one chunk beside its baseline and ceiling, action effects by route, long dreams, and sheets."""
        self.world.codec.to(self.world.device)  # type: ignore[attr-defined]  # codecs are modules
        results: dict[str, float] = {}
        for name, truth in self.truth.items():
            results[f"{name}loss"] = self._held_out_loss(truth)
            plain = route(self.spec, truth, text=False)
            results |= figures(one_chunk_errors(self.world, plain, self.seed), name)
            if self.config.swap:
                results |= figures(action_effect(self.world, plain, self.config.swap, self.seed), name)
                if has_text_route(self.spec):
                    spoken = route(self.spec, truth, text=True)
                    effect = action_effect(self.world, spoken, self.config.swap, self.seed)
                    results |= figures(effect, f"{name}text_")
            save_sheet(folder / f"{name}chunk-{step:08d}.png", self._sheet(plain))
        for name, truth in self.long.items():
            horizon = horizon_errors(self.world, route(self.spec, truth, text=False), self.config.swap, self.seed)
            results[f"{name}horizon_psnr"] = horizon.late_psnr
            if self.config.swap:
                results[f"{name}horizon_swapped_rise"] = horizon.swapped_rise
        return results

    def save(self, folder: Path) -> None:
        """The world's folder as it ships: weights in ``config.export``, and starts from validation episodes."""
        self.world.__dict__.pop("base_hash", None)
        self.world.save_pretrained(folder, dtype=getattr(torch, self.config.export))
        self.starts.save(folder / "starts.safetensors")

    def _recalled(self, prefix: int, new: int, index: int) -> tuple[int, int]:
        """How many frames of the prefix of batch ``index`` are recalled ones, and how many new ones are dreamed."""
        count, random = self.config.recalled_frames, numpy_generator(self.seed, RECALLED, index, 0)
        if random.random() >= self.config.recalled or prefix <= count:
            return 0, 0
        return count, int(random.integers(1 + min(self.config.recalled_ahead, new - 1)))

    def _with_own_prefix(self, windows: Windows, index: int) -> Windows:
        """In a share of the batches, the last frames of the prefix are the model's own continuation of the first."""
        random = numpy_generator(self.seed, OWN, index)
        if windows.prefix < 2 or random.random() >= self.config.own_prefix:
            return windows
        least = 1 + self._recalled(windows.prefix, windows.latents.shape[1] - windows.prefix, index)[0]
        if least == windows.prefix:
            return windows
        kept = int(random.integers(least, windows.prefix))
        actions = select_actions(windows.actions, (slice(None), slice(0, windows.prefix)))
        with self._own_frames(index, len(windows.latents)) as generators:
            made = self.module.generate(windows.latents[:, :kept], actions, windows.prefix - kept, generators)
        latents = torch.cat([windows.latents[:, :kept], made, windows.latents[:, windows.prefix :]], 1)
        return Windows(latents, windows.actions, windows.prefix)

    @contextmanager
    def _own_frames(self, index: int, windows: int) -> Iterator[list[torch.Generator]]:
        """Within the context the network generates; with the generators that it draws from for batch ``index``."""
        with self._evaluating():
            yield [torch_generator(self.seed, OWN, index, row) for row in range(windows)]

    @contextmanager
    def _evaluating(self) -> Iterator[None]:
        """Within the context the network is in eval mode."""
        training = self.module.training
        self.module.eval()
        try:
            yield
        finally:
            self.module.train(training)

    def _held_out_loss(self, truth: TrueWindows) -> float:
        """The training loss, with all of the action and the same draws at every validation."""
        total = 0.0
        for start in range(0, len(truth.frames), self.config.batch_size):
            rows = slice(start, start + self.config.batch_size)
            latents = self.world.encode(truth.frames[rows])
            actions = self.world.action_tensors(ActionSpec.select(truth.actions, rows))
            generators = [torch_generator(self.seed, VALIDATION, start)]
            total += float(self.module.loss(Windows(latents, actions, truth.prefix), generators).sum())
        return total / len(truth.frames)

    def _sheet(self, truth: TrueWindows, windows: int = 6) -> list[np.ndarray]:
        """Rows of frames: the truth, the dream, and (if there is a swap) the dream with swapped actions."""
        chosen = np.arange(min(windows, len(truth.frames)))
        swapped: Any = None
        if self.config.swap:
            turns, swapped = swapped_actions(self.spec, truth, self.config.swap)
            chosen = np.flatnonzero(turns)[:windows] if turns.any() else chosen
        shown = TrueWindows(truth.frames[chosen], self.spec.select(truth.actions, chosen), truth.prefix)
        arms = [imagined(self.world, shown, shown.actions, self.seed)]
        if swapped is not None:
            arms.append(imagined(self.world, shown, self.spec.select(swapped, chosen), self.seed))
        rows = []
        for row, frames in enumerate(shown.frames):
            rows.append(frames)
            rows += [np.concatenate([frames[: truth.prefix], arm[row]]) for arm in arms]
        return rows


def true_windows(source: EpisodeSource, prefix: int, new: int, count: int, seed: int) -> TrueWindows:
    """``count`` windows of frames, drawn once for a seed. Words are those of the data, filled in from labels.

    Raises ValueError when the source holds latents: errors are measured on true frames.
    """
    if source.key != "frames":
        raise ValueError(f"a validation data set has to hold frames, this one holds {source.key}")
    raw = WindowLoader(source, [WindowShape(prefix, new)], count, seed + 1)[0]
    return TrueWindows(raw["frames"], raw["actions"], prefix)
