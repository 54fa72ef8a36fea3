"""Following words in real rooms: what counts as obeyed, how far from the way, and the verb from end to end."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

from slowfast.cli import main
from slowfast.cli.follow import Follow
from slowfast.envs.doom_rooms.env import DoomRoomsEnv
from slowfast.envs.doom_rooms.motion import BACKWARD, FORWARD, MOVES, STAY, TURN_LEFT, TURN_RIGHT
from slowfast.envs.doom_rooms.splits import world_seeds
from slowfast.evaluation.acting.coming_home import Outing, pose
from slowfast.evaluation.follow.followers import Chance, Dreamt, Told, TrueVideo
from slowfast.evaluation.follow.starts import moves_said, starts, way_back
from slowfast.evaluation.follow.summary import summary, table
from slowfast.evaluation.follow.walks import Walk, Walks, follow
from slowfast.heads.inverse_dynamics import InverseDynamics, InverseDynamicsConfig
from slowfast.planning.subgoals import ListedSubGoals
from slowfast.world_model import WorldModel

OUT = ("turn left", "forward")


@pytest.fixture(scope="module")
def world(rooms_world_folder: Path) -> WorldModel:
    """With an inverse dynamics of random weights."""
    world = WorldModel.from_pretrained(rooms_world_folder)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        world.inverse_dynamics = InverseDynamics(InverseDynamicsConfig(4, world.action_spec, width=8)).eval()
    for parameter in world.inverse_dynamics.parameters():
        parameter.requires_grad_(False).mul_(4)
    return world


@pytest.fixture(scope="module")
def env(world: WorldModel) -> Iterator[DoomRoomsEnv]:
    env = DoomRoomsEnv(size=world.config.frame_size)
    yield env
    env.close()


@pytest.fixture(scope="module")
def away(env: DoomRoomsEnv) -> list[Outing]:
    """Two turns to the left and two steps forward away from the first view."""
    return starts(env, world_seeds("test", 60), 3, [m for m in moves_said(OUT) for _ in range(2)], walked=True)


class Stubborn:
    """Stands still, a step at a time, and keeps what it was told and shown."""

    def __init__(self) -> None:
        self.told: list[tuple[tuple[str, ...], int, tuple[int, ...]]] = []
        self.shown: list[tuple[tuple[int, ...], list[int]]] = []

    def decide(self, subgoals: Sequence[str], steps: int, episodes: Sequence[int], states: Any) -> np.ndarray:
        self.told.append((tuple(subgoals), steps, tuple(episodes)))
        return np.full((len(subgoals), 1), STAY)

    def see(self, frames: np.ndarray, moves: np.ndarray, episodes: Sequence[int]) -> None:
        self.shown.append((frames.shape, list(episodes)))


def test_a_way_is_undone_by_the_opposite_words() -> None:
    assert way_back(("turn left", "forward", "strafe left", "stay")) == (
        "stay",
        "strafe right",
        "backward",
        "turn right",
    )
    with pytest.raises(ValueError, match="does not know the sub-goal 'forwards'; did you mean 'forward'"):
        way_back(("forwards",))


def test_worlds_have_room_for_the_way(env: DoomRoomsEnv, away: list[Outing]) -> None:
    for start in away:
        assert start.frames.shape[0] == len(start.moves) + 1 == 5
        env.restore(start.home)
        assert (np.stack([env.step(int(move))[0] for move in start.moves]) == start.frames[1:]).all()
        for move in (BACKWARD, BACKWARD, TURN_RIGHT, TURN_RIGHT):
            env.step(move)
        assert env.position == pose(start.home), "nothing stood in the way"
    still = starts(env, world_seeds("test", 60), 2)
    assert [len(start.frames) for start in still] == [1, 1]
    with pytest.raises(ValueError, match="room for these 60 moves, 3 were asked for"):
        starts(env, world_seeds("test", 6), 3, [FORWARD] * 60)


def test_who_does_what_is_said_comes_back_to_the_first_pose(env: DoomRoomsEnv, away: list[Outing]) -> None:
    told: list[Any] = []
    walked = follow(env, away, Told(), ListedSubGoals(way_back(OUT)), 2, progress=lambda *it: told.append(it))
    for walk, start in zip(walked.walks, away, strict=True):
        assert walk.subgoals == ("backward", "turn right")
        assert walk.obeyed.all()
        assert tuple(walk.poses[-1]) == pose(start.home)
        assert walk.left == walk.turned_off == walk.off_the_way == 0
        assert walk.places.tolist() == [0, 1, 0, 1]
    assert told == [(1, None), (2, None)]


def test_who_does_something_else_is_left_where_it_is(env: DoomRoomsEnv, away: list[Outing]) -> None:
    stubborn = Stubborn()
    walked = follow(env, away, stubborn, ListedSubGoals(way_back(OUT)), 2)
    assert [steps for _, steps, _ in stubborn.told] == [2, 1, 2, 1], "it decides again until the sub-goal is over"
    assert stubborn.shown == [((3, 1, 32, 32, 3), [0, 1, 2])] * 4
    for walk, start in zip(walked.walks, away, strict=True):
        assert not walk.obeyed.any()
        assert walk.left == pytest.approx(np.hypot(start.away.x - start.home.x, start.away.y - start.home.y))
        assert walk.left > 60
        assert walk.turned_off == 45
        assert walk.off_the_way == pytest.approx((walk.left / 2 + 3 * walk.left) / 4, rel=0.02)
        assert walk.places.tolist() == [0, 0, 0, 0]


def test_worlds_may_be_told_different_things(env: DoomRoomsEnv, away: list[Outing]) -> None:
    """As a language model does that sees where each of them is."""

    class Looking:
        def next(self, task: str, done: Sequence[str], frame: np.ndarray | None = None) -> str | None:
            assert task == "stand in the light"
            first = np.array_equal(frame, away[0].frames[-1])  # it stands still, so this is all it ever sees
            wanted = ("turn right", "turn left") if first else ("stay",)
            return wanted[len(done)] if len(done) < len(wanted) else None

    stubborn = Stubborn()
    walked = follow(env, away, stubborn, Looking(), 1, task="stand in the light")
    assert [walk.subgoals for walk in walked.walks] == [("turn right", "turn left"), ("stay",), ("stay",)]
    assert stubborn.told[1] == (("turn left",), 1, (0,)), "who is done is asked nothing any more"
    assert [walk.obeyed.tolist() for walk in walked.walks] == [[False, False], [True], [True]]


def test_chance_is_drawn_for_each_world_alone(env: DoomRoomsEnv, away: list[Outing]) -> None:
    all_of_them = Chance(3, seed=4).decide(OUT, 50, [0, 1, 2], ())
    assert (Chance(3, seed=4).decide(OUT, 50, [1], ())[0] == all_of_them[1]).all()
    assert set(all_of_them.ravel().tolist()) == set(range(len(MOVES)))


def test_the_ceiling_reads_the_frames_that_the_words_lead_to(
    world: WorldModel, env: DoomRoomsEnv, away: list[Outing]
) -> None:
    states = [start.home for start in away]
    read = TrueVideo(world, env).decide(["turn left"] * 3, 2, [0, 1, 2], states)
    assert (read == world.read_actions(np.stack([start.frames[:3] for start in away]))["move"]).all()


def test_a_dream_plans_for_each_world_and_is_shown_what_came_of_it(
    world: WorldModel, env: DoomRoomsEnv, away: list[Outing]
) -> None:
    follower = Dreamt(world, away, world.new_memory().rule, execute=1, seed=3)
    assert follower.dream.memory is not None
    before = follower.dream.snapshot()
    planned = follower.decide(["backward"] * 3, 2, [0, 1, 2], ())
    after = follower.dream.snapshot()
    assert planned.shape == (3, 1), "one move of the two that were planned"
    assert all(torch.equal(own, after.tensors[name]) for name, own in before.tensors.items())

    again = Dreamt(world, away, world.new_memory().rule, execute=1, seed=3)
    walked = follow(env, away, again, ListedSubGoals(way_back(OUT)), 2)
    assert [walk.moves[0] for walk in walked.walks] == planned[:, 0].tolist()
    assert all(walk.places.tolist() == [0, 0, 0, 0] for walk in walked.walks)
    for walk, start, latents in zip(walked.walks, away, again.dream.latents, strict=True):
        env.restore(start.away)
        for move in walk.moves:
            seen, *_ = env.step(int(move))
        torch.testing.assert_close(latents, world.encode(seen[None, None])[0, 0], atol=1e-4, rtol=1e-4)
    assert again.dream.updates.min() > follower.dream.updates.max(), "what was seen was learned"


def test_the_summary_pairs_worlds() -> None:
    def walk(moves: Sequence[int], end: int) -> Walk:
        said, poses = np.array([TURN_LEFT, FORWARD]), np.array([[0, 0, 0], [0, 0, 0], [end, 0, 0]])
        return Walk(("turn left", "forward"), said, np.array(moves), np.array([0, 1]), poses, np.zeros((3, 3), int))

    good = Walks((walk([TURN_LEFT, FORWARD], 0), walk([TURN_LEFT, STAY], 10)), 1.0)
    bad = Walks((walk([TURN_RIGHT, STAY], 20), walk([TURN_RIGHT, STAY], 30)), 2.0)
    found = summary({"video plan, memory off": bad, "words": good}, "video plan, memory off")
    words = found["followers"]["words"]
    assert words["obeyed"]["value"] == 0.75
    assert words["left"] == {"value": 5.0, "low": 0.0, "high": 10.0}
    assert words["against"]["left"] == {"value": -20.0, "low": -20.0, "high": -20.0}
    assert words["by_place"] == [1.0, 0.5]
    assert words["by_word"]["forward"] == {"steps": 2, "obeyed": 0.5, "done": {"forward": 0.5, "stay": 0.5}}
    assert "against" not in found["followers"]["video plan, memory off"]
    assert "| words | 75 % [50, 100] | 5 [0, 10] |" in table(found)
    assert table(found).count("\n") == 3
    with pytest.raises(ValueError, match="nothing to sum up"):
        summary({"words": Walks((), 0.0)})


def test_the_verb_follows_a_way_back(
    world: WorldModel, tmp_path: Path, capsys: pytest.CaptureFixture, rooms_world_folder: Path
) -> None:
    world.save_pretrained(tmp_path / "world")
    arguments = ["follow", "--out", str(tmp_path / "out"), "--worlds", "2", "--steps", "1", "--sub-goals", *OUT]
    arguments += ["--retrace", "--memory", "{steps: 1}"]
    assert main([*arguments, "--world", str(tmp_path / "world")]) == 0
    result = json.loads((tmp_path / "out/follow.json").read_text())
    assert result["sub_goals"] == ["backward", "turn right"]
    assert set(result["followers"]) == {
        "random",
        "video plan, memory off",
        "video plan, memory temp_lora",
        "true video",
        "words",
    }
    assert result["followers"]["words"]["obeyed"]["value"] == 1
    assert result["followers"]["words"]["left"]["value"] == 0
    assert "did what was said" in capsys.readouterr().out
    assert main([*arguments, "--world", str(rooms_world_folder)]) == 2
    assert "`slowfast train inverse-dynamics` adds it" in capsys.readouterr().err


class Model(BaseHTTPRequestHandler):
    """A language model that wants one turn to the left, and keeps what it was asked."""

    asked: ClassVar[list[tuple[str | None, dict[str, Any]]]] = []

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.asked.append((self.headers["Authorization"], body))
        done = '["turn left"]' in json.dumps(body["messages"][1]).replace("\\", "")
        answer = json.dumps({"choices": [{"message": {"content": "[]" if done else '["turn left"]'}}]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *arguments: Any) -> None:
        pass


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    Model.asked.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), Model) as server:
        thread = Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("look", [False, True])
def test_the_verb_follows_a_language_model(
    world: WorldModel,
    tmp_path: Path,
    endpoint: str,
    look: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    world.save_pretrained(tmp_path / "world")
    monkeypatch.setenv("THE_KEY", "sk-123456\n")
    arguments = ["follow", "--world", str(tmp_path / "world"), "--out", str(tmp_path / "out"), "--worlds", "2"]
    arguments += ["--steps", "1", "--endpoint", endpoint, "--model", "a-model", "--task", "look left"]
    arguments += ["--key-from", "THE_KEY", "--followers", "words", *(["--look"] if look else [])]
    assert main(arguments) == 0
    result = json.loads((tmp_path / "out/follow.json").read_text())
    assert result["sub_goals"] == ({"words": [["turn left"]] * 2} if look else ["turn left"])
    assert len(Model.asked) == (4 if look else 1), "anew for each world and sub-goal, or once"
    assert all(key == "Bearer sk-123456" for key, _ in Model.asked)
    assert isinstance(Model.asked[0][1]["messages"][1]["content"], list if look else str), "with a picture, or without"
    written = "".join(path.read_text() for path in (tmp_path / "out").iterdir()) + "".join(capsys.readouterr())
    assert "sk-123456" not in written
    monkeypatch.delenv("THE_KEY")
    assert main(arguments) == 2
    assert "environment variable THE_KEY" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({}, "give one of the two"),
        ({"sub_goals": ("forward",), "endpoint": "http://here/v1"}, "give one of the two"),
        ({"endpoint": "http://here/v1", "task": "go"}, "the --model to ask"),
        ({"endpoint": "http://here/v1", "task": "go", "model": "m", "retrace": True}, "along listed --sub-goals"),
        ({"sub_goals": ("forward",), "look": True}, "there is none"),
        ({"sub_goals": ("forward",), "execute": 0}, "execute has to be at least 1"),
        ({"sub_goals": ("forward",), "key_from": "sk-123456"}, "takes the name of an environment variable"),
        ({"sub_goals": ("forward",), "followers": ("nobody",)}, "'nobody' is not known"),
        ({"sub_goals": ("forward",), "followers": ()}, "at least one of 'random'"),
    ],
)
def test_contradictions_are_refused_at_once(fields: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem) as refused:
        Follow(**fields)
    assert "sk-123456" not in str(refused.value)
