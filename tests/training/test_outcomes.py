"""Batches in which rare steps are not rare, and the figures that say how good an outcome head is."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from slowfast.training.outcome_figures import best_threshold, f1, reward_figures, termination_figures
from slowfast.training.outcomes import BalancedSampler, EpisodeOutcomes, lifted


def outcomes(episodes: int = 20, length: int = 50) -> EpisodeOutcomes:
    """A penalty at every step, 1 at step 10 and 5 at step 20 of some; a few end."""
    rewards = [np.full(length, -0.1, np.float32) for _ in range(episodes)]
    ends = [np.zeros(length, bool) for _ in range(episodes)]
    for number in range(0, episodes, 2):
        rewards[number][[10, 20]] = 1, 5
    for number in range(0, episodes, 5):
        ends[number][-1] = True
    return EpisodeOutcomes(rewards, ends)


def draws(sampler: BalancedSampler, batches: int = 60) -> tuple[np.ndarray, np.ndarray]:
    drawn = [sampler.draw(step)[1:] for step in range(batches)]
    return np.concatenate([own[0] for own in drawn]), np.concatenate([own[1] for own in drawn])


def test_steps_are_sorted_by_what_they_came_to() -> None:
    strata = outcomes().strata.reshape(20, 50)
    assert (strata[0][[10, 20, 49, 0]] == [1, 1, 2, 0]).all()
    assert np.bincount(strata.ravel()).tolist() == [976, 20, 4]


def test_rare_steps_get_their_share_of_a_batch() -> None:
    own = outcomes()
    episodes, steps = draws(BalancedSampler(own, 0.2, 64, seed=0))
    rewards = np.array([own.rewards[i][step] for i, step in zip(episodes, steps, strict=True)])
    ends = np.array([own.ends[i][step] for i, step in zip(episodes, steps, strict=True)])
    assert ends.mean() == pytest.approx(0.2, abs=0.02)
    assert (rewards > 0).mean() == pytest.approx(0.2, abs=0.02)


def test_weighted_batches_have_the_means_of_the_data() -> None:
    own = outcomes()
    sampler = BalancedSampler(own, 0.2, 64, seed=0)
    episodes, steps = draws(sampler, 400)
    weights = sampler.weights_of(episodes, steps)
    for rows in (own.rewards, own.ends):
        values = np.array([rows[i][step] for i, step in zip(episodes, steps, strict=True)], float)
        assert (weights * values).mean() == pytest.approx(float(np.mean(rows)), abs=0.01)
    assert weights.mean() == pytest.approx(1, abs=0.02)


def test_every_step_of_every_episode_can_be_drawn() -> None:
    own = EpisodeOutcomes([np.zeros(3, np.float32), np.ones(2, np.float32)], [np.zeros(3, bool), np.zeros(2, bool)])
    episodes, steps = draws(BalancedSampler(own, 0.2, 16, seed=0))
    assert set(zip(episodes.tolist(), steps.tolist(), strict=True)) == {(0, 0), (0, 1), (0, 2), (1, 0), (1, 1)}


def test_a_batch_depends_on_the_seed_and_its_number_alone() -> None:
    first, again, other = (BalancedSampler(outcomes(), 0.2, 8, seed) for seed in (0, 0, 1))
    first.draw(3)
    assert (first.draw(7)[2] == again.draw(7)[2]).all()
    assert (first.draw(7)[2] != other.draw(7)[2]).any()


def test_without_balance_steps_come_as_they_are() -> None:
    sampler = BalancedSampler(outcomes(), 0.0, 64, seed=0)
    assert sampler.weights.tolist() == [1, 1, 1]


@pytest.mark.parametrize(
    ("shares", "expected"),
    [([0.9, 0.1, 0.0], [0.8, 0.2, 0.0]), ([0.5, 0.3, 0.2], [0.5, 0.3, 0.2]), ([0.98, 0.01, 0.01], [0.6, 0.2, 0.2])],
)
def test_what_is_rare_is_lifted_and_what_is_not_there_is_not(shares: list[float], expected: list[float]) -> None:
    np.testing.assert_allclose(lifted(np.array(shares), 0.2), expected)


def test_a_perfect_head_and_a_blind_one() -> None:
    true = torch.tensor([0.0, 0.0, 1.0, 3.0])
    assert reward_figures(true, true, 1.0)["reward_explained"] == 1
    blind = reward_figures(torch.full((4,), 1.0), true, 1.0)
    assert blind["reward_explained"] == 0
    assert blind["reward_error"] == blind["reward_error_of_mean"] == pytest.approx(1.5**0.5)
    assert "reward_explained" not in reward_figures(true[:2], true[:2], 0.0)

    ends = torch.tensor([False, True, False, True])
    perfect = termination_figures(ends.float(), ends, 0.5, 0.5)
    assert perfect["termination_precision"] == perfect["termination_f1"] == 1
    assert perfect["termination_brier"] == perfect["termination_calibration"] == 0
    blind = termination_figures(torch.full((4,), 0.5), ends, 0.5, 0.6)
    assert blind["termination_precision"] == blind["termination_share"] == 0.5
    assert blind["termination_brier"] == blind["termination_brier_of_share"] == 0.25
    assert blind["termination_f1"] == 0


def test_chances_that_are_too_high_are_reported_as_such() -> None:
    ends = torch.zeros(100, dtype=torch.bool)
    ends[:10] = True
    assert termination_figures(torch.full((100,), 0.6), ends, 0.1, 0.5)["termination_calibration"] == pytest.approx(
        0.5, abs=1e-4
    )
    assert "termination_precision" not in termination_figures(torch.zeros(5), ends[50:55], 0.1, 0.5)


def test_the_threshold_is_the_one_with_the_best_f1() -> None:
    generator = torch.Generator().manual_seed(0)
    true = torch.rand(300, generator=generator) < 0.1
    chances = (torch.rand(300, generator=generator) * 0.5 + true * 0.2).round(decimals=2)  # many ties
    found = f1(chances >= best_threshold(chances, true), true)
    assert found == pytest.approx(max(f1(chances >= own, true) for own in chances.unique()))
    assert best_threshold(chances, torch.zeros(300, dtype=torch.bool)) == 0.5
    assert f1(chances >= best_threshold(chances, torch.ones(300, dtype=torch.bool)), torch.ones(300).bool()) == 1
