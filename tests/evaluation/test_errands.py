"""Errands on the table: where they begin, who runs them, and the verb from end to end on a small untrained world."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from slowfast.cli import main
from slowfast.evaluation.acting.agents import Dreamer, Luck, Scripted, Simulator
from slowfast.evaluation.acting.tasks import make_task
from slowfast.evaluation.acting.trips import act_out
from slowfast.planning import make_planner
from slowfast.planning.language_goal import LanguageGoal
from slowfast.world_model import WorldModel

pytest.importorskip("mujoco", reason="Tabletop needs the extra mujoco")

from slowfast.envs.tabletop.env import TabletopEnv
from slowfast.envs.tabletop.moves import STAY
from slowfast.envs.tabletop.splits import world_seeds
from slowfast.evaluation.acting.errands import SEEN, Errands, errands

ENV = "slowfast/Tabletop-v0"


@pytest.fixture(scope="module")
def world(table_world_folder: Path) -> WorldModel:
    return WorldModel.from_pretrained(table_world_folder)


@pytest.fixture(scope="module")
def task(world: WorldModel) -> Iterator[Errands]:
    try:
        with make_task(ENV, world, "validation", 3, 4) as task:
            assert isinstance(task, Errands)
            yield task
    except RuntimeError as error:
        pytest.skip(f"no OpenGL to draw with: {error}")


def test_an_errand_is_as_many_moves_from_done_as_was_asked(task: Errands) -> None:
    assert task.frames.shape == (3, SEEN + 1, 32, 32, 3)
    assert task.moves.shape == (3, SEEN)
    assert all(task.left(number, state) > 0 for number, state in enumerate(task.states))
    done = act_out(task, Scripted(task, "instructed"), 8)
    assert done.success.all()
    assert (done.steps == 4).all()
    assert not done.left.any()


def test_frames_and_moves_lead_to_where_an_errand_begins(task: Errands) -> None:
    env: TabletopEnv = task.env
    for frames, moves, state, seed in zip(task.frames, task.moves, task.states, task.worlds, strict=True):
        assert np.array_equal(state.observation, frames[-1])
        whole = errands(env, [seed], 1, 0)[0]
        assert whole.moves.tolist() == [STAY] * SEEN
        assert state.goal == whole.state.goal
        env.restore(state)
        assert np.array_equal(env.step(STAY)[0].shape, frames[-1].shape)
        assert set(moves.tolist()) <= set(range(7))


def test_without_enough_errands_it_says_how_many_there_are(task: Errands) -> None:
    with pytest.raises(ValueError, match="only 0 of the given tables ask for 47 moves"):
        errands(task.env, world_seeds("validation", 2), 1, 47)


def test_everyone_can_be_sent(world: WorldModel, task: Errands) -> None:
    planner = make_planner("random_shooting", world.action_spec, horizon=2, candidates=3)
    agents = (
        Luck(world, task),
        Dreamer(world, task, planner, None),
        Dreamer(world, task, planner, world.new_memory().rule),
        Simulator(world, task, planner),
    )
    for agent in agents:
        trips = act_out(task, agent, 2)
        assert trips.success.shape == trips.left.shape == (3,)
        assert ((trips.left == 0) == trips.success).all()
    goal = task.goal(world)
    assert isinstance(goal, LanguageGoal)
    assert list(goal.words) == task.words


def test_the_verb_sends_them_to_the_worlds_own_environment(
    table_world_folder: Path, tmp_path: Path, task: Errands, capsys: pytest.CaptureFixture
) -> None:
    settings = "{horizon: 2, candidates: 4, iterations: 1, elites: 2}"
    arguments = [
        "plan",
        "--world",
        str(table_world_folder),
        "--out",
        str(tmp_path),
        "--settings",
        settings,
        "--worlds",
        "2",
    ]
    arguments += ["--split", "validation", "--away", "4", "--limit", "4", "--goal", "{last: 1.0}"]
    agents = ["random", "dream, memory off", "simulator", "instructed"]
    assert main([*arguments, "--agents", *agents]) == 0
    result = json.loads((tmp_path / "plan.json").read_text())
    assert list(result["agents"]) == agents
    assert result["config"]["env"] == ENV
    assert result["seeds"] == task.worlds[:2]
    assert result["agents"]["instructed"]["success"]["value"] == 1.0
    assert "did as told" in capsys.readouterr().out


def test_other_environments_have_no_task(
    table_world_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    assert main(["plan", "--world", str(table_world_folder), "--env", "CartPole-v1", "--out", str(tmp_path)]) == 2
    assert "CartPole-v1" in capsys.readouterr().err
