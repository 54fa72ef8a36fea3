"""Small worlds with random weights, saved and loaded by the real classes, for every test that needs one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

if TYPE_CHECKING:
    from slowfast.actions import ActionSpec


def build_world(
    folder: Path, name: str, spec: ActionSpec, context: int, memory: dict[str, Any], **settings: Any
) -> None:
    """A world folder: frames 32x32, latents 4x4x4, windows of twice ``context`` frames, one sampling step."""
    import torch

    from slowfast.codecs.image_vae import ImageVAE, ImageVAEConfig
    from slowfast.slow.build import SchedulerConfig, UNetConfig, create
    from slowfast.slow.masked_diffusion import MaskedDiffusionConfig
    from slowfast.world_folder import WorldConfig
    from slowfast.world_model import WorldModel

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        unet = UNetConfig(widths=(16, 32), head_size=8, norm_groups=4, text_width=16)
        slow = create(spec, 4, unet, SchedulerConfig(), MaskedDiffusionConfig(window=2 * context, steps=1))
        codec = ImageVAE.create(ImageVAEConfig(latent_channels=4, widths=(8, 8, 16, 16), norm_groups=4))
        # Some layers start at zero; a network that was trained has none, and then nothing hides behind them.
        with torch.no_grad():
            for parameter in slow.parameters():
                if not parameter.any():
                    parameter.normal_(0, 0.05)
    config = WorldConfig(name, (32, 32), context=context, chunk=context, memory=memory, **settings)
    WorldModel(config, codec, slow).save_pretrained(folder)


@pytest.fixture(scope="session")
def tiny_world_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Context 4, chunk 4, five moves, eight starts of 6 frames."""
    from slowfast.actions import ActionSpec, Discrete, Language
    from slowfast.starts import Starts

    moves = ("turn left", "turn right", "forward", "backward", "stay")
    spec = ActionSpec((Discrete("move", moves), Language("text", describes="move")))
    folder = tmp_path_factory.mktemp("tiny-world")
    build_world(folder, "tiny", spec, 4, {"name": "paper", "learning_rate": 1e-2, "rank": 4}, fps=10.0)
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


@pytest.fixture(scope="session")
def rooms_world_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """DoomRooms' moves, context 2, chunk 2, a memory that learns in few, large steps."""
    from slowfast.envs.doom_rooms.env import action_spec

    memory = {"name": "ancestor", "steps": 2, "learning_rate": 1e-2, "rank": 4, "layers": "temporal_attention"}
    folder = tmp_path_factory.mktemp("rooms-world")
    environment = {"id": "slowfast/DoomRooms-v0", "kwargs": {}}
    build_world(folder, "tiny-rooms", action_spec(), 2, memory, environment=environment)
    return folder


@pytest.fixture(scope="session")
def table_world_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The moves of Tabletop, context 2, chunk 2, and a head that knows the words of its goals, not what they mean."""
    from slowfast.envs.tabletop.moves import action_spec
    from slowfast.heads.instruction import InstructionConfig, InstructionHead
    from slowfast.world_model import WorldModel

    folder = tmp_path_factory.mktemp("table-world")
    environment = {"id": "slowfast/Tabletop-v0", "kwargs": {"endless": True, "size": [32, 32]}}
    build_world(folder, "table", action_spec(False, 0.04), 2, {"name": "paper", "rank": 4}, environment=environment)
    world = WorldModel.from_pretrained(folder)
    words = [
        "push",
        "the",
        "cube",
        "to",
        "side",
        "bring",
        "left",
        "right",
        "far",
        "near",
        "red",
        "green",
        "blue",
        "yellow",
    ]
    world.instruction = InstructionHead(InstructionConfig(world.codec.latent_channels, tuple(words)))
    world.save_pretrained(folder)
    return folder
