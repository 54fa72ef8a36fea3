"""Training a world's instruction head: frames of recorded episodes in, whether what was said is done out."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from slowfast.datasets.sources import EpisodeSource
from slowfast.datasets.windows import WindowLoader, WindowShape
from slowfast.heads.instruction import InstructionConfig, InstructionHead
from slowfast.heads.words import UNKNOWN, vocabulary
from slowfast.training.held_out import AT_ONCE, check_data, device_of
from slowfast.training.instruction_config import InstructionTaskConfig
from slowfast.training.instruction_figures import (
    cross_fitted,
    instruction_figures,
    platt,
    soon_figures,
    words_auc,
)
from slowfast.training.instructions import EpisodeInstructions, PairSampler
from slowfast.training.outcome_figures import best_threshold, check_metrics
from slowfast.training.random import numpy_generator, torch_generator
from slowfast.training.splits import Subset
from slowfast.world_model import WorldModel

DRAW, LOSS, OTHERS, FOLDS = 40, 41, 42, 43  # streams of random numbers
OTHER_WORDS = 16
"""Other instructions, at most, that a held-out frame is ranked against."""
Said = tuple[Tensor, Tensor, Tensor, Tensor]
"""Latents ``[B, 1, C, h, w]``, word numbers ``[B, L]``, done ``bool [B]``, how soon ``float32 [B]``, nan if unknown."""


class Told(NamedTuple):
    """Of the frames of a part of which it is known whether their own instruction is done: ``logits`` and ``done``
    ``[N]``, ``folds`` ``int64 [N]`` (0 and 1, whole episodes); of those in which it is: ``shown`` ``[M]`` and, with
    other instructions, ``others`` ``[M, k]``; of those in which it is not yet, where how soon it was is known,
    ``soon`` ``[K, 2]``: as it is told and as it was."""

    logits: Tensor
    done: Tensor
    folds: Tensor
    shown: Tensor
    others: Tensor
    soon: Tensor


class InstructionTask:
    """A :class:`~slowfast.training.task.TrainTask` for ``world.instruction``, a new one; the export is the whole world.

    ``train`` holds latents of ``world.codec``, whose episodes were told ``instructions``; ``measured`` holds frames.
    Which pairs of frames and words are learned from, and what false ones among them do, says
    :mod:`slowfast.training.instructions`. Loss: cross-entropy, of how soon as well
    where that is learned. Raises DatasetError when nothing that was said was ever
    done, or a part has no instructions; ImportError without torchmetrics.
    """

    def __init__(
        self,
        world: WorldModel,
        config: InstructionTaskConfig,
        train: EpisodeSource,
        instructions: EpisodeInstructions,
        measured: dict[str, Subset],
        seed: int = 0,
    ) -> None:
        check_metrics()
        check_data(world, train, measured)
        self.world, self.config, self.seed, self.share = world, config, seed, instructions.share
        self.loader = WindowLoader(train, [WindowShape(0, 1)], config.batch_size, seed)
        self.sampler = PairSampler(instructions, config.swapped, config.batch_size, seed)
        self.loader.sampler = self.sampler
        known = vocabulary(instructions.texts[number] for number in self.sampler.followed)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.module = InstructionHead(InstructionConfig(world.codec.latent_channels, known, soon=config.soon))
        world.instruction = self.module
        self.texts = self.module.words.read(instructions.texts)
        self.measured = {name: (part, EpisodeInstructions.of(part, config)) for name, part in measured.items()}

    def batch(self, index: int) -> Said:
        raw, pairs = self.loader[index], self.sampler.pairs(index)
        words = self.texts[torch.from_numpy(pairs.texts)]
        lost = numpy_generator(self.seed, DRAW, index).random(words.shape) < self.config.unknown
        words = torch.where(torch.from_numpy(lost) & (words > UNKNOWN), UNKNOWN, words)
        return torch.from_numpy(raw["latents"]), words, torch.from_numpy(pairs.done), torch.from_numpy(pairs.soon)

    def loss(self, batch: Said, index: int) -> tuple[Tensor, dict[str, Tensor]]:
        latents, words, done, soon = (part.to(device_of(self.module)) for part in batch)
        generator = torch_generator(self.seed, LOSS, index)
        share = self.config.noise * torch.rand(len(latents), 1, 1, 1, 1, generator=generator)
        noise = torch.randn(latents.shape, generator=generator)
        noisy = torch.lerp(latents, noise.to(latents.device), share.to(latents.device))
        logits = self.module.logits(noisy, words)[:, 0]
        right = ((logits[:, 0] > 0) == done).float().mean()
        loss = functional.binary_cross_entropy_with_logits(logits[:, 0], done.float())
        if self.config.soon:
            known = soon.isfinite()
            losses = functional.binary_cross_entropy_with_logits(logits[:, 1], soon.nan_to_num(), reduction="none")
            loss = loss + (losses * known).sum() / known.sum().clamp(min=1)
        return loss, {"right": right.detach()}

    @torch.no_grad()
    def validate(self, step: int, folder: Path) -> dict[str, float]:
        """Chances in all held-out frames of which it is known whether their instruction is done, and how well frames
        and words rank, see :mod:`slowfast.training.instruction_figures`. Sets the head's slope, offset and threshold by
        the validation episodes; the figures of these are of slopes and offsets found in the other half of them."""
        self.world.codec.to(self.world.device)  # type: ignore[attr-defined]  # codecs are modules
        results: dict[str, float] = {}
        for name, (part, instructions) in self.measured.items():
            told = self._told(part, instructions)
            if name:
                odds = self.module.calibrated(told.logits)
            else:  # the validation part comes first
                odds = cross_fitted(told.logits, told.done, told.folds)
                slope, offset = platt(told.logits, told.done)
                self.module.slope.fill_(slope)
                self.module.offset.fill_(offset)
                chances = self.module.calibrated(told.logits).sigmoid()
                self.module.threshold.fill_(best_threshold(chances, told.done))
            found = instruction_figures(odds.sigmoid(), told.done, self.share, float(self.module.threshold))
            if told.others.numel():
                found["words_auc"] = words_auc(told.shown, told.others)
            if told.soon.numel():
                found |= soon_figures(*told.soon.unbind(1))
            results |= {f"{name}{figure}": value for figure, value in found.items()}
        return results

    def save(self, folder: Path) -> None:
        """The world's folder with its instruction head."""
        self.world.save_pretrained(folder)

    def _told(self, part: Subset, instructions: EpisodeInstructions) -> Told:
        """On the CPU. ``others`` are the same number of instructions for every frame, drawn once for each episode."""
        device = device_of(self.module)
        heard = self.module.words(self.module.words.read(instructions.texts).to(device))  # [K, width]
        found: list[Told] = []
        halves = numpy_generator(self.seed, FOLDS).permutation(len(part)) % 2  # data may come in turns of instructions
        for i in np.flatnonzero(instructions.said >= 0).tolist():
            seen = self._seen(part, i)
            own, done = instructions.said[i], torch.from_numpy(instructions.done[i])
            known = done | torch.from_numpy(instructions.not_yet[i])
            answers = self.module.judged(seen, heard[own]).cpu()
            logits, soon = answers[:, 0], torch.from_numpy(instructions.soon[i])
            waiting = torch.from_numpy(instructions.not_yet[i]) & soon.isfinite() & (self.config.soon > 0)
            rest = np.delete(np.arange(len(heard)), own)
            drawn = numpy_generator(self.seed, OTHERS, i).permutation(rest)[:OTHER_WORDS]
            others = self.module.judged(seen[done.to(device), None], heard[torch.from_numpy(drawn).to(device)])[..., 0]
            folds = torch.full((int(known.sum()),), int(halves[i]))
            how_soon = torch.stack([answers[waiting, -1].sigmoid(), soon[waiting]], 1)
            found.append(Told(logits[known], done[known], folds, logits[done], others.cpu(), how_soon))
        return Told(*(torch.cat(column) for column in zip(*found, strict=True)))

    def _seen(self, part: Subset, i: int) -> Tensor:
        """What the head sees in each frame of an episode, ``[T + 1, width, h, w]``."""
        frames = int(part.lengths[i]) + 1
        seen = []
        for start in range(0, frames, AT_ONCE):
            latents = self.world.encode(part.read(i, start, min(start + AT_ONCE, frames))[None])[0]
            seen.append(self.module.look(latents.to(device_of(self.module))))
        return torch.cat(seen)
