"""A frame-wise autoencoder: diffusers' ``AutoencoderKL`` over every frame on its own (temporal factor 1).

Any diffusers VAE folder loads by path. One with ``3 * p * p`` input channels reads p x p patches of pixels (a pixel
unshuffle), because most of a small codec's work would be at full resolution otherwise. Latents that leave
:meth:`ImageVAE.encode` are normalised, with the statistics kept where diffusers keeps them: ``latents_mean`` and
``latents_std`` in the config, else shift and scaling factor.
"""

from __future__ import annotations

import math
from pathlib import Path

import torch
from diffusers import AutoencoderKL
from einops import rearrange
from torch import nn
from torch.nn import functional

from slowfast.codecs.config import ImageVAEConfig
from slowfast.model_folder import save_model


class ImageVAE(nn.Module):
    """``encode`` takes the posterior's mean (no draw); ``batch_frames`` bounds how many frames are in flight."""

    temporal_factor = 1
    latent_mean: torch.Tensor
    latent_std: torch.Tensor

    def __init__(self, vae: AutoencoderKL, batch_frames: int = 64) -> None:
        super().__init__()
        self.vae = vae
        self.batch_frames = batch_frames
        self.patch = math.isqrt(int(vae.config["in_channels"]) // 3)
        if 3 * self.patch**2 != vae.config["in_channels"]:
            raise ValueError(f"a codec takes 3 * patch * patch channels, this one takes {vae.config['in_channels']}")
        self.spatial_factor: int = self.patch * 2 ** (len(vae.config["block_out_channels"]) - 1)
        mean, std = self._statistics()
        self.register_buffer("latent_mean", mean, persistent=False)
        self.register_buffer("latent_std", std, persistent=False)

    @classmethod
    def create(cls, config: ImageVAEConfig) -> ImageVAE:
        """A new codec with random weights (from torch's global generator)."""
        levels = len(config.widths)
        return cls(
            AutoencoderKL(
                in_channels=3 * config.patch**2,
                out_channels=3 * config.patch**2,
                down_block_types=("DownEncoderBlock2D",) * levels,
                up_block_types=("UpDecoderBlock2D",) * levels,
                block_out_channels=config.widths,
                layers_per_block=config.layers_per_block,
                latent_channels=config.latent_channels,
                norm_num_groups=config.norm_groups,
                mid_block_add_attention=config.middle_attention,
                scaling_factor=1.0,
            )
        )

    @classmethod
    def from_pretrained(cls, folder: str | Path) -> ImageVAE:
        """Reads ``config.json`` and ``diffusion_pytorch_model.safetensors`` as float32. Never touches the network."""
        vae = AutoencoderKL.from_pretrained(
            str(folder), local_files_only=True, use_safetensors=True, low_cpu_mem_usage=False
        )
        return cls(vae.float())

    def save_pretrained(self, folder: str | Path, dtype: torch.dtype | None = None) -> None:
        """Writes diffusers' own layout; ``dtype`` (bf16 for what ships) is that of the stored weights."""
        save_model(self.vae, folder, dtype)

    @property
    def latent_channels(self) -> int:
        return int(self.vae.config["latent_channels"])

    @property
    def encoder_half(self) -> nn.ModuleList:
        """The layers that latents depend on."""
        return nn.ModuleList(part for part in (self.vae.encoder, self.vae.quant_conv) if part is not None)

    def encode(self, frames: torch.Tensor) -> torch.Tensor:
        """``float [B, T, 3, H, W]`` in [-1, 1] to ``[B, T, C, h, w]``, normalised. H and W: multiples of the factor.

        Raises ValueError when a side does not divide.
        """
        height, width = frames.shape[-2:]
        if height % self.spatial_factor or width % self.spatial_factor:
            raise ValueError(f"frames of {height}x{width} do not divide by the codec's factor {self.spatial_factor}")
        flat = rearrange(frames, "b t c h w -> (b t) c h w").to(self.latent_mean.dtype)
        patches = self.to_patches(flat).split(self.batch_frames)
        means = torch.cat([self.vae.encode(part).latent_dist.mode() for part in patches])
        latents = (means - self.latent_mean) / self.latent_std
        return rearrange(latents, "(b t) c h w -> b t c h w", b=frames.shape[0])

    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        """Normalised ``[B, T, C, h, w]`` to ``float [B, T, 3, H, W]``, clamped to [-1, 1]."""
        flat = rearrange(latents, "b t c h w -> (b t) c h w").to(self.latent_mean.dtype)
        raw = flat * self.latent_std + self.latent_mean
        frames = self.to_pixels(torch.cat([self.vae.decode(part).sample for part in raw.split(self.batch_frames)]))
        return rearrange(frames.clamp(-1, 1), "(b t) c h w -> b t c h w", b=latents.shape[0])

    def to_patches(self, frames: torch.Tensor) -> torch.Tensor:
        """``[N, 3, H, W]`` to what the network takes, ``[N, 3 p p, H / p, W / p]``."""
        return functional.pixel_unshuffle(frames, self.patch)

    def to_pixels(self, patches: torch.Tensor) -> torch.Tensor:
        """The inverse of :meth:`to_patches`."""
        return functional.pixel_shuffle(patches, self.patch)

    def fit_statistics(self, frames: torch.Tensor) -> None:
        """Sets ``latents_mean`` a channel and one ``latents_std`` for all, from frames ``[B, T, 3, H, W]``, also in the
        config. One for all, as a scaling factor is: channels keep the weight that the codec gave them."""
        with torch.no_grad():
            raw = self.encode(frames) * self.latent_std + self.latent_mean
        mean = raw.mean((0, 1, 3, 4))
        std = (raw - mean.view(-1, 1, 1)).square().mean().sqrt().expand_as(mean)
        self.vae.register_to_config(latents_mean=mean.tolist(), latents_std=std.tolist())
        self.latent_mean.copy_(mean.view(1, -1, 1, 1))
        self.latent_std.copy_(std.view(1, -1, 1, 1))

    def _statistics(self) -> tuple[torch.Tensor, torch.Tensor]:
        config = self.vae.config
        if config.get("latents_mean") is not None and config.get("latents_std") is not None:
            mean, std = torch.tensor(config["latents_mean"]), torch.tensor(config["latents_std"])
        else:
            mean = torch.full((self.latent_channels,), float(config.get("shift_factor") or 0.0))
            std = torch.full((self.latent_channels,), 1.0 / float(config["scaling_factor"]))
        return mean.float().view(1, -1, 1, 1), std.float().view(1, -1, 1, 1)
