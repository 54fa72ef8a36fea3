"""Which frames are kept: varied ones, true ones before dreamed ones, and never more than there is room for."""

from __future__ import annotations

import pytest
import torch

from slowfast.fast.bank import Bank, Seen
from slowfast.heads.poses import PoseScale

FIRST = torch.tensor([0])


def views(*angles: float) -> torch.Tensor:
    """Frames ``[1, n, 2, 1, 1]`` whose cosine likeness is the cosine of the angles between them, in degrees."""
    turned = torch.deg2rad(torch.tensor(angles))
    return torch.stack([turned.cos(), turned.sin()], 1)[None, :, :, None, None]


def bank_of(slots: int, *angles: float, dreamed: bool = False) -> Bank:
    return Bank.empty(slots, views(0), 1).offer(FIRST, views(*angles), dreamed)


def kept(bank: Bank) -> list[int]:
    """Angles of the kept frames, in degrees."""
    frames = bank.latents[0, : int(bank.kept[0])].flatten(1).float()
    return torch.rad2deg(torch.atan2(frames[:, 1], frames[:, 0])).round().int().tolist()


def test_observed_frames_are_kept_and_a_newer_picture_of_a_view_replaces_the_older() -> None:
    assert kept(bank_of(4, 0, 90)) == [0, 90]
    assert kept(bank_of(4, 0, 90, 4)) == [4, 90], "4 degrees are 0.998 alike"


def test_a_full_bank_gives_up_what_is_most_like_the_new_frame() -> None:
    assert kept(bank_of(3, 0, 90, 170, 100)) == [0, 100, 170]


def test_dreamed_frames_fill_free_slots_with_new_views_and_never_replace() -> None:
    seen = bank_of(3, 0, 90)
    assert kept(seen.offer(FIRST, views(20), dreamed=True)) == [0, 90], "known"
    grown = seen.offer(FIRST, views(-120, -170), dreamed=True)
    assert kept(grown) == [0, 90, -120], "no room for the second"
    assert kept(grown.offer(FIRST, views(-118), dreamed=False)) == [0, 90, -118], "the truth replaces a dream"


def test_episodes_are_kept_apart_and_forgotten_apart() -> None:
    both = Bank.empty(2, views(0), 2).offer(torch.arange(2), torch.cat([views(0, 90), views(180, 181)]), False)
    assert both.kept.tolist() == [2, 1]
    assert both.usable(torch.tensor([1, 0])).tolist() == [[True, False], [True, True]]
    less = both.forget(torch.tensor([0]))
    assert less.kept.tolist() == [0, 1]
    assert both.kept.tolist() == [2, 1], "what a snapshot shares is not written"
    other = less.offer(FIRST, views(45), dreamed=False)
    assert kept(other) == [45]
    assert torch.equal(other.latents[1], both.latents[1])


@pytest.mark.parametrize("dreamed", [False, True])
def test_an_episode_keeps_the_same_alone_and_among_others(dreamed: bool) -> None:
    frames = torch.randn(3, 9, 2, 4, 4, generator=torch.Generator().manual_seed(0))
    together = Bank.empty(4, frames, 3).offer(torch.arange(3), frames, dreamed)
    for row in range(3):
        alone = Bank.empty(4, frames, 1).offer(FIRST, frames[row : row + 1], dreamed)
        assert torch.equal(alone.latents[0], together.latents[row])
        assert alone.kept[0] == together.kept[row]


def seen_from(*places: float) -> Seen:
    """Places along the x axis, a unit being a step."""
    poses = torch.zeros(1, len(places), 3)
    poses[0, :, 0] = torch.tensor(places)
    return Seen(poses, PoseScale(1.0, 20.0))


def test_with_poses_alike_is_what_was_seen_from_near_by() -> None:
    start = Bank.empty(3, views(0), 1, posed=True)
    bank = start.offer(FIRST, views(0, 0, 90), False, seen_from(0.0, 5.0, 5.1))
    assert kept(bank) == [0, 90], "the same view from elsewhere is kept, a newer one from the same place replaces"
    assert bank.poses is not None
    torch.testing.assert_close(bank.poses[0, :2, 0], torch.tensor([0.0, 5.1]))
    dreamed = bank.offer(FIRST, views(120, 150), True, seen_from(0.4, 0.6))
    assert kept(dreamed) == [0, 90, 150], "what was dreamed from a known place is passed over"
    full = dreamed.offer(FIRST, views(33), False, seen_from(4.0))
    assert kept(full) == [0, 33, 150], "no room: the nearest one goes"


def test_a_frame_from_nobody_knows_where_is_passed_over() -> None:
    bank = Bank.empty(3, views(0), 1, posed=True).offer(FIRST, views(10, 20), False, seen_from(float("nan"), 1.0))
    assert kept(bank) == [20]


def test_episodes_exchange_what_they_kept() -> None:
    frames, seen = torch.cat([views(0, 90), views(180, 270)]), seen_from(0.0, 3.0)
    both = Bank.empty(2, views(0), 2, posed=True).offer(
        torch.arange(2),
        frames,
        False,
        Seen(seen.poses.repeat(2, 1, 1) + torch.tensor([0.0, 9.0])[:, None, None], seen.scale),
    )
    other = both.exchanged(torch.tensor([1, 0]))
    assert torch.equal(other.latents, both.latents.flip(0))
    assert other.poses is not None
    assert both.poses is not None
    assert torch.equal(other.poses, both.poses.flip(0))
