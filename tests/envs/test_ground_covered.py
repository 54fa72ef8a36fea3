"""A reward for covering ground: from poses in a real environment, from the world's odometry in a dream."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch

from slowfast.envs.dream import DreamEnv
from slowfast.envs.dream_rewards import paying_for_ground
from slowfast.envs.dream_vector import DreamVectorEnv
from slowfast.envs.wrappers.ground_covered import GroundCovered
from slowfast.heads.odometry import Odometry, OdometryConfig
from slowfast.world_model import WorldModel


class Moved(gymnasium.Env[np.ndarray, int]):
    """Stands at one pose after the other, whatever is done; ends at the last; pays 100."""

    observation_space = gymnasium.spaces.Box(0, 1, (1,))
    action_space = gymnasium.spaces.Discrete(2)

    def __init__(self, poses: list[tuple[float, float, float]], named: str = "pose") -> None:
        self.poses, self.named, self.at = poses, named, 0

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(seed=seed)
        self.at = 0
        return np.zeros(1, np.float32), self._info()

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        self.at += 1
        return np.zeros(1, np.float32), 100.0, self.at == len(self.poses) - 1, False, self._info()

    def _info(self) -> dict[str, Any]:
        return {self.named: np.array(self.poses[self.at], np.float32)}


def paid(poses: list[tuple[float, float, float]], step: float = 32) -> list[float]:
    env = GroundCovered(Moved(poses), step)
    env.reset()
    return [float(env.step(0)[1]) for _ in poses[1:]]


def test_a_step_forward_pays_one_and_a_step_back_takes_it_again() -> None:
    north = [(5, 5, 90), (5, 37, 90), (5, 5, 90), (5, 13, 90)]
    assert paid(north) == pytest.approx([1, -1, 0.25], abs=1e-6)


def test_steps_aside_turns_and_walls_pay_nothing() -> None:
    assert paid([(0, 0, 0), (0, 32, 0), (0, 32, 22.5), (0, 32, 22.5)]) == pytest.approx([0, 0, 0], abs=1e-6)


def test_forward_is_where_it_looked_before_the_step() -> None:
    east = np.sqrt(0.5) * 32
    assert paid([(0, 0, 0), (east, east, 45)]) == pytest.approx([np.sqrt(0.5)])


def test_a_reset_begins_at_the_new_pose() -> None:
    env = GroundCovered(Moved([(0, 0, 0), (32, 0, 0), (64, 0, 0)]), 32)
    env.reset()
    for ended in (False, True):
        assert env.step(0)[2] is ended
    env.reset()
    assert env.step(0)[1] == 1


def test_real_rooms_pay_the_way_to_the_wall() -> None:
    pytest.importorskip("vizdoom")
    env = GroundCovered(gymnasium.make("slowfast/DoomRooms-v0", size=(16, 16)))
    _, info = env.reset(seed=1_000_003)
    first, rewards = info["pose"], []
    for _ in range(24):
        _, reward, _, _, info = env.step(2)
        rewards.append(float(reward))
    env.close()
    assert rewards[-1] == 0
    east, north, turned = info["pose"] - first
    heading = np.deg2rad(first[2])
    assert turned == 0
    assert sum(rewards) == pytest.approx((east * np.cos(heading) + north * np.sin(heading)) / 32, abs=1e-3)
    assert sum(rewards) > 1


def test_what_it_needs_is_named() -> None:
    with pytest.raises(ValueError, match="give the length of a whole step"):
        GroundCovered(Moved([(0, 0, 0)]))
    with pytest.raises(ValueError, match="step=0"):
        GroundCovered(Moved([(0, 0, 0)]), 0)
    with pytest.raises(KeyError, match=r"info\['pose'\] is missing"):
        GroundCovered(Moved([(0, 0, 0)], named="place"), 1).reset()


@pytest.fixture(scope="module")
def walked(tiny_world_folder: Path) -> WorldModel:
    """A world whose odometry, though never trained, says something of every step."""
    world = WorldModel.from_pretrained(tiny_world_folder)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        world.odometry = Odometry(OdometryConfig(4, world.slow.actions.config.width, 30.0, 22.5, width=8)).eval()
    for parameter in world.odometry.parameters():
        parameter.requires_grad_(False).mul_(4)
    return world


def test_a_dream_pays_the_steps_that_its_odometry_reads(walked: WorldModel) -> None:
    venv = DreamVectorEnv(3, paying_for_ground(walked), reward="head", observation="latents")
    before, _ = venv.reset(seed=0)
    alone = DreamEnv(paying_for_ground(walked), reward="head")
    alone.reset(seed=1)
    for moves in ([2, 0, 3], [1, 2, 2]):
        after, rewards, terminated, _, _ = venv.step(np.array(moves))
        vectors = walked.slow.action_vectors(
            walked.action_tensors(walked.action_spec.columns([[own] for own in moves]))
        )
        assert walked.odometry is not None
        with torch.no_grad():
            read = walked.odometry(torch.from_numpy(before)[:, None], torch.from_numpy(after)[:, None], vectors)
        np.testing.assert_allclose(rewards, read[:, 0, 0].numpy() / 30, rtol=1e-4)
        assert alone.step(moves[1])[1] == pytest.approx(rewards[1], abs=1e-3)
        assert len(set(rewards)) == 3
        assert not terminated.any()
        before = after


def test_the_world_that_pays_leaves_the_other_as_it_was(walked: WorldModel, tmp_path: Path) -> None:
    paying = paying_for_ground(walked)
    assert walked.outcome is None
    assert paying.slow is walked.slow
    assert paying.base_hash == walked.base_hash
    with pytest.raises(ValueError, match="save the world that it was made from"):
        paying.save_pretrained(tmp_path / "saved")


def test_a_world_without_odometry_cannot_pay(tiny_world: WorldModel) -> None:
    with pytest.raises(ValueError, match=r"'tiny' has no odometry.*train odometry"):
        paying_for_ground(tiny_world)
