"""Planar poses: what a step did, where it leads, what is near."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from slowfast.heads.poses import PoseScale, distances, motions, moved, nearest, scale_of, turned

SCALE = PoseScale(2.0, 30.0)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**31 - 1))
def test_steps_lead_from_each_pose_to_the_next(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    poses = torch.rand(3, 9, 3, generator=generator) * torch.tensor([10.0, 10.0, 360.0])
    reached = moved(poses[:, :-1], motions(poses))
    torch.testing.assert_close(reached[..., :2], poses[:, 1:, :2], atol=1e-3, rtol=0)
    assert turned(reached[..., 2] - poses[:, 1:, 2]).abs().max() < 1e-3


def test_a_step_is_seen_from_the_pose_before_it() -> None:
    north = torch.tensor([[0.0, 0.0, 90.0], [0.0, 2.0, 90.0], [-1.0, 2.0, 350.0]])
    torch.testing.assert_close(motions(north), torch.tensor([[2.0, 0.0, 0.0], [0.0, 1.0, -100.0]]), atol=1e-5, rtol=0)


def test_paces_and_turns_are_the_sides_of_a_right_angle() -> None:
    one, other = torch.tensor([[0.0, 0.0, 350.0]]), torch.tensor([[6.0, 0.0, 350.0], [6.0, 0.0, 110.0]])
    torch.testing.assert_close(distances(one, other, SCALE), torch.tensor([[3.0, 5.0]]))


def test_the_size_of_a_step_is_that_of_steps_that_are_made() -> None:
    steps = torch.tensor([[3.0, 4.0, 0.0], [0.0, 0.0, -30.0], [0.0, 0.0, 0.0], [0.0, 0.0, 30.0]])
    assert scale_of(steps) == PoseScale(5.0, 30.0)
    assert scale_of(torch.zeros(4, 3)) == PoseScale(1.0, 1.0)


def test_each_entry_gets_the_nearest_poses_of_its_episode_once() -> None:
    poses = torch.zeros(2, 3, 3)
    poses[:, :, 0] = torch.tensor([[0.0, 2.0, 4.0], [10.0, 12.0, 14.0]])
    asked = torch.zeros(4, 2, 3)  # two entries an episode
    asked[:, :, 0] = torch.tensor([[3.9, 3.9], [0.1, 4.1], [14.0, 14.0], [12.2, 0.0]])
    usable = torch.ones(4, 3, dtype=torch.bool)
    usable[2] = torch.tensor([False, False, True])
    picks, apart = nearest(asked, poses, usable, SCALE)
    assert picks[[0, 1, 3]].tolist() == [[2, 1], [0, 2], [1, 0]]
    assert picks[2, 0] == 2
    assert apart[2].tolist() == [0.0, float("inf")], "nothing is left"
    torch.testing.assert_close(apart[0], torch.tensor([0.05, 0.95]))


def test_an_unknown_place_is_near_to_nothing() -> None:
    asked = torch.full((1, 1, 3), torch.nan)
    _, apart = nearest(asked, torch.zeros(1, 2, 3), torch.ones(1, 2, dtype=torch.bool), SCALE)
    assert not (apart <= 1e9).any()
