"""Pairs of a frame and words that an instruction head learns from, and how its chances are made true."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from slowfast.training.instruction_figures import cross_fitted, platt, soon_figures, words_auc
from slowfast.training.instructions import EpisodeInstructions, PairSampler, how_soon


def instructions() -> EpisodeInstructions:
    """Of five episodes of 4, 6, 3, 3 and 3 frames: "a" is done twice, "b" and "c" once, "d" never."""
    frames = [np.arange(count) for count in (4, 6, 3, 3, 3)]
    done = [frames[0] == 3, frames[1] >= 4, frames[2] == 2, frames[3] == 1, frames[4] < 0]
    not_yet = [np.cumsum(own) == 0 for own in done]
    soon = [how_soon(*own, 0.5) for own in zip(done, not_yet, strict=True)]
    return EpisodeInstructions(("a", "b", "c", "d"), np.array([0, 0, 1, 2, 3]), done, not_yet, soon)


def test_pairs_are_done_not_yet_done_or_done_and_spoken_of_otherwise() -> None:
    given = instructions()
    pairs = PairSampler(given, 0.4, 20_000, seed=3).pairs(7)
    own, kinds = given.said[pairs.episodes] == pairs.texts, []
    for episode, frame, same, done in zip(pairs.episodes, pairs.frames, own, pairs.done, strict=True):
        shown, early = given.done[episode][frame], given.not_yet[episode][frame]
        assert (done, early) in ([(True, False), (False, True)] if same else [(False, False)])
        assert shown != early
        kinds.append(0 if done else 1 if same else 2)
    kinds = np.array(kinds)
    assert np.bincount(kinds) / len(kinds) == pytest.approx([0.3, 0.3, 0.4], abs=0.02)
    for kind in range(3):  # so that the words alone say nothing
        assert np.bincount(pairs.texts[kinds == kind], minlength=4) / (kinds == kind).sum() == pytest.approx(
            [1 / 3, 1 / 3, 1 / 3, 0], abs=0.03
        )


def test_how_soon_is_known_of_frames_with_their_own_words() -> None:
    """A step later is worth half."""
    given = instructions()
    assert given.soon[0].tolist() == [0.125, 0.25, 0.5, 1.0]
    assert np.isnan(given.soon[3]).tolist() == [False, False, True], "what comes after is not known"
    assert np.isnan(given.soon[4]).all(), "so short an episode may have done it right after its end"
    never = how_soon(np.zeros(8, bool), np.ones(8, bool), 0.5)
    assert never[:2].tolist() == [0, 0]
    assert np.isnan(never[-4:]).all()
    pairs = PairSampler(given, 0.4, 20_000, seed=3).pairs(7)
    own = given.said[pairs.episodes] == pairs.texts
    assert np.isnan(pairs.soon[~own]).all()
    expected = [given.soon[episode][frame] for episode, frame in zip(pairs.episodes, pairs.frames, strict=True)]
    assert np.array_equal(pairs.soon[own], np.array(expected)[own], equal_nan=True)
    assert (pairs.soon[pairs.done] == 1).all()


def test_how_well_it_is_told_how_soon_stands_beside_their_mean() -> None:
    true = torch.rand(2000, generator=torch.Generator().manual_seed(0))
    right, wrong, guessed = (soon_figures(told, true) for told in (true, 1 - true, torch.full((2000,), 0.5)))
    assert (right["soon_error"], right["soon_order"], wrong["soon_order"]) == (0, 1, 0)
    assert guessed["soon_error"] == pytest.approx(guessed["soon_error_of_mean"], rel=0.01)


def test_batches_are_decided_by_seed_and_step_alone() -> None:
    one, other = (PairSampler(instructions(), 0.4, 16, seed=3) for _ in range(2))
    other.pairs(0)
    assert all(np.array_equal(*pair, equal_nan=True) for pair in zip(one.pairs(4), other.pairs(4), strict=True))
    assert not np.array_equal(one.pairs(4).frames, one.pairs(5).frames)
    assert np.array_equal(one.draw(4)[1], one.pairs(4).episodes)


def test_a_single_instruction_is_never_swapped() -> None:
    given = instructions()
    alone = EpisodeInstructions(("a",), np.array([0, 0]), given.done[:2], given.not_yet[:2], given.soon[:2])
    pairs = PairSampler(alone, 0.4, 200, seed=0).pairs(0)
    assert set(pairs.texts) == {0}
    assert 0.35 < pairs.done.mean() < 0.65


def test_chances_are_made_true() -> None:
    generator = torch.Generator().manual_seed(0)
    odds = 2 * torch.randn(20_000, generator=generator) - 3
    done = torch.rand(20_000, generator=generator) < odds.sigmoid()
    slope, offset = platt(odds * 40 + 100, done)
    assert (slope, offset) == pytest.approx((1 / 40, -100 / 40), rel=0.1)
    folds = torch.arange(20_000) % 2
    assert float((cross_fitted(odds * 40 + 100, done, folds) - odds).abs().mean()) < 0.15
    apart = torch.tensor([-1.0, -0.9, 1.0, 1.1])
    slope, offset = platt(apart, apart > 0)
    assert 0.5 < float(slope * 1.0 + offset) < 5, "classes that can be parted are not certain"
    assert platt(apart, torch.zeros(4, dtype=torch.bool)) == (1.0, 0.0)


def test_a_tie_is_half_a_rank() -> None:
    others = torch.tensor([[0.5, 1.0, 2.0, 0.0], [0.0, 0.0, 0.0, 0.0]])
    assert words_auc(torch.tensor([1.0, -1.0]), others) == pytest.approx((1 + 0.5 + 0 + 1 + 0) / 8)
