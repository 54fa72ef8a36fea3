"""A user's frames: the axes they come with, pictures of other sizes, and between their bytes and a codec's floats."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from einops import rearrange

from slowfast.actions import ActionSpec, Columns
from slowfast.codecs import Codec
from slowfast.frames import fitted
from slowfast.world_folder import WorldConfig


def to_latents(codec: Codec, config: WorldConfig, frames: np.ndarray, device: torch.device) -> torch.Tensor:
    """``uint8 [B, T, H, W, 3]`` as normalised latents ``float32 [B, T, C, h, w]``; see :meth:`WorldModel.encode`."""
    expected, fit = (*config.frame_size, 3), config.fit
    pictures = frames.dtype == np.uint8 and frames.ndim == 5 and frames.shape[-1] == 3 and frames.size > 0
    if fit and pictures and frames.shape[2:] != expected:
        flat = [fitted(frame, config.frame_size, fit) for frame in frames.reshape(-1, *frames.shape[2:])]
        frames = np.stack(flat).reshape(*frames.shape[:2], *expected)
    if frames.dtype != np.uint8 or frames.ndim != 5 or frames.shape[2:] != expected:
        raise ValueError(
            f"frames have to be uint8 [B, T, {', '.join(map(str, expected))}], got {frames.dtype} {frames.shape}"
        )
    tensor = torch.from_numpy(np.ascontiguousarray(frames)).to(device)
    return codec.encode(rearrange(tensor, "b t h w c -> b t c h w").float() / 127.5 - 1).float()


def from_latents(codec: Codec, latents: torch.Tensor) -> np.ndarray:
    """Latents ``[B, T, C, h, w]`` as ``uint8 [B, T, H, W, 3]``."""
    frames = rearrange(codec.decode(latents), "b t c h w -> b t h w c")
    return ((frames.float() + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).cpu().numpy()


def with_batch_axis(spec: ActionSpec, frames: np.ndarray, actions: Any) -> tuple[np.ndarray, Columns]:
    """Frames ``[B, T, H, W, 3]`` and action columns ``[B, n]``, of either with or without B. Raises ValueError when one
    alone has it."""
    frames = np.asarray(frames)
    columns = spec.columns(actions)
    first = spec.components[0]
    axes = columns[first.name].shape[: columns[first.name].ndim - first.null(()).ndim]
    if frames.ndim == 4 and len(axes) == 1:
        return frames[None], {name: column[None] for name, column in columns.items()}
    if frames.ndim == 5 and len(axes) == 2 and len(frames) == axes[0]:
        return frames, columns
    raise ValueError(f"frames [T, H, W, 3] go with actions [T], or both with [B, T]; got {frames.shape} and {axes}")
