"""Planar poses as tensors ``[..., 3]``: x, y, and a heading in degrees, counter-clockwise; how far they are apart.

What a step does is seen from the pose before it: so far forward, so far to the left, turned by so many degrees.
"""

from __future__ import annotations

from typing import NamedTuple

import torch


class PoseScale(NamedTuple):
    """What counts as one step of a world: ``step`` in its unit of length, ``turn`` in degrees."""

    step: float
    turn: float


def turned(degrees: torch.Tensor) -> torch.Tensor:
    """A difference of headings, in [-180, 180)."""
    return (degrees + 180) % 360 - 180


def motions(poses: torch.Tensor) -> torch.Tensor:
    """``[..., T + 1, 3]`` to what each step did, ``[..., T, 3]``: forward, left, turned."""
    difference, heading = poses.diff(dim=-2), poses[..., :-1, 2].deg2rad()
    east, north = difference[..., 0], difference[..., 1]
    forward = east * heading.cos() + north * heading.sin()
    left = north * heading.cos() - east * heading.sin()
    return torch.stack([forward, left, turned(difference[..., 2])], -1)


def moved(poses: torch.Tensor, motion: torch.Tensor) -> torch.Tensor:
    """Where steps ``[..., 3]`` lead from ``poses`` ``[..., 3]``; the inverse of :func:`motions`."""
    heading = poses[..., 2].deg2rad()
    forward, left = motion[..., 0], motion[..., 1]
    x = poses[..., 0] + forward * heading.cos() - left * heading.sin()
    y = poses[..., 1] + forward * heading.sin() + left * heading.cos()
    return torch.stack([x, y, (poses[..., 2] + motion[..., 2]) % 360], -1)


def scale_of(motion: torch.Tensor) -> PoseScale:
    """The root mean square of the steps ``[..., 3]`` that move, and of those that turn; 1 where none does."""
    lengths, turns = motion[..., :2].norm(dim=-1), motion[..., 2].abs()
    found = [part[part > 1e-3].square().mean().sqrt() for part in (lengths, turns)]
    return PoseScale(*(float(value) if torch.isfinite(value) else 1.0 for value in found))


def distances(asked: torch.Tensor, poses: torch.Tensor, scale: PoseScale) -> torch.Tensor:
    """``[..., n, 3]`` and ``[..., N, 3]`` to how many steps lie between them ``[..., n, N]``: paces and turns, as the
    two sides of a right angle."""
    difference = asked[..., :, None, :] - poses[..., None, :, :]
    paces = difference[..., :2].norm(dim=-1) / scale.step
    return torch.hypot(paces, turned(difference[..., 2]) / scale.turn)


def nearest(
    asked: torch.Tensor, poses: torch.Tensor, usable: torch.Tensor, scale: PoseScale
) -> tuple[torch.Tensor, torch.Tensor]:
    """The nearest of ``poses`` ``[E, N, 3]`` to each of ``asked`` ``[B, n, 3]``, one after the other.

    B = k * E, episode-major. No pose is picked twice for the same entry. ``usable`` ``bool [B, N]``: which may be
    picked at all. Returns which, ``int64 [B, n]``, and how far they are ``[B, n]``, inf where nothing was left to pick.
    """
    apart = distances(asked.unflatten(0, (len(poses), -1)), poses[:, None], scale)  # [E, k, n, N]
    left = usable.unflatten(0, apart.shape[:2])
    picks, found = [], []
    for row in apart.unbind(2):
        distance, pick = row.masked_fill(~left, torch.inf).min(2)
        left = left.scatter(2, pick[..., None], False)
        picks.append(pick.flatten())
        found.append(distance.flatten())
    return torch.stack(picks, 1), torch.stack(found, 1)
