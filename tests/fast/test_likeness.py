"""Picking frames by likeness."""

from __future__ import annotations

import torch

from slowfast.fast.likeness import likest


def at(*angles: float) -> torch.Tensor:
    turned = torch.deg2rad(torch.tensor(angles))
    return torch.stack([turned.cos(), turned.sin()], 1)[None, :, :, None, None]


def picked(drafts: torch.Tensor, shown: torch.Tensor, frames: torch.Tensor, usable: torch.Tensor | None = None) -> list:
    everything = torch.ones(frames.shape[:2], dtype=torch.bool)
    picks, likeness = likest(drafts, shown, frames, everything if usable is None else usable)
    return [pick if score > -2 else None for pick, score in zip(picks[0].tolist(), likeness[0].tolist(), strict=True)]


def test_the_likest_by_direction_and_not_by_size() -> None:
    assert picked(0.1 * at(80), at(-90), torch.cat([0.1 * at(0), 5 * at(90)], 1)) == [1]


def test_no_frame_twice_and_none_that_is_not_there() -> None:
    frames = at(0, 10, 100)
    assert picked(at(1, 1), at(-90), frames) == [0, 1]
    assert picked(at(1, 1), at(-90), frames, torch.tensor([[False, True, True]])) == [1, 2]
    assert picked(at(1, 1), at(-90), frames, torch.tensor([[False, True, False]])) == [1, None]


def test_what_the_network_sees_already_is_not_shown_again() -> None:
    assert picked(at(30), at(0), at(5, 60)) == [1], "the frame at 5 degrees is more like what is shown"
    assert picked(at(30), at(0), at(5)) == [None]


def test_candidates_of_an_episode_share_its_frames() -> None:
    frames = torch.cat([at(0, 90), at(180, -90)])
    drafts = torch.cat([at(2), at(88), at(178), at(-88)])
    picks, _ = likest(drafts, at(45).expand(4, -1, -1, -1, -1) * 0.01, frames, torch.ones(2, 2, dtype=torch.bool))
    assert picks.flatten().tolist() == [0, 1, 0, 1]
