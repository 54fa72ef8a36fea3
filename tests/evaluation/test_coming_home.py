"""Coming home: what counts as home, who comes home, and the verb from end to end on a small untrained world."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from slowfast.cli import main
from slowfast.envs.doom_rooms.env import DoomRoomsEnv
from slowfast.envs.doom_rooms.motion import CIRCLE, Motion
from slowfast.envs.doom_rooms.splits import world_seeds
from slowfast.evaluation.acting.agents import Dreamer, Luck, Simulator, TrueCost
from slowfast.evaluation.acting.coming_home import ComingHome, Outing, is_home, outings, pose
from slowfast.evaluation.acting.trips import Trips, act_out, summary, table
from slowfast.planning import make_planner
from slowfast.planning.objectives import ImageGoal
from slowfast.world_model import WorldModel


@pytest.fixture(scope="module")
def world(rooms_world_folder: Path) -> WorldModel:
    return WorldModel.from_pretrained(rooms_world_folder)


@pytest.fixture(scope="module")
def env(world: WorldModel) -> Iterator[DoomRoomsEnv]:
    env = DoomRoomsEnv(size=world.config.frame_size)
    yield env
    env.close()


@pytest.fixture(scope="module")
def away(env: DoomRoomsEnv) -> list[Outing]:
    return outings(env, world_seeds("test", 60), 3, 3)


@pytest.fixture(scope="module")
def task(env: DoomRoomsEnv, away: list[Outing]) -> ComingHome:
    return ComingHome(env, away)


def test_an_outing_ends_away_from_home(env: DoomRoomsEnv, away: list[Outing]) -> None:
    for outing in away:
        assert outing.frames.shape[0] == len(outing.moves) + 1 == 4
        assert not is_home(pose(outing.away), pose(outing.home), env.motion)
        assert np.array_equal(env.restore(outing.home)[0], outing.frames[0])
        assert np.array_equal([env.step(int(move))[0] for move in outing.moves], outing.frames[1:])
    again = outings(env, world_seeds("test", 60), 3, 3)
    assert [outing.moves.tolist() for outing in again] == [outing.moves.tolist() for outing in away]
    with pytest.raises(ValueError, match="3 were asked for"):
        outings(env, world_seeds("test", 2), 3, 3)


def test_home_is_near_and_looks_the_same_way() -> None:
    motion = Motion(22.5, 32)
    assert is_home((0, 0, 100), (48, 0, 100), motion)
    assert not is_home((0, 0, 100), (49, 0, 100), motion)
    assert is_home((0, 0, CIRCLE - motion.turn), (0, 0, 0), motion)
    assert not is_home((0, 0, 2 * motion.turn), (0, 0, 0), motion)


def test_plans_in_the_real_world_lead_home_more_often_than_luck(world: WorldModel, task: ComingHome) -> None:
    planner = make_planner("icem", world.action_spec, horizon=4, candidates=48, iterations=3, elites=6)
    planned = act_out(task, Simulator(world, task, planner), 8)
    told: list[tuple[int, int]] = []
    lucky = act_out(task, Luck(world, task), 8, lambda *it: told.append(it))
    assert planned.success.sum() > lucky.success.sum()
    assert (planned.steps[planned.success] <= 8).all()
    assert told[-1][1] == 8
    again = act_out(task, Luck(world, task), 8)
    assert again.left.tolist() == lucky.left.tolist()


def test_the_true_cost_is_that_of_the_frames_that_follow(
    world: WorldModel, env: DoomRoomsEnv, away: list[Outing]
) -> None:
    outing = away[0]
    cost = TrueCost(world, env, outing.home, ImageGoal.of(world, outing.frames[3], last=1.0))
    moves = torch.tensor([[outing.moves.tolist(), [6, 6, 6], [int(outing.moves[0]), 6, 6]]])
    right, standing, _ = cost({"move": moves})[0].tolist()
    assert right < 1e-6 < standing
    assert cost({"move": moves})[0].tolist()[0] == right  # from what is known by now


def test_a_dreamer_is_shown_the_outing_and_what_came_of_its_moves(
    world: WorldModel, away: list[Outing], task: ComingHome
) -> None:
    planner = make_planner("random_shooting", world.action_spec, horizon=2, candidates=4)
    dreamer = Dreamer(world, task, planner, world.new_memory().rule)
    updates = int(dreamer.dream.updates[0])
    trips = act_out(task, dreamer, 3)
    assert trips.success.shape == (3,)
    assert int(dreamer.dream.updates[0]) > updates
    assert dreamer.dream.memory is not None
    assert isinstance(dreamer.goal, ImageGoal)
    torch.testing.assert_close(dreamer.goal.goal, world.encode(np.stack([o.frames[:1] for o in away]))[:, 0])


def test_the_summary_pairs_worlds(task: ComingHome) -> None:
    often = Trips(np.array([True, True, True, False]), np.array([2, 3, 4, 9]), np.array([0.0, 9, 9, 99]), 1.0)
    never = Trips(np.zeros(4, bool), np.full(4, 9), np.full(4, 99.0), 2.0)
    found = summary(task, {"dream, memory off": never, "simulator": often}, "dream, memory off")
    assert found["agents"]["simulator"]["success"]["value"] == 0.75
    assert found["agents"]["simulator"]["more_often"]["low"] > 0
    assert "more_often" not in found["agents"]["dream, memory off"]
    shown = table(found)
    assert "| simulator | 75 % [" in shown
    assert shown.count("\n") == 3


def test_the_verb_compares_all_agents(rooms_world_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    settings = "{horizon: 2, candidates: 4, iterations: 1, elites: 2}"
    arguments = ["plan", "--world", str(rooms_world_folder), "--out", str(tmp_path), "--settings", settings]
    assert main([*arguments, "--worlds", "2", "--away", "2", "--limit", "2"]) == 0
    result = json.loads((tmp_path / "plan.json").read_text())
    assert set(result["agents"]) == {"random", "dream, memory off", "dream, memory temp_lora", "simulator"}
    assert len(result["seeds"]) == 2
    assert "came home more often" in capsys.readouterr().out
    assert main([*arguments, "--agents", "nobody"]) == 2
    assert main([*arguments, "--worlds", "1", "--away", "2", "--agents", "instructed"]) == 2
    assert "slowfast/Tabletop-v0" in capsys.readouterr().err


def test_an_interrupted_comparison_goes_on_with_the_next_agent(
    rooms_world_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ["plan", "--world", str(rooms_world_folder), "--out", str(tmp_path), "--worlds", "2", "--away", "2"]
    arguments += ["--settings", "{horizon: 2, candidates: 4, iterations: 1, elites: 2}", "--agents", "random"]
    assert main([*arguments, "--limit", "2"]) == 0
    walked, original = [], Luck.act

    def spy(self: Luck, states: Any, out: Any) -> Any:
        walked.append(len(out))
        return original(self, states, out)

    monkeypatch.setattr(Luck, "act", spy)
    before = json.loads((tmp_path / "plan.json").read_text())["agents"]["random"]
    other = "dream, memory temp_lora of another world"
    assert main([*arguments, other, "simulator", "--limit", "2"]) == 0
    after = json.loads((tmp_path / "plan.json").read_text())["agents"]
    assert (after["random"], list(after)) == (before, ["random", other, "simulator"])
    assert not walked
    assert main([*arguments, "--limit", "3"]) == 0
    assert walked, "another limit is another comparison"
