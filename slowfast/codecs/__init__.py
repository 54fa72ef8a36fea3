"""Codecs: frames to latents and back. A new codec is one file here and one line in ``CODECS``."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    import torch

CODECS = {"AutoencoderKL": "slowfast.codecs.image_vae:ImageVAE"}
"""The ``_class_name`` in a codec folder's ``config.json``, and the class that reads it."""


@runtime_checkable
class Codec(Protocol):
    """Frames ``float32 [B, T, 3, H, W]`` in [-1, 1] to normalised latents ``[B, t, C, h, w]`` and back.

    ``h = H / spatial_factor``; ``t = 1 + (T - 1) / temporal_factor``. A temporal factor of 1 means frame by frame: then
    any number of frames may be stepped. Latents are normalised: zero mean a channel, unit variance over all.
    """

    spatial_factor: int
    temporal_factor: int

    @property
    def latent_channels(self) -> int: ...

    def encode(self, frames: torch.Tensor) -> torch.Tensor: ...

    def decode(self, latents: torch.Tensor) -> torch.Tensor: ...

    def save_pretrained(self, folder: str | Path, dtype: torch.dtype | None = None) -> None: ...


def load_codec(folder: str | Path) -> Codec:
    """The codec in a diffusers-format folder, by the class that its ``config.json`` names.

    Raises FileNotFoundError without a ``config.json``, ValueError for a class that no codec here reads.
    """
    import json

    path = Path(folder) / "config.json"
    if not path.is_file():
        raise FileNotFoundError(f"{path}: a codec folder holds config.json and diffusion_pytorch_model.safetensors")
    name = json.loads(path.read_text()).get("_class_name")
    if name not in CODECS:
        raise ValueError(f"{path}: _class_name {name!r} is not a known codec ({', '.join(CODECS)})")
    module, attribute = CODECS[name].split(":")
    codec: Codec = getattr(importlib.import_module(module), attribute).from_pretrained(folder)
    return codec
