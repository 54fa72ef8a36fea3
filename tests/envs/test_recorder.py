"""The recorder writes what the environment showed and what was done in it: whole episodes, never a step too many."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

from slowfast.actions import ActionError, ActionSpec, Discrete, Language
from slowfast.datasets.collect import Collection, record_episode
from slowfast.datasets.episode import DatasetError
from slowfast.datasets.store import Store, write_episode
from slowfast.envs.wrappers import ChunkedActions, SlowFastRecorder

SIDE = (8, 12)


class Painter(gymnasium.Env[Any, Any]):
    """Frame t is painted with t; an episode ends after ``length`` steps. Gives away one array, and paints over it."""

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": 20}  # noqa: RUF012  # as Gymnasium has it
    action_space: spaces.Space[Any] = spaces.Discrete(3)

    def __init__(self, length: int = 5, vectors: bool = False, render_mode: str | None = None) -> None:
        self.length, self.vectors, self.render_mode, self.now = length, vectors, render_mode, 0
        box = spaces.Box(0, 255, (*SIDE, 3), np.uint8)
        self.observation_space = spaces.Box(0, 99, (2,), np.float32) if vectors else box
        self._canvas = np.zeros((*SIDE, 3), np.uint8)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.now = 0
        return self._seen(), self._info()

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        if np.ndim(action) == 0 and int(action) == 2:
            raise RuntimeError("the environment broke")
        self.now += 1
        return self._seen(), float(self.now), self.now >= self.length, False, self._info()

    def render(self) -> np.ndarray:
        return np.full((*SIDE, 3), 100 + self.now, np.uint8)

    def _seen(self) -> Any:
        self._canvas[:] = self.now
        return np.array([self.now, -self.now], np.float32) if self.vectors else self._canvas

    def _info(self) -> dict[str, Any]:
        return {"pose": [self.now, 0.5], "name": "painter", "ragged": [[1], [1, 2]], "instruction": "paint"}


def play(env: gymnasium.Env[Any, Any], actions: list[Any], seed: int | None = None) -> None:
    env.reset(seed=seed)
    for action in actions:
        env.step(action)


def test_an_episode_holds_what_was_seen_and_done(tmp_path: Path) -> None:
    with SlowFastRecorder(Painter(), tmp_path, metadata={"policy": "mine"}) as env:
        play(env, [0, 1, 1, 0, 1], seed=7)
    episode = Store(tmp_path)[0]
    assert episode.frames["camera"].shape == (6, *SIDE, 3)
    assert episode.frames["camera"][:, 0, 0, 0].tolist() == [0, 1, 2, 3, 4, 5]
    assert episode.actions["action"].tolist() == [0, 1, 1, 0, 1]
    assert episode.rewards.tolist() == [1, 2, 3, 4, 5]
    assert episode.terminations.tolist() == [False] * 4 + [True]
    assert not episode.truncations.any()
    assert episode.infos["pose"].tolist() == [[t, 0.5] for t in range(6)]
    assert list(episode.infos) == ["pose"]
    assert episode.fps == 20
    assert episode.metadata == {"environment": "Painter", "seed": 7, "instruction": "paint", "policy": "mine"}


def test_it_is_what_collecting_would_have_written(tmp_path: Path) -> None:
    collection = Collection("CartPole-v1", "slowfast.envs.policies:make_policy:random", steps=30)
    make = {"id": "CartPole-v1", "render_mode": "rgb_array"}

    class Pictures(gymnasium.ObservationWrapper[Any, Any, Any]):
        observation_space = spaces.Box(0, 255, (*SIDE, 3), np.uint8)

        def observation(self, observation: np.ndarray) -> np.ndarray:
            return (np.resize(np.abs(observation) * 50, (*SIDE, 3)) % 255).astype(np.uint8)

    collected = record_episode(Pictures(gymnasium.make(**make)), collection, 3)
    with SlowFastRecorder(Pictures(gymnasium.make(**make)), tmp_path) as env:
        play(env, collected.actions["action"].tolist(), seed=3)
    recorded = Store(tmp_path)[0]
    np.testing.assert_array_equal(recorded.frames["camera"], collected.frames["camera"])
    np.testing.assert_array_equal(recorded.rewards, collected.rewards)
    assert (recorded.spec, recorded.fps) == (collected.spec, collected.fps)
    assert recorded.metadata["environment"] == "CartPole-v1"


@pytest.mark.parametrize("ending", ["close", "reset"])
def test_what_is_broken_off_is_written_and_marked_as_truncated(tmp_path: Path, ending: str) -> None:
    env = SlowFastRecorder(Painter(), tmp_path)
    play(env, [0, 1, 1])
    assert not any(tmp_path.glob("episodes/*.h5"))
    env.reset() if ending == "reset" else env.close()
    episode = Store(tmp_path)[0]
    assert len(episode) == 3
    assert episode.truncations.tolist() == [False, False, True]
    assert not episode.terminations.any()
    env.close()
    assert len(Store(tmp_path)) == 1


def test_nothing_is_written_where_nothing_was_done(tmp_path: Path) -> None:
    with SlowFastRecorder(Painter(), tmp_path) as env:
        env.reset()
        env.reset()
    assert list(tmp_path.rglob("*.h5")) == []


def test_a_step_that_raised_is_in_no_episode(tmp_path: Path) -> None:
    env = SlowFastRecorder(Painter(), tmp_path)
    play(env, [0, 1])
    with pytest.raises(RuntimeError, match="broke"):
        env.step(2)
    env.step(1)
    env.close()
    episode = Store(tmp_path)[0]
    assert episode.actions["action"].tolist() == [0, 1, 1]
    assert episode.frames["camera"][:, 0, 0, 0].tolist() == [0, 1, 2, 3]


def test_an_action_that_the_spec_does_not_know_stops_before_the_environment_moves(tmp_path: Path) -> None:
    env = SlowFastRecorder(Painter(), tmp_path)
    play(env, [0])
    with pytest.raises(ActionError, match=r"takes 0\.\.2, got 5"):
        env.step(5)
    assert env.unwrapped.now == 1  # type: ignore[attr-defined]
    env.close()
    assert Store(tmp_path).lengths.tolist() == [1]


def test_episodes_follow_those_that_are_there(tmp_path: Path) -> None:
    for length in (3, 4):
        with SlowFastRecorder(Painter(length), tmp_path) as env:
            play(env, [0] * length)
            play(env, [1] * length)
            assert env.episodes == 2
    assert Store(tmp_path).lengths.tolist() == [3, 3, 4, 4]
    assert [path.name for path in sorted(tmp_path.glob("episodes/*"))] == [f"00000{i}.h5" for i in range(4)]
    (tmp_path / "episodes/000001.h5").unlink()
    with SlowFastRecorder(Painter(5), tmp_path) as env:
        play(env, [0] * 5)
    assert Store(tmp_path).lengths.tolist() == [3, 4, 4, 5]


def test_a_number_that_was_taken_meanwhile_is_passed_over(tmp_path: Path) -> None:
    with SlowFastRecorder(Painter(3), tmp_path) as env:
        play(env, [0] * 3)
        other = write_episode(tmp_path, Store(tmp_path)[0], number=1)
        before = other.read_bytes()
        play(env, [1] * 3)
    assert other.read_bytes() == before
    assert Store(tmp_path)[2].actions["action"].tolist() == [1, 1, 1]


def test_a_folder_with_other_actions_is_refused(tmp_path: Path) -> None:
    with SlowFastRecorder(Painter(), tmp_path) as env:
        play(env, [0])
    with pytest.raises(DatasetError, match="other actions"):
        SlowFastRecorder(Painter(), tmp_path, spec=ActionSpec((Discrete("move", ("a", "b", "c")),)))


def test_long_episodes_are_cut_where_one_ends_and_the_next_begins(tmp_path: Path) -> None:
    with SlowFastRecorder(Painter(9), tmp_path, max_frames=4) as env:
        play(env, [0, 1, 0, 1, 1, 1, 0, 0, 1])
        play(env, [0, 0, 1])
    store = Store(tmp_path)
    assert store.lengths.tolist() == [3, 3, 3, 3]
    assert [store[i].frames["camera"][:, 0, 0, 0].tolist() for i in range(3)] == [
        [0, 1, 2, 3],
        [3, 4, 5, 6],
        [6, 7, 8, 9],
    ]
    assert np.concatenate([store[i].actions["action"] for i in range(3)]).tolist() == [0, 1, 0, 1, 1, 1, 0, 0, 1]
    assert [bool(store[i].terminations[-1]) for i in range(4)] == [False, False, True, False]
    assert [bool(store[i].truncations[-1]) for i in range(4)] == [False, False, False, True]
    assert [store.metadata(i).get("part", 0) for i in range(4)] == [0, 1, 2, 0]


def test_what_render_shows_is_recorded_with_the_vectors_beside_it(tmp_path: Path) -> None:
    env = SlowFastRecorder(Painter(vectors=True, render_mode="rgb_array"), tmp_path, source="render")
    with env:
        play(env, [0, 1, 0, 0, 1])
    episode = Store(tmp_path)[0]
    assert episode.frames["camera"][:, 0, 0, 0].tolist() == [100, 101, 102, 103, 104, 105]
    assert episode.states["observation"].tolist() == [[t, -t] for t in range(6)]


def test_dictionaries_of_cameras_and_states_are_kept_apart(tmp_path: Path) -> None:
    class Dictionary(gymnasium.ObservationWrapper[Any, Any, Any]):
        observation_space = spaces.Dict(
            {"top": spaces.Box(0, 255, (*SIDE, 3), np.uint8), "height": spaces.Box(0, 1, (1,), np.float64)}
        )

        def observation(self, observation: np.ndarray) -> dict[str, np.ndarray]:
            return {"top": observation, "height": np.array([0.25])}

    with SlowFastRecorder(Dictionary(Painter()), tmp_path) as env:
        play(env, [0, 1])
    episode = Store(tmp_path)[0]
    assert list(episode.frames) == ["top"]
    assert episode.frames["top"][:, 0, 0, 0].tolist() == [0, 1, 2]
    assert episode.states["height"].tolist() == [[0.25]] * 3


def test_actions_are_called_what_the_environment_or_the_user_calls_them(tmp_path: Path) -> None:
    own = ActionSpec((Discrete("move", ("left", "right", "break")), Language("text", describes="move")))
    env = Painter()
    env.action_spec = own  # type: ignore[attr-defined]
    with SlowFastRecorder(env, tmp_path / "own") as recorder:
        play(recorder, [1, 0])
    assert Store(tmp_path / "own").spec == own
    assert Store(tmp_path / "own")[0].actions["text"].tolist() == ["right", "left"]
    named = ActionSpec((Discrete("turn", ("a", "b", "c")),))
    with SlowFastRecorder(Painter(), tmp_path / "named", spec=named) as recorder:
        play(recorder, [1, 0])
    assert Store(tmp_path / "named")[0].actions["turn"].tolist() == [1, 0]


def test_a_wrapper_that_changes_the_actions_is_recorded_with_its_own(tmp_path: Path) -> None:
    inner = Painter()
    inner.action_spec = ActionSpec((Discrete("move", ("left", "right", "break")),))  # type: ignore[attr-defined]
    push = spaces.Box(-1, 1, (2,), np.float32)
    env = gymnasium.wrappers.TransformAction(inner, lambda action: int(action[0] > 0), push)
    with SlowFastRecorder(env, tmp_path) as recorder:
        play(recorder, [np.array([0.5, -1]), np.array([-0.5, 1])])
    assert Store(tmp_path)[0].actions["action"].tolist() == [[0.5, -1], [-0.5, 1]]


def test_stepping_on_after_the_end_is_refused_and_not_silently_lost(tmp_path: Path) -> None:
    env = gymnasium.wrappers.Autoreset(SlowFastRecorder(Painter(3), tmp_path))
    play(env, [0] * 7)
    env.close()
    assert Store(tmp_path).lengths.tolist() == [3, 3]
    wrong = SlowFastRecorder(Painter(3), tmp_path)
    play(wrong, [0] * 3)
    with pytest.raises(gymnasium.error.ResetNeeded, match="wrappers that reset belong outside"):
        wrong.step(0)


@pytest.mark.parametrize(
    ("env", "options", "message"),
    [
        (Painter(vectors=True), {}, "expected uint8 .* images.*source='render'"),
        (Painter(), {"source": "render"}, "render_mode='rgb_array', this has None"),
        (Painter(), {"source": "screen"}, "expected 'observation' or 'render'"),
        (Painter(), {"max_frames": 1}, "max_frames has to be at least 2"),
        (ChunkedActions(Painter(), 2), {}, "MultiDiscrete.*say what the actions are with spec="),
    ],
)
def test_what_cannot_be_recorded_is_refused_at_once(
    tmp_path: Path, env: gymnasium.Env[Any, Any], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(DatasetError, match=message):
        SlowFastRecorder(env, tmp_path, **options)


def test_a_failed_write_leaves_no_part_of_an_episode(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from slowfast.datasets import hdf5

    def fail(*_: Any) -> Any:
        raise OSError("no space left")

    env = SlowFastRecorder(Painter(3), tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(hdf5, "to_arrays", fail)
        with pytest.raises(OSError, match="no space"):
            play(env, [0] * 3)
    assert list((tmp_path / "episodes").iterdir()) == []
    play(env, [1] * 3)
    env.close()
    assert Store(tmp_path).lengths.tolist() == [3]


def test_a_picture_that_cannot_be_had_ends_the_step_and_leaves_what_was_before(tmp_path: Path) -> None:
    class Blind(Painter):
        def render(self) -> np.ndarray:
            return super().render() if self.now < 3 else np.zeros((2, 2), np.uint8)

    env = SlowFastRecorder(Blind(vectors=True, render_mode="rgb_array"), tmp_path, source="render")
    play(env, [0, 1])
    with pytest.raises(DatasetError, match=r"render\(\) gave uint8 \(2, 2\), expected uint8 \[H, W, 3\]"):
        env.step(0)
    env.close()
    assert Store(tmp_path)[0].actions["action"].tolist() == [0, 1]
