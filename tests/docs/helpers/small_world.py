"""A small world of the real classes, untrained: what pages, examples and benchmarks run on when they need any world."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from slowfast.codecs.image_vae import ImageVAE, ImageVAEConfig
from slowfast.envs.doom_rooms.env import action_spec
from slowfast.slow.build import SchedulerConfig, UNetConfig, create
from slowfast.slow.masked_diffusion import MaskedDiffusionConfig
from slowfast.starts import Starts
from slowfast.world_folder import WorldConfig
from slowfast.world_model import WorldModel


def build(folder: Path, side: int = 64, starts: int = 4) -> Path:
    """Saves it into ``folder``, with DoomRooms' actions and random pictures to start from."""
    torch.manual_seed(0)
    codec = ImageVAE.create(ImageVAEConfig(latent_channels=4, widths=(8, 8, 8, 8), norm_groups=4))
    unet = UNetConfig(widths=(16, 32), head_size=8, norm_groups=4, text_width=16)
    slow = create(action_spec(), 4, unet, SchedulerConfig(), MaskedDiffusionConfig(window=8, steps=1))
    environment = {"id": "slowfast/DoomRooms-v0", "kwargs": {"size": [side, side]}}
    config = WorldConfig(folder.name, (side, side), context=4, chunk=4, fps=8.0, environment=environment)
    WorldModel(config, codec, slow).save_pretrained(folder)
    random = np.random.default_rng(0)
    moves = random.integers(0, 7, (starts, 3))
    actions = {"move": moves, "text": np.full(moves.shape, "", object)}
    frames = random.integers(0, 256, (starts, 4, side, side, 3), np.uint8)
    Starts(frames, actions, np.zeros((starts, 4, 3), np.float32), np.arange(starts)).save(folder / "starts.safetensors")
    return folder
