"""The rewards that a world has learned, as a goal: summed as far as an episode is likely to go on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from slowfast.dream import Dream
from slowfast.heads.outcome import OutcomeConfig, OutcomeHead, Outcomes
from slowfast.planning import make_planner
from slowfast.planning.head_goal import HeadGoal
from slowfast.planning.imagination import ImaginedCost
from slowfast.planning.objectives import Outcome
from slowfast.world_model import WorldModel


@pytest.fixture
def dream(tiny_world_folder: Path) -> Dream:
    """Two episodes of a world whose outcome head was never trained."""
    world = WorldModel.from_pretrained(tiny_world_folder)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        width = world.slow.actions.config.width
        world.outcome = OutcomeHead(OutcomeConfig(4, width, -1.0, 1.0, width=8)).eval()
    dream = Dream(world, 2, seed=5)
    frames = np.random.default_rng(3).integers(0, 256, (2, 5, 32, 32, 3), np.uint8)
    dream.start(frames, [[0, 1, 2, 3], [4, 3, 2, 1]])
    return dream


def told(monkeypatch: pytest.MonkeyPatch, dream: Dream, rewards: list[float], chances: list[float]) -> None:
    """The head says the same of every candidate."""

    def forward(before: torch.Tensor, after: torch.Tensor, actions: torch.Tensor) -> Outcomes:
        count = len(after)
        return Outcomes(torch.tensor([rewards] * count), torch.tensor([chances] * count))

    monkeypatch.setattr(dream.world.outcome, "forward", forward)


def outcome_of(dream: Dream, count: int, steps: int) -> Outcome:
    generator = torch.Generator().manual_seed(1)
    latents = torch.randn(count, steps, 4, 4, 4, generator=generator)
    return Outcome(dream.world, latents, {"move": torch.randint(5, (count, steps), generator=generator)})


def test_a_reward_counts_as_far_as_the_episode_may_have_gone_on(dream: Dream, monkeypatch: pytest.MonkeyPatch) -> None:
    told(monkeypatch, dream, [1.0, 2.0, 4.0], [0.25, 1.0, 0.0])
    cost = HeadGoal(dream)(outcome_of(dream, 2, 3))
    assert cost.tolist() == [-(1 + 0.75 * 2 + 0)] * 2
    told(monkeypatch, dream, [1.0, 2.0, 4.0], [0.0, 0.0, 1.0])
    assert HeadGoal(dream, discount=0.5)(outcome_of(dream, 2, 3)).tolist() == [-3.0, -3.0]


@torch.no_grad()
def test_steps_are_judged_from_frame_to_frame_and_the_first_from_the_present(dream: Dream) -> None:
    outcome, world = outcome_of(dream, 4, 3), dream.world
    actions = {**world.slow.null_actions(4, 3), **outcome.actions}
    vectors, expected = world.slow.action_vectors(actions), []
    assert world.outcome is not None
    for row in range(4):
        before, total, left = dream.latents[row // 2], 0.0, 1.0  # two candidates of each episode
        for step in range(3):
            after = outcome.latents[row, step]
            rewards, chances = world.outcome(before[None, None], after[None, None], vectors[row, step][None, None])
            total, left = total + left * float(rewards), left * (1 - float(chances))
            before = after
        expected.append(-total)
    costs = HeadGoal(dream)(outcome)
    torch.testing.assert_close(costs, torch.tensor(expected))
    last = Outcome(world, outcome.latents[2:], {"move": outcome.actions["move"][2:]}, episodes=torch.tensor([1]))
    torch.testing.assert_close(HeadGoal(dream)(last), costs[2:])


def test_the_present_is_that_of_the_dream_as_it_goes_on(dream: Dream) -> None:
    goal, outcome = HeadGoal(dream), outcome_of(dream, 2, 1)
    before = goal(outcome)
    dream.step([[0], [1]])
    assert not torch.allclose(goal(outcome), before)


def test_a_planner_earns_more_than_luck(dream: Dream, generators: Any) -> None:
    cost = ImaginedCost(dream, HeadGoal(dream), seed=4)
    planner = make_planner("cem", dream.world.action_spec, horizon=2, candidates=25, iterations=3, elites=3)
    plan = planner.plan(cost, generators(2))
    every = torch.cartesian_prod(torch.arange(5), torch.arange(5)).expand(2, 25, 2)  # all ways to go on
    costs = cost({"move": every})
    assert (plan.cost <= costs.sort(1).values[:, 4] + 1e-4).all()
    assert (plan.cost < costs.mean(1)).all()


def test_a_world_that_knows_no_rewards_says_so(tiny_world: WorldModel, dream: Dream) -> None:
    with pytest.raises(ValueError, match="'tiny' has no outcome head"):
        HeadGoal(Dream(tiny_world))
    with pytest.raises(ValueError, match="3 candidates are not equally many for each of 2 episodes"):
        HeadGoal(dream)(outcome_of(dream, 3, 1))
