"""Planners on costs whose best actions are known, for every kind of action at once."""

from __future__ import annotations

import time
from typing import Any

import pytest
import torch

from slowfast.actions import ActionSpec, Continuous, Language
from slowfast.planning import PLANNERS, Budget, make_planner

SAMPLING = [name for name in PLANNERS if name != "gradient"]
HORIZON = 6


class KnownBest:
    """Costs grow with the distance from one known sequence, another for each episode and step."""

    def __init__(self, episodes: int, offset: int = 0) -> None:
        steps = torch.arange(HORIZON)[None] + torch.arange(episodes)[:, None] + offset  # [E, H]
        self.move = steps % 3
        self.speed = torch.stack([torch.sin(steps.float()) * 1.5, (steps % 4) / 4 + 0.1], -1)
        self.keys = torch.stack([steps % 2, (steps // 2) % 2], -1)
        self.calls: list[int] = []

    def __call__(self, actions: dict[str, torch.Tensor]) -> torch.Tensor:
        self.calls.append(actions["move"].shape[1])
        wrong = (actions["move"] != self.move[:, None]).float().mean(-1)
        far = (actions["speed"] - self.speed[:, None]).square().mean((-1, -2))
        held = (actions["keys"] != self.keys[:, None]).float().mean((-1, -2))
        return wrong + far + held


@pytest.mark.parametrize("name", ["cem", "icem", "mppi"])
def test_a_search_comes_near_to_what_is_best(name: str, spec: ActionSpec, generators: Any) -> None:
    settings = {"exponent": 0.0} if name == "icem" else {}  # the best steps here do not resemble their neighbours
    cost = KnownBest(2)
    planner = make_planner(name, spec, horizon=HORIZON, candidates=256, iterations=12, **settings)
    plan = planner.plan(cost, generators(2))
    luck = make_planner("random_shooting", spec, horizon=HORIZON, candidates=256 * 12).plan(KnownBest(2), generators(2))
    assert set(plan.actions) == {"move", "speed", "keys"}
    assert plan.actions["speed"].shape == (2, HORIZON, 2)
    assert (plan.cost < 0.3 * luck.cost).all()
    one = {part: own[:, None] for part, own in plan.actions.items()}
    torch.testing.assert_close(cost(one)[:, 0], plan.cost)


@pytest.mark.parametrize("name", SAMPLING)
def test_actions_are_valid_and_decided_by_their_own_generator(name: str, spec: ActionSpec, generators: Any) -> None:
    planner = make_planner(name, spec, horizon=HORIZON, candidates=32)
    seen: list[dict[str, torch.Tensor]] = []

    def cost(actions: dict[str, torch.Tensor]) -> torch.Tensor:
        seen.append(actions)
        return KnownBest(len(actions["move"]))(actions)

    both, alone = planner.plan(cost, generators(2)), planner.plan(cost, generators(1))
    for actions in seen:
        assert int(actions["move"].min()) >= 0
        assert int(actions["move"].max()) <= 2
        assert set(actions["keys"].unique().tolist()) <= {0, 1}
        assert (actions["speed"] >= torch.tensor([-2.0, 0.0])).all()
        assert (actions["speed"] <= torch.tensor([2.0, 1.0])).all()
    for part, own in alone.actions.items():
        assert torch.equal(own[0], both.actions[part][0])


@pytest.mark.parametrize("name", SAMPLING)
def test_a_warm_start_goes_on_from_what_is_left(name: str, spec: ActionSpec, generators: Any) -> None:
    planner = make_planner(name, spec, horizon=HORIZON, candidates=128, iterations=8)
    first = planner.plan(KnownBest(1), generators(1))
    left = first.after(1)
    assert torch.equal(left.actions["move"][:, :-1], first.actions["move"][:, 1:])
    moved = KnownBest(1, offset=1)
    quick = make_planner(name, spec, horizon=HORIZON, candidates=32, iterations=1)
    warm, cold = quick.plan(moved, generators(1), warm=left), quick.plan(moved, generators(1))
    if name == "random_shooting":
        assert torch.equal(warm.cost, cold.cost)
    else:
        assert float(warm.cost) < float(cold.cost)
    with pytest.raises(ValueError, match="0 to 6"):
        first.after(7)
    with pytest.raises(ValueError, match="warm start"):
        quick.plan(KnownBest(2), generators(2), warm=left)


def test_a_budget_ends_a_search_but_never_before_its_first_iteration(spec: ActionSpec, generators: Any) -> None:
    planner = make_planner("cem", spec, horizon=HORIZON, candidates=20, iterations=50)
    cost, told = KnownBest(1), []
    plan = planner.plan(cost, generators(1), budget=Budget(evaluations=65), progress=lambda *it: told.append(it))
    assert (plan.iterations, plan.evaluations, cost.calls) == (3, 60, [20, 20, 20])
    assert [(done, total) for done, total, _ in told] == [(1, 50), (2, 50), (3, 50)]
    assert planner.plan(cost, generators(1), budget=Budget(evaluations=1)).iterations == 1

    def slow(actions: dict[str, torch.Tensor]) -> torch.Tensor:
        time.sleep(0.02)
        return KnownBest(1)(actions)

    assert 1 <= planner.plan(slow, generators(1), budget=Budget(seconds=0.05)).iterations <= 4
    with pytest.raises(ValueError, match="seconds is above 0"):
        Budget(seconds=0)


def test_icem_keeps_elites_and_draws_fewer_and_fewer(spec: ActionSpec, generators: Any) -> None:
    cost = KnownBest(1)
    planner = make_planner("icem", spec, horizon=HORIZON, candidates=64, elites=8, iterations=5, decay=2.0)
    plan = planner.plan(cost, generators(1))
    assert cost.calls == [64, 32, 16, 16, 16]
    assert plan.state.elites["move"].shape == (1, 2, HORIZON)


def test_what_costs_infinitely_much_is_never_chosen(spec: ActionSpec, generators: Any) -> None:
    def forbidden(actions: dict[str, torch.Tensor]) -> torch.Tensor:
        return torch.where((actions["move"] == 0).any(-1), torch.inf, KnownBest(1)(actions))

    for name in SAMPLING:
        plan = make_planner(name, spec, horizon=2, candidates=64).plan(_first(forbidden, 2), generators(1))
        assert (plan.actions["move"] != 0).all()
        assert plan.cost.isfinite().all()


def _first(cost: Any, steps: int) -> Any:
    """``cost`` for the first ``steps`` steps of the known best alone."""

    def short(actions: dict[str, torch.Tensor]) -> torch.Tensor:
        best = KnownBest(len(actions["move"]))
        wrong = (actions["move"] != best.move[:, None, :steps]).float().mean(-1)
        return torch.where((actions["move"] == 0).any(-1), torch.inf, wrong)

    return short


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda a: torch.zeros(1, 3), r"\[1, 64\]"),
        (lambda a: torch.full((1, 64), float("nan")), "NaN"),
        (lambda a: torch.full((1, 64), torch.inf), "every candidate"),
    ],
)
def test_a_cost_that_cannot_be_used_is_refused(answer: Any, message: str, spec: ActionSpec, generators: Any) -> None:
    with pytest.raises(ValueError, match=message):
        make_planner("cem", spec, candidates=64).plan(answer, generators(1))


