"""Frames that a memory keeps: taken from a stream as it comes, with the places they were seen from, and handed out."""

from __future__ import annotations

from dataclasses import replace

import torch

from slowfast.fast.bank import Bank, Seen
from slowfast.fast.likeness import directions
from slowfast.fast.memory_state import MemoryState
from slowfast.fast.place import RECOGNISED, followed, recognised
from slowfast.fast.showing import Kept
from slowfast.heads.odometry import Odometry


def keep(
    state: MemoryState,
    index: torch.Tensor,
    latents: torch.Tensor,
    vectors: torch.Tensor,
    dreamed: bool,
    slots: int,
    odometry: Odometry | None,
) -> MemoryState:
    """``state`` with frames ``[E', n, C, h, w]`` of the episodes ``index`` offered to a bank of ``slots``.

    They are not in its stream yet. ``vectors`` ``[E', n, D]``: of the actions that led into them, for an ``odometry``
    to follow.
    """
    assert state.stream is not None
    bank = state.bank or Bank.empty(slots, latents, len(state.rows), odometry is not None)
    if odometry is None:
        return replace(state, bank=bank.offer(index, latents, dreamed))
    rows, fresh = index.to(latents.device), state.stream.frames[index] == 0
    pose, last = state.pose[rows], state.stream.latents[rows, -1]
    poses = followed(odometry, pose, last, latents, vectors, fresh, bank, index)
    bank = bank.offer(index, latents, dreamed, Seen(poses, odometry.scale))
    return replace(state, bank=bank, pose=state.pose.index_copy(0, rows, poses[:, -1]))


def kept_by(state: MemoryState, index: torch.Tensor) -> Kept:
    """Frames of the episodes ``index`` ``int64 [E']`` that may be shown again."""
    bank = state.bank
    if bank is None:
        return Kept(torch.zeros(len(index), 0), torch.zeros(len(index), 0, dtype=torch.bool))
    most, rows = int(bank.kept[index].max()) if len(index) else 0, index.to(bank.latents.device)
    poses = None if bank.poses is None else bank.poses[rows, :most]
    return Kept(bank.latents[rows, :most].float(), bank.usable(index)[:, :most], poses)


def pose_of(state: MemoryState, index: torch.Tensor, frames: torch.Tensor, kept: Kept) -> torch.Tensor:
    """Where frames ``[B, C, h, w]`` were seen from, ``[B, 3]``: B = k * E', episode-major.

    The last frame of an episode's stream is where the episode is; another one has to be recognised among those that
    are ``kept``, else it is NaN.
    """
    assert state.stream is not None
    assert kept.poses is not None
    each, rows = frames.unflatten(0, (len(kept.usable), -1)), index.to(frames.device)
    last = directions(state.stream.latents[rows, -1:])
    present = state.pose[rows][:, None].expand(-1, each.shape[1], -1)
    follows = (directions(each) @ last.mT) >= RECOGNISED
    if follows.all():
        return present.flatten(0, 1)
    return torch.where(follows, present, recognised(each, kept.directions, kept.poses, kept.usable)).flatten(0, 1)
