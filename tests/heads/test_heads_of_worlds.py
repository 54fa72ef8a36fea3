"""Heads as parts of a world: kept in its folder, brought to its device and precision, and read through it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from slowfast.heads.inverse_dynamics import InverseDynamics, InverseDynamicsConfig
from slowfast.heads.outcome import OutcomeConfig, OutcomeHead
from slowfast.world_model import WorldModel


@pytest.fixture
def world(tiny_world_folder: Path) -> WorldModel:
    """A world with heads of random weights."""
    world = WorldModel.from_pretrained(tiny_world_folder)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        width = world.slow.actions.config.width
        world.outcome = OutcomeHead(OutcomeConfig(4, width, 0.0, 1.0, width=8)).eval()
        world.inverse_dynamics = InverseDynamics(InverseDynamicsConfig(4, world.action_spec, width=8)).eval()
        for parameter in world.inverse_dynamics.parameters():
            parameter.requires_grad_(False).mul_(4)  # so that it does not read the same action everywhere
    return world


def video(*leading: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (*leading, 32, 32, 3), np.uint8)


def test_a_world_without_heads_has_none(tiny_world: WorldModel) -> None:
    assert tiny_world.outcome is None
    assert tiny_world.inverse_dynamics is None
    with pytest.raises(ValueError, match="'tiny' has no inverse dynamics: `slowfast train inverse-dynamics`"):
        tiny_world.read_actions(video(3))


def test_heads_are_kept_in_the_folder_and_change_nothing_else(world: WorldModel, tmp_path: Path) -> None:
    world.save_pretrained(tmp_path / "world", dtype=None)
    again = WorldModel.from_pretrained(tmp_path / "world")
    assert again.outcome is not None
    assert again.inverse_dynamics is not None
    assert again.odometry is None
    for one, other in ((world.outcome, again.outcome), (world.inverse_dynamics, again.inverse_dynamics)):
        assert isinstance(one, torch.nn.Module)
        for name, own in one.state_dict().items():
            assert torch.equal(own, other.state_dict()[name]), name
        assert not any(parameter.requires_grad for parameter in other.parameters())
        assert not other.training
    assert again.base_hash == world.base_hash


def test_heads_follow_a_world_into_half_precision(world: WorldModel, tmp_path: Path) -> None:
    world.save_pretrained(tmp_path / "world")
    half = WorldModel.from_pretrained(tmp_path / "world", dtype=torch.bfloat16)
    assert half.read_actions(video(4))["move"].shape == (3,)
    assert half.outcome is not None
    latents = half.encode(video(1, 2))
    vectors = half.slow.action_vectors(half.action_tensors(half.action_spec.columns([[1]])))
    outcomes = half.outcome(latents[:, :1], latents[:, 1:], vectors)
    assert outcomes.rewards.dtype == outcomes.chances.dtype == torch.float32


def test_one_video_is_read_like_many_and_in_any_batch(world: WorldModel) -> None:
    videos = video(3, 6)
    read = world.read_actions(videos)
    assert read["move"].shape == read["text"].shape == (3, 5)
    assert len(np.unique(read["move"], axis=0)) > 1, "the videos are told apart"
    assert (world.read_actions(videos, batch=4)["move"] == read["move"]).all()
    for one, moves in zip(videos, read["move"], strict=True):
        assert (world.read_actions(one)["move"] == moves).all()


@pytest.mark.parametrize("shape", [(1,), (2, 1), (0, 4)])
def test_frames_without_actions_between_them_are_refused(world: WorldModel, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="actions lie between frames"):
        world.read_actions(video(*shape))
