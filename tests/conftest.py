"""A small world with random weights, saved and loaded by the real classes, for every test that needs one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest


@pytest.fixture(scope="session")
def tiny_world_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A world folder: frames 32x32, latents 4x4x4, context 4, chunk 4, eight starts of 6 frames."""
    import torch

    from slowfast.actions import ActionSpec, Discrete, Language
    from slowfast.codecs.image_vae import ImageVAE, ImageVAEConfig
    from slowfast.slow.build import SchedulerConfig, UNetConfig, create
    from slowfast.slow.masked_diffusion import MaskedDiffusionConfig
    from slowfast.starts import Starts
    from slowfast.world_model import WorldConfig, WorldModel

    moves = ("turn left", "turn right", "forward", "backward", "stay")
    spec = ActionSpec((Discrete("move", moves), Language("text", describes="move")))
    state = torch.get_rng_state()
    torch.manual_seed(0)
    unet = UNetConfig(widths=(16, 32), head_size=8, norm_groups=4, text_width=16)
    slow = create(spec, 4, unet, SchedulerConfig(), MaskedDiffusionConfig(window=8, steps=1))
    codec = ImageVAE.create(ImageVAEConfig(latent_channels=4, widths=(8, 8, 16, 16), norm_groups=4))
    # Some layers start at zero; a network that was trained has none, and then nothing hides behind them.
    with torch.no_grad():
        for parameter in slow.parameters():
            if not parameter.any():
                parameter.normal_(0, 0.05)
    torch.set_rng_state(state)
    memory = {"name": "paper", "learning_rate": 1e-2, "rank": 4}
    folder = tmp_path_factory.mktemp("tiny-world")
    config = WorldConfig("tiny", (32, 32), context=4, chunk=4, fps=10.0, memory=memory)
    WorldModel(config, codec, slow).save_pretrained(folder)
    random = np.random.default_rng(0)
    frames = random.integers(0, 256, (8, 6, 32, 32, 3), np.uint8)
    actions = spec.columns([list(row) for row in random.integers(0, len(moves), (8, 5))])
    Starts(frames, actions, np.zeros((8, 6, 3), np.float32), np.arange(8)).save(folder / "starts.safetensors")
    return folder


@pytest.fixture(scope="session")
def tiny_world(tiny_world_folder: Path):  # type: ignore[no-untyped-def]  # naming the type would import torch
    """The world of :func:`tiny_world_folder`, loaded once a test process: do not change it."""
    from slowfast.world_model import WorldModel

    return WorldModel.from_pretrained(tiny_world_folder)
