"""A world of one line: each episode is a random panorama, the view turns along it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from slowfast.actions import ActionSpec, Discrete, Language
from slowfast.codecs.image_vae import ImageVAE, ImageVAEConfig
from slowfast.datasets.episode import Episode
from slowfast.datasets.store import write_episode
from slowfast.slow.build import SchedulerConfig, UNetConfig
from slowfast.slow.masked_diffusion import MaskedDiffusionConfig
from slowfast.training.latents import latents_of
from slowfast.training.slow_config import SlowTaskConfig
from slowfast.training.slow_task import SlowTask
from slowfast.training.slow_world import new_world, world_config
from slowfast.training.splits import Splits, open_splits
from slowfast.world_model import WorldModel

SPEC = ActionSpec((Discrete("move", ("turn left", "turn right", "stay")), Language("text", describes="move")))
SHIFT = (-4, 4, 0)


def panorama_episode(seed: int, length: int = 24, size: int = 16) -> Episode:
    random = np.random.default_rng(seed)
    blocks = random.integers(0, 256, (size // 8, 8, 3), np.uint8)
    panorama = blocks.repeat(8, axis=0).repeat(8, axis=1)  # [size, 64, 3]
    moves = random.integers(0, 3, length)
    position = np.cumsum([random.integers(64), *(SHIFT[move] for move in moves)])
    frames = np.stack([np.roll(panorama, -offset, axis=1)[:, :size] for offset in position])
    return Episode({"view": frames}, SPEC.columns(moves), SPEC, fps=10.0, metadata={"seed": seed})


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set of 20 short episodes of 16x16 frames."""
    folder = tmp_path_factory.mktemp("clips")
    for seed in range(20):
        write_episode(folder, panorama_episode(seed))
    return folder


CONFIG = SlowTaskConfig(
    batch_size=4,
    shapes=((3, 1, 1.0), (0, 4, 1.0), (1, 2, 1.0)),
    validation_windows=6,
    validation_shape=(2, 2),
    horizon=4,
    horizon_windows=2,
    swap={"turn left": "turn right", "turn right": "turn left"},
)
Setting = tuple[WorldModel, Splits, Path]


@pytest.fixture(scope="module")
def setting(clips: Path, tmp_path_factory: pytest.TempPathFactory) -> Setting:
    folder = tmp_path_factory.mktemp("setting")
    torch.manual_seed(0)
    ImageVAE.create(ImageVAEConfig(latent_channels=4, widths=(8, 8, 8), norm_groups=4)).save_pretrained(
        folder / "codec"
    )
    splits = open_splits(clips, 4)
    parts = (
        UNetConfig(widths=(16, 16), head_size=8, norm_groups=4, text_width=8),
        SchedulerConfig(),
        MaskedDiffusionConfig(window=4, steps=2),
    )
    settings = world_config(splits.validation, "ring", 2, 2, {"name": "paper"})
    world = new_world(settings, splits.validation, folder / "codec", parts, {}, seed=0)
    return world, splits, folder / "latents"


def task_of(setting: Setting, **changes: object) -> SlowTask:
    world, splits, folder = setting
    config = SlowTaskConfig(**{**CONFIG.__dict__, **changes})  # type: ignore[arg-type]
    return SlowTask(world, config, latents_of(splits.train, world.codec, folder), dict(splits.measured), seed=5)
