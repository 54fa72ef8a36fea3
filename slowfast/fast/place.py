"""Where an episode is: dead reckoning from frame to frame, and recognising a frame after a break.

The first frame of an episode is the origin, and looks along the x axis.
"""

from __future__ import annotations

import torch

from slowfast.fast.bank import Bank
from slowfast.fast.likeness import directions
from slowfast.heads.odometry import Odometry
from slowfast.heads.poses import moved

RECOGNISED = 0.98
"""Cosine likeness from which a frame is taken to show what a kept one shows."""
ELSEWHERE = 1000.0
"""Steps of the world from what is kept to where an episode goes on after a break, if nothing there is recognised."""


def followed(
    odometry: Odometry,
    pose: torch.Tensor,
    last: torch.Tensor,
    latents: torch.Tensor,
    vectors: torch.Tensor,
    fresh: torch.Tensor,
    bank: Bank,
    index: torch.Tensor,
) -> torch.Tensor:
    """Poses ``[E', n, 3]`` of frames ``[E', n, C, h, w]`` after ``last`` ``[E', C, h, w]`` at ``pose`` ``[E', 3]``.

    ``vectors`` ``[E', n, D]``: of the actions that led into them. ``fresh`` ``bool [E']``: where the first frame does
    not follow ``last``. There it is the origin of an episode without kept frames in ``bank``, is recognised, or is
    somewhere else.
    """
    with torch.no_grad():
        motion = odometry(torch.cat([last[:, None], latents[:, :-1]], 1), latents, vectors)
    first = moved(pose, motion[:, 0])
    if fresh.any():
        begun = begun_at(odometry, latents[:, 0], bank, index)
        first = torch.where(fresh[:, None].to(first.device), begun, first)
    poses = [first]
    for step in motion[:, 1:].unbind(1):
        poses.append(moved(poses[-1], step))
    return torch.stack(poses, 1)


def begun_at(odometry: Odometry, frame: torch.Tensor, bank: Bank, index: torch.Tensor) -> torch.Tensor:
    """The pose ``[E', 3]`` of a frame ``[E', C, h, w]`` that follows nothing."""
    assert bank.poses is not None
    rows = index.to(frame.device)
    usable, poses = bank.usable(index), bank.poses[rows]
    furthest = poses[..., 0].masked_fill(~usable, 0).amax(1)
    elsewhere = torch.zeros_like(poses[:, 0])
    elsewhere[:, 0] = torch.where(usable.any(1), furthest + ELSEWHERE * odometry.scale.step, 0.0)
    known = recognised(frame[:, None], directions(bank.latents[rows]), poses, usable)[:, 0]
    return torch.where(torch.isnan(known), elsewhere, known)


def recognised(frames: torch.Tensor, stored: torch.Tensor, poses: torch.Tensor, usable: torch.Tensor) -> torch.Tensor:
    """Poses ``[E', n, 3]`` of frames ``[E', n, C, h, w]`` that show what one of the kept ones does, whose directions
    are ``stored`` ``[E', N, D]``, else NaN."""
    likeness = directions(frames) @ stored.mT
    most, which = likeness.masked_fill(~usable[:, None], -1).max(-1)
    found = poses.gather(1, which[..., None].expand(-1, -1, 3))
    return torch.where((most >= RECOGNISED)[..., None], found, torch.nan)
