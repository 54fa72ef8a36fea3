"""A world of the real classes, small enough to build in a test, and clips for it."""

from __future__ import annotations

import numpy as np
import torch

from slowfast import WorldModel
from slowfast.actions import ActionSpec, Continuous, Discrete, Language
from slowfast.codecs.image_vae import ImageVAE, ImageVAEConfig
from slowfast.slow.build import SchedulerConfig, UNetConfig, create
from slowfast.slow.masked_diffusion import MaskedDiffusionConfig
from slowfast.world_folder import WorldConfig

MOVES = ("turn left", "turn right", "forward")
ROOMS = ActionSpec((Discrete("move", MOVES), Language("text", describes="move")))
MOTION = ActionSpec((Continuous("motion", (-30.0, 0.0), (30.0, 16.0)), Language("text", describes="motion")))
CONTEXT, CHUNK, SIZE = 3, 2, (8, 12)
MEMORY = {"name": "ancestor", "rank": 2, "steps": 1, "learning_rate": 0.05}


def build(spec: ActionSpec = ROOMS, widths: tuple[int, ...] = (8, 16)) -> WorldModel:
    torch.manual_seed(0)
    codec = ImageVAE.create(ImageVAEConfig(latent_channels=4, widths=(8, 8), norm_groups=4))
    codec.fit_statistics(torch.rand(2, 4, 3, *SIZE) * 2 - 1)
    unet = UNetConfig(widths=widths, head_size=4, norm_groups=4, text_width=8)
    slow = create(spec, 4, unet, SchedulerConfig(), MaskedDiffusionConfig(window=CONTEXT + CHUNK, steps=2))
    with torch.no_grad():
        for parameter in slow.parameters():
            if not parameter.any():
                parameter.normal_(0, 0.1)
    for module in (codec, slow):
        module.eval().requires_grad_(False)
    return WorldModel(WorldConfig("tiny", SIZE, CONTEXT, CHUNK, 10.0, MEMORY, {"id": "Real-v0"}), codec, slow)


def clip(length: int, batch: tuple[int, ...] = (), seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (*batch, length, *SIZE, 3), np.uint8)


def close(one: np.ndarray, other: np.ndarray) -> bool:
    """Equal up to the last bits of batched arithmetic, which may tip the rounding of a pixel."""
    assert one.shape == other.shape
    difference = np.abs(one.astype(int) - other.astype(int))
    return bool(difference.max() <= 1 and (difference > 0).mean() < 0.02)
