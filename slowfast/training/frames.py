"""Frames in memory: a deterministic sample of a part of a data set, for training that needs no time axis."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from einops import rearrange

from slowfast.datasets.sources import EpisodeSource
from slowfast.training.random import numpy_generator


def sample_frames(
    source: EpisodeSource, count: int, seed: int, progress: Callable[..., None] | None = None
) -> np.ndarray:
    """``uint8 [N, H, W, 3]`` with N = min(count, all): equally many from each episode, drawn without replacement.

    Episodes are read once each; when there are more of them than ``count``, only as many episodes are read.
    Raises ValueError when the source holds latents, or frames of several sizes.
    """
    if source.key != "frames":
        raise ValueError(f"this data set holds {source.key}; a codec is trained on frames")
    chosen = numpy_generator(seed, 0).permutation(len(source))[:count]
    quota = np.full(len(chosen), count // len(chosen))
    quota[: count % len(chosen)] += 1
    picked = []
    for position, (episode, wanted) in enumerate(zip(chosen, quota, strict=True)):
        total = int(source.lengths[episode]) + 1
        rows = np.sort(numpy_generator(seed, 1, int(episode)).permutation(total)[:wanted])
        start, stop = int(rows[0]), int(rows[-1]) + 1
        picked.append(source.read(int(episode), start, stop)[rows - start])
        if progress:
            progress(position + 1, len(chosen))
    sizes = sorted({frames.shape[1:] for frames in picked})
    if len(sizes) > 1:
        raise ValueError(f"frames have several sizes {sizes}; a codec is trained on one")
    return np.concatenate(picked)


def to_float(frames: torch.Tensor) -> torch.Tensor:
    """``uint8 [..., H, W, 3]`` to ``float32 [..., 3, H, W]`` in [-1, 1]."""
    return rearrange(frames, "... h w c -> ... c h w").float() / 127.5 - 1


def to_bytes(frames: torch.Tensor) -> torch.Tensor:
    """``float [..., 3, H, W]`` in [-1, 1] to ``uint8 [..., H, W, 3]``."""
    scaled = ((frames.float().clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
    return rearrange(scaled, "... c h w -> ... h w c")
