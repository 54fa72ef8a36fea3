"""A data set as latents: encoded once, kept beside the run, read by every step."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import nn

from slowfast.codecs import Codec
from slowfast.codecs.identity import codec_hash
from slowfast.datasets.latents import LatentStore, encode_latents
from slowfast.datasets.sources import EpisodeSource
from slowfast.datasets.store import Store
from slowfast.training.frames import to_float
from slowfast.training.splits import Subset


def latents_of(
    part: Subset,
    codec: Codec,
    folder: Path,
    device: torch.device | str = "cpu",
    progress: Callable[[int, int], None] | None = None,
) -> EpisodeSource:
    """``part`` with latents in place of frames, encoded on ``device`` into ``folder`` unless they are there already.

    A part that holds latents is returned as it is. Raises DatasetError when latents are another codec's.
    """
    assert isinstance(codec, nn.Module)
    identity = codec_hash(codec)
    codec.to(device)
    if isinstance(part.whole, LatentStore):
        return Subset(LatentStore(part.whole.folder, identity), part.episodes)
    if not isinstance(part.whole, Store):
        raise ValueError(f"cannot encode a {type(part.whole).__name__}; convert it to a folder of episodes first")
    whole = encode_latents(part.whole, folder, lambda frames: encode(codec, frames), identity, progress=progress)
    return Subset(whole, part.episodes)


@torch.no_grad()
def encode(codec: Codec, frames: np.ndarray) -> np.ndarray:
    """``uint8 [N, H, W, 3]`` to ``float32 [N, C, h, w]``."""
    device = next(codec.parameters()).device  # type: ignore[attr-defined]  # codecs are modules
    inputs = to_float(torch.from_numpy(np.ascontiguousarray(frames)).to(device))
    return codec.encode(inputs[:, None])[:, 0].float().cpu().numpy()
