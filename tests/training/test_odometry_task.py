"""Training an odometry: what it learns from a world whose view turns, and what it asks of the clips."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from slowfast.cli.train.odometry import TrainOdometry, run
from slowfast.datasets.store import write_episode
from slowfast.training.config import TrainConfig
from slowfast.training.gate import OdometryGate
from slowfast.training.odometry_config import OdometryTaskConfig
from slowfast.world_model import WorldModel
from tests.training.conftest import Setting, panorama_episode

TURN = np.array([22.5, -22.5, 0.0])


@pytest.fixture(scope="module")
def posed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Episodes of the ring with the heading that they were seen from."""
    folder = tmp_path_factory.mktemp("posed")
    for seed in range(12):
        episode = panorama_episode(seed)
        pose = np.zeros((len(episode) + 1, 3), np.float32)
        pose[:, 2] = np.cumsum([0.0, *TURN[episode.actions["move"]]]) % 360
        write_episode(folder, replace(episode, infos={"pose": pose}))
    return folder


def test_a_world_gets_an_odometry_that_follows_its_turns(posed: Path, setting: Setting, tmp_path: Path) -> None:
    setting[0].save_pretrained(tmp_path / "world")
    config = TrainOdometry(
        data=posed,
        world=str(tmp_path / "world"),
        run=tmp_path / "run",
        task=OdometryTaskConfig(batch_size=32, validation_episodes=3, drift=8),
        train=TrainConfig(steps=150, learning_rate=1e-2, warmup_steps=10, ema_decay=0.9, validate_every=150),
        gate=OdometryGate(step_error=0.3, drift=1.0),
    )
    assert run(config) == 0
    world = WorldModel.from_pretrained(tmp_path / "run/model")
    assert world.odometry is not None
    assert world.odometry.scale.turn == pytest.approx(22.5)
    assert world.base_hash == WorldModel.from_pretrained(tmp_path / "world").base_hash, "nothing else was changed"
    assert run(replace(config, gate=OdometryGate(step_error=1e-6))) == 1, "a finished run is judged again"


def test_clips_without_poses_are_refused(clips: Path, setting: Setting, tmp_path: Path) -> None:
    setting[0].save_pretrained(tmp_path / "world")
    with pytest.raises(ValueError, match="no info 'pose'"):
        run(TrainOdometry(data=clips, world=str(tmp_path / "world"), run=tmp_path / "run"))


def test_shares_are_shares() -> None:
    with pytest.raises(ValueError, match="unseen and noise are shares"):
        OdometryTaskConfig(unseen=1.5)
    with pytest.raises(ValueError, match="may not exceed 1 together"):
        OdometryTaskConfig(drop_all=0.9)
