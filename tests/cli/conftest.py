"""A tiny world with random weights that takes DoomRooms' moves."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def rooms_world_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A world folder: frames 32x32, latents 4x4x4, context 2, chunk 2, a memory that learns in few, large steps."""
    import torch

    from slowfast.codecs.image_vae import ImageVAE, ImageVAEConfig
    from slowfast.envs.doom_rooms.env import action_spec
    from slowfast.slow.build import SchedulerConfig, UNetConfig, create
    from slowfast.slow.masked_diffusion import MaskedDiffusionConfig
    from slowfast.world_model import WorldConfig, WorldModel

    state = torch.get_rng_state()
    torch.manual_seed(0)
    unet = UNetConfig(widths=(16, 32), head_size=8, norm_groups=4, text_width=16)
    slow = create(action_spec(), 4, unet, SchedulerConfig(), MaskedDiffusionConfig(window=4, steps=1))
    codec = ImageVAE.create(ImageVAEConfig(latent_channels=4, widths=(8, 8, 16, 16), norm_groups=4))
    with torch.no_grad():
        for parameter in slow.parameters():
            if not parameter.any():
                parameter.normal_(0, 0.05)
    torch.set_rng_state(state)
    memory = {"name": "ancestor", "steps": 2, "learning_rate": 1e-2, "rank": 4, "layers": "temporal_attention"}
    folder = tmp_path_factory.mktemp("rooms-world")
    config = WorldConfig("tiny-rooms", (32, 32), context=2, chunk=2, memory=memory)
    WorldModel(config, codec, slow).save_pretrained(folder)
    return folder
