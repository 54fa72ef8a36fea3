"""Settings of codecs, without torch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ImageVAEConfig:
    """A small ``AutoencoderKL``. ``patch`` divides height and width; ``widths`` has one entry a resolution after that,
    each but the last of which halves them again."""

    latent_channels: int = 16
    widths: tuple[int, ...] = (32, 64, 96, 128)
    layers_per_block: int = 1
    norm_groups: int = 16
    middle_attention: bool = False
    patch: int = 1
