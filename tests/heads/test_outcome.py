"""An outcome head: how rewards become bins and come back, what counts as an end, and its folder."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from slowfast.heads.outcome import OutcomeConfig, OutcomeHead


def head(low: float = -1.0, high: float = 100.0) -> OutcomeHead:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return OutcomeHead(OutcomeConfig(channels=4, action_width=6, low=low, high=high, bins=15, width=8)).eval()


def steps(batch: int = 2, count: int = 3) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    before, after = torch.randn(2, batch, count, 4, 6, 5, generator=generator).unbind(0)
    return before, after, torch.randn(batch, count, 6, generator=generator)


def test_a_reward_becomes_two_bins_whose_mean_it_is() -> None:
    rewards = torch.tensor([[-1.0, 0.0, 0.3, 7.25], [42.0, 99.5, 100.0, 1.0]])
    hot = head().two_hot(rewards)
    assert hot.shape == (2, 4, 15)
    assert int((hot > 0).sum(-1).max()) == 2
    torch.testing.assert_close(hot.sum(-1), torch.ones(2, 4))
    torch.testing.assert_close(hot @ head().support(), rewards)


def test_rewards_outside_of_what_was_seen_count_as_the_outermost() -> None:
    hot = head().two_hot(torch.tensor([-50.0, 1e6]))
    torch.testing.assert_close(hot @ head().support(), torch.tensor([-1.0, 100.0]))


def test_bins_that_rounding_has_joined_still_hold_a_reward() -> None:
    own = head(1e6, 1e6 + 0.1)
    hot = own.two_hot(torch.tensor([1e6, 1e6 + 0.1]))
    assert len(own.support().unique()) < 15
    torch.testing.assert_close(hot.sum(-1), torch.ones(2))
    torch.testing.assert_close(hot @ own.support(), torch.tensor([1e6, 1e6 + 0.1]))


def test_bins_lie_closer_near_zero_and_end_at_the_least_and_the_largest() -> None:
    support = head(-100.0, 100.0).support()
    torch.testing.assert_close(support[[0, 7, -1]], torch.tensor([-100.0, 0.0, 100.0]))
    assert float(support[8] - support[7]) < 0.1 * float(support[-1] - support[-2])


def test_what_is_told_is_a_mean_and_a_chance() -> None:
    outcomes = head()(*steps())
    rewards, ends = head().logits(*steps())
    assert outcomes.rewards.shape == outcomes.chances.shape == (2, 3)
    torch.testing.assert_close(outcomes.rewards, (rewards.softmax(-1) * head().support()).sum(-1))
    torch.testing.assert_close(outcomes.chances, ends.sigmoid())


@pytest.mark.parametrize("changed", [0, 1, 2])
def test_it_looks_at_both_frames_and_at_the_action(changed: int) -> None:
    parts = list(steps())
    parts[changed] = parts[changed] + 1
    assert not torch.allclose(head()(*parts).rewards, head()(*steps()).rewards)


def test_an_end_is_a_chance_that_reaches_the_threshold() -> None:
    own = head()
    own.threshold.fill_(0.25)
    assert own.ends(torch.tensor([0.2, 0.25, 0.9])).tolist() == [False, True, True]


def test_half_precision_rounds_weights_and_not_bins_or_the_threshold(tmp_path: Path) -> None:
    own = head()
    own.threshold.fill_(0.123456)
    own.save_pretrained(tmp_path, torch.bfloat16)
    again = OutcomeHead.from_pretrained(tmp_path)
    assert again.config == own.config
    assert float(again.threshold) == float(own.threshold)
    assert torch.equal(again.to(torch.bfloat16).support(), own.support())
    own.save_pretrained(tmp_path)
    torch.testing.assert_close(OutcomeHead.from_pretrained(tmp_path)(*steps()).rewards, own(*steps()).rewards)


def test_nothing_between_the_least_and_the_largest_is_refused() -> None:
    with pytest.raises(ValueError, match="low < high"):
        head(1.0, 1.0)
