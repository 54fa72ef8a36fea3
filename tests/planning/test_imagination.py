"""Costs of imagined outcomes: what candidates are compared by, and that comparing them changes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch

from slowfast.dream import Dream
from slowfast.planning import make_planner
from slowfast.planning.imagination import ImaginedCost
from slowfast.planning.objectives import ImageGoal, Outcome, RewardGoal
from slowfast.world_model import WorldModel


@pytest.fixture
def dream(tiny_world: WorldModel) -> Dream:
    """Two episodes that have learned something, each something else."""
    frames = np.random.default_rng(3).integers(0, 256, (2, 9, 32, 32, 3), np.uint8)
    dream = Dream(tiny_world, 2, tiny_world.new_memory(2), seed=5)
    dream.start(frames, [[0, 1, 2, 3, 4, 0, 1, 2], [4, 3, 2, 1, 0, 4, 3, 2]])
    return dream


def candidates(episodes: int, count: int, horizon: int, seed: int = 0) -> dict[str, torch.Tensor]:
    drawn = torch.randint(5, (episodes, count, horizon), generator=torch.Generator().manual_seed(seed))
    return {"move": drawn}


def test_imagining_changes_nothing(dream: Dream, tiny_world: WorldModel, generators: Any) -> None:
    before, weights = dream.snapshot(), {name: own.clone() for name, own in tiny_world.slow.state_dict().items()}
    goal = ImageGoal(dream.latents)
    planner = make_planner("icem", tiny_world.action_spec, horizon=5, candidates=6, iterations=2, elites=2)
    planner.plan(ImaginedCost(dream, goal), generators(2))
    after = dream.snapshot()
    assert all(torch.equal(own, after.tensors[name]) for name, own in before.tensors.items())
    assert all(torch.equal(own, weights[name]) for name, own in tiny_world.slow.state_dict().items())


def test_a_candidate_is_judged_by_what_the_dream_would_do(dream: Dream) -> None:
    """Imagined from the context and with the memory of its own episode, whoever is judged beside it."""
    outcomes: list[torch.Tensor] = []

    def objective(outcome: Outcome) -> torch.Tensor:
        outcomes.append(outcome.latents)
        return outcome.latents.flatten(1).mean(1)

    given = candidates(2, 3, 4)
    costs = ImaginedCost(dream, objective, seed=1)(given)
    assert costs.shape == (2, 3)
    same = ImaginedCost(dream, objective, seed=1, batch=2)(given)  # a candidate at a time
    torch.testing.assert_close(costs, same, atol=1e-4, rtol=1e-4)
    swapped = {"move": given["move"].flip(1)}
    torch.testing.assert_close(ImaginedCost(dream, objective, seed=1)(swapped).flip(1), costs, atol=1e-4, rtol=1e-4)
    with_memory, memory = outcomes[0], dream.memory
    dream.memory = None
    ImaginedCost(dream, objective, seed=1)(given)
    assert (outcomes[-1] - with_memory).abs().max() > 1e-3
    dream.memory = memory


def test_those_who_have_arrived_are_not_imagined(dream: Dream) -> None:
    """The others are judged as beside them, by their own goals and memories."""
    given, goal = candidates(2, 3, 4), ImageGoal(torch.stack([dream.latents[0], -dream.latents[1]]))
    costs = ImaginedCost(dream, goal)(given)
    counted: list[int] = []

    def objective(outcome: Outcome) -> torch.Tensor:
        counted.append(len(outcome.latents))
        return goal(outcome)

    second = ImaginedCost(dream, objective, only=torch.tensor([False, True]))(given)
    torch.testing.assert_close(second, torch.stack([torch.zeros(3), costs[1]]), atol=1e-4, rtol=1e-4)
    assert counted == [3]
    assert not ImaginedCost(dream, objective, only=torch.zeros(2, dtype=torch.bool))(given).any()
    assert counted == [3]


def test_equal_actions_cost_the_same(dream: Dream) -> None:
    """Candidates share their episode's noise: they differ by what they do."""
    one = candidates(2, 1, 6)
    costs = ImaginedCost(dream, ImageGoal(dream.latents))({"move": one["move"].repeat(1, 4, 1)})
    torch.testing.assert_close(costs, costs[:, :1].expand(2, 4), atol=1e-5, rtol=1e-5)


