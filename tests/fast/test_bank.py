"""Which frames are kept: varied ones, true ones before dreamed ones, and never more than there is room for."""

from __future__ import annotations

import pytest
import torch

from slowfast.fast.bank import Bank

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