def test_gradients_find_continuous_actions_in_few_evaluations(generators: Any) -> None:
    spec = ActionSpec((Continuous("speed", (-2.0, 0.0), (2.0, 1.0)),))
    best = KnownBest(2).speed

    def cost(actions: dict[str, torch.Tensor]) -> torch.Tensor:
        return (actions["speed"] - best[:, None]).square().mean((-1, -2))

    planner = make_planner("gradient", spec, horizon=HORIZON, candidates=4, iterations=60)
    plan = planner.plan(cost, generators(2))
    luck = make_planner("random_shooting", spec, horizon=HORIZON, candidates=240).plan(cost, generators(2))
    assert plan.evaluations == 240
    assert (plan.cost < 0.05 * luck.cost).all()
    again = make_planner("gradient", spec, horizon=HORIZON, iterations=1).plan(cost, generators(2), warm=plan)
    assert (again.cost < 0.2 * luck.cost).all()
    with pytest.raises(ValueError, match="no gradient"):
        planner.plan(lambda actions: cost(actions).detach(), generators(2))


def test_what_cannot_be_planned_is_said(spec: ActionSpec, generators: Any) -> None:
    with pytest.raises(ValueError, match="there is no planner 'cmaes'"):
        make_planner("cmaes", spec)
    with pytest.raises(ValueError, match="horizons"):
        make_planner("cem", spec, horizons=3)
    with pytest.raises(ValueError, match="'move' is not"):
        make_planner("gradient", spec)
    with pytest.raises(ValueError, match="elites"):
        make_planner("cem", spec, candidates=4, elites=5)
    words = ActionSpec((Language("text"),))
    with pytest.raises(ValueError, match="cannot be searched"):
        make_planner("cem", words).plan(lambda a: torch.zeros(1, 64), generators(1))
    free = ActionSpec((Continuous("speed", (float("-inf"),), (1.0,)),))
    with pytest.raises(ValueError, match="no bounds"):
        make_planner("cem", free).plan(lambda a: torch.zeros(1, 64), generators(1))