def test_an_image_goal_prefers_what_looks_like_it(tiny_world: WorldModel) -> None:
    goal = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    there = tiny_world.encode(goal[None, None])[0, 0]
    far = torch.randn(there.shape, generator=torch.Generator().manual_seed(1))
    latents = torch.stack([torch.stack([far, there]), torch.stack([there, far]), torch.stack([far, far])])
    outcome = Outcome(tiny_world, latents, {"move": torch.zeros(3, 2, dtype=torch.int64)})
    arrives, passes, never = ImageGoal.of(tiny_world, goal)(outcome).tolist()
    assert arrives < passes < never
    early = ImageGoal.of(tiny_world, goal, discount=0.5, last=0.0)(outcome)
    assert early[1] < early[0] < early[2]
    each = ImageGoal(torch.stack([there, far, far]))(outcome)  # one goal an episode, one candidate each
    assert each.argmax() != 2


def test_a_users_own_reward_is_maximised(dream: Dream, tiny_world: WorldModel, generators: Any) -> None:
    seen: list[tuple[tuple[int, ...], str]] = []

    def reward(frames: np.ndarray, actions: Mapping[str, np.ndarray], info: Mapping[str, Any]) -> np.ndarray:
        seen.append((frames.shape, str(frames.dtype)))
        return (actions["move"] == 2).astype(float)

    planner = make_planner("cem", tiny_world.action_spec, horizon=4, candidates=24, iterations=4, elites=4)
    plan = planner.plan(ImaginedCost(dream, RewardGoal(reward)), generators(2))
    assert seen[0] == ((48, 4, 32, 32, 3), "uint8")
    assert plan.actions["move"].tolist() == [[2, 2, 2, 2]] * 2
    assert plan.cost.tolist() == [-4.0, -4.0]
    with pytest.raises(ValueError, match=r"returns rewards \[48, 4\]"):
        planner.plan(ImaginedCost(dream, RewardGoal(lambda f, a, i: np.zeros(3))), generators(2))


def test_rewards_after_an_end_do_not_count(tiny_world: WorldModel) -> None:
    latents = torch.zeros(2, 3, *tiny_world.encode(np.zeros((1, 1, 32, 32, 3), np.uint8)).shape[2:])
    outcome = Outcome(tiny_world, latents, {"move": torch.zeros(2, 3, dtype=torch.int64)})
    ends = np.array([[False, True, False], [False, False, False]])
    cost = RewardGoal(lambda f, a, i: (np.array([[1.0, 2.0, 4.0]] * 2), ends), discount=0.5)(outcome)
    assert cost.tolist() == [-2.0, -3.0]


def test_a_dream_that_cannot_be_planned_in_says_why(tiny_world: WorldModel, generators: Any) -> None:
    planner = make_planner("random_shooting", tiny_world.action_spec, horizon=2, candidates=4)
    dream = Dream(tiny_world, 2)
    cost = ImaginedCost(dream, lambda outcome: outcome.latents.flatten(1).mean(1))
    with pytest.raises(RuntimeError, match="has not begun"):
        planner.plan(cost, generators(2))
    frames = np.zeros((1, 3, 32, 32, 3), np.uint8)
    dream.start(frames[:, :1], [[]], episodes=[0])
    dream.start(frames, [[0, 1]], episodes=[1])
    with pytest.raises(ValueError, match=r"\[1, 3\] frames"):
        planner.plan(cost, generators(2))
    wrong = ImaginedCost(Dream(tiny_world), lambda outcome: torch.zeros(3))
    wrong.dream.start(frames, [[0, 1]])
    with pytest.raises(ValueError, match=r"returns \[4\] costs"):
        planner.plan(wrong, generators(1))
