"""Training a frame-wise codec: single frames in, the same frames out, through a nearly free bottleneck."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from slowfast.codecs.image_vae import ImageVAE
from slowfast.codecs.linear_start import linear_start
from slowfast.training.codec_config import CodecTaskConfig
from slowfast.training.frames import sample_frames, to_bytes, to_float
from slowfast.training.random import numpy_generator, torch_generator
from slowfast.training.sheets import save_sheet
from slowfast.training.splits import open_splits


class CodecTask:
    """A :class:`~slowfast.training.task.TrainTask` for an :class:`ImageVAE` on the frames of ``data``.

    Loss: ``mse`` · squared error + ``l1`` · absolute error + ``edges`` · absolute error of the differences between
    neighbouring pixels + ``kl`` · KL divergence a latent number, on frames in [-1, 1]. Without a KL term the decoder
    reads the posterior's mean, as it does in use, and not a draw from it.
    """

    def __init__(
        self,
        codec: ImageVAE,
        config: CodecTaskConfig,
        data: Path,
        seed: int = 0,
        progress: Callable[..., None] | None = None,
    ) -> None:
        self.module, self.config, self.seed = codec, config, seed
        splits = open_splits(data, config.validation_episodes)
        self.pool = sample_frames(splits.train, config.pool_frames, seed, progress)
        self.held: dict[str, np.ndarray] = {
            prefix: sample_frames(part, config.validation_frames, seed) for prefix, part in splits.measured.items()
        }
        if config.crop and config.crop > min(self.pool.shape[1:3]):
            raise ValueError(
                f"crop {config.crop} does not fit into frames of {self.pool.shape[1]}x{self.pool.shape[2]}"
            )
        if config.linear_start:
            linear_start(codec, to_float(torch.from_numpy(self.pool[: config.statistics_frames])))
        if config.decoder_only:
            codec.encoder_half.requires_grad_(False)
        if config.channels_last:
            codec.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # not in torch's stubs

    def batch(self, index: int) -> Tensor:
        """``uint8 [B, H, W, 3]``, drawn with replacement, cropped and half of them mirrored if the config says so."""
        random = numpy_generator(self.seed, 2, index)
        frames = self.pool[random.integers(len(self.pool), size=self.config.batch_size)]
        if self.config.crop:
            frames = crops(frames, self.config.crop, random)
        if self.config.mirror:
            mirrored = random.random(len(frames)) < 0.5
            frames[mirrored] = frames[mirrored, :, ::-1]
        return torch.from_numpy(frames)

    def loss(self, batch: Tensor, index: int) -> tuple[Tensor, dict[str, Tensor]]:
        frames = self._input(batch)
        posterior = self.module.vae.encode(self._patches(frames)).latent_dist
        if self.config.decoder_only or not self.config.kl:
            latents = posterior.mode()
        else:
            latents = posterior.sample(torch_generator(self.seed, 3, index))
        output = self.module.to_pixels(self.module.vae.decode(latents).sample)
        error = output - frames
        parts = {
            "mse": error.square().mean(),
            "l1": error.abs().mean(),
            "edges": error.diff(dim=-1).abs().mean() + error.diff(dim=-2).abs().mean(),
            "kl": posterior.kl().mean() / posterior.mean[0].numel(),
        }
        loss = sum(
            (getattr(self.config, name) * part for name, part in parts.items()), torch.zeros((), device=error.device)
        )
        return loss, {name: part.detach() for name, part in parts.items()}

    def validate(self, step: int, folder: Path) -> dict[str, float]:
        """``codec_psnr`` in dB (mean squared error of 8-bit frames first), the same for held-out textures, a sheet."""
        figures = {}
        for prefix, frames in self.held.items():
            outputs = self._reconstruct(frames)
            figures[f"{prefix}codec_psnr"] = psnr(frames, outputs)
            shown = np.linspace(0, len(frames) - 1, min(16, len(frames))).round().astype(int)
            rows = [array[part] for part in np.array_split(shown, 2) for array in (frames, outputs)]
            save_sheet(folder / f"{prefix}codec-{step:08d}.png", [row for row in rows if len(row)])
        return figures

    def save(self, folder: Path) -> None:
        """The codec's folder, with the statistics of its latents taken on training frames (unless they were given)."""
        if not self.config.decoder_only:
            frames = torch.from_numpy(self.pool[: self.config.statistics_frames])
            self.module.fit_statistics(self._input(frames)[None])
        self.module.save_pretrained(folder)

    def _input(self, frames: Tensor) -> Tensor:
        return to_float(frames.to(next(self.module.parameters()).device))

    def _patches(self, frames: Tensor) -> Tensor:
        layout = torch.channels_last if self.config.channels_last else torch.contiguous_format
        return self.module.to_patches(frames).contiguous(memory_format=layout)

    @torch.no_grad()
    def _reconstruct(self, frames: np.ndarray) -> np.ndarray:
        outputs = []
        for part in torch.from_numpy(frames).split(self.config.batch_size):
            latents = self.module.vae.encode(self._patches(self._input(part))).latent_dist.mode()
            outputs.append(to_bytes(self.module.to_pixels(self.module.vae.decode(latents).sample)).cpu().numpy())
        return np.concatenate(outputs)


def crops(frames: np.ndarray, side: int, random: np.random.Generator) -> np.ndarray:
    """A square of ``side`` from a random place of each frame ``[B, H, W, 3]``."""
    height, width = frames.shape[1:3]
    tops = random.integers(height - side + 1, size=len(frames))
    lefts = random.integers(width - side + 1, size=len(frames))
    places = zip(frames, tops, lefts, strict=True)
    return np.stack([frame[top : top + side, left : left + side] for frame, top, left in places])


def psnr(truth: np.ndarray, other: np.ndarray) -> float:
    """PSNR in dB of ``uint8`` frames of any shape; errors are averaged over everything first."""
    error = np.mean(np.square(truth.astype(np.float32) - other.astype(np.float32)), dtype=np.float64)
    return math.inf if error == 0 else float(10 * math.log10(255**2 / error))
