"""RLDS steps: alignment, and every form of leaf."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from clips import counted, counting
from rlds_episodes import encoded, episode, read, step

from slowfast.actions import ActionSpec, Continuous, Discrete
from slowfast.datasets.episode import DatasetError
from slowfast.datasets.ingest.readers.rlds import from_steps


def test_actions_follow_their_observations_and_the_last_steps_action_and_reward_are_dropped() -> None:
    reader = from_steps([episode(4), episode(6, first=50)], fps=10)
    recording = reader.read(1)
    assert counted(np.stack(list(recording.frames["image"]()))) == [50, 51, 52, 53, 54, 55]
    np.testing.assert_allclose(recording.actions["action"][:, 0], [0, 0.1, 0.2, 0.3, 0.4], rtol=1e-6)
    assert recording.rewards.tolist() == [0, 1, 2, 3, 4]
    assert recording.terminations.tolist() == [False] * 4 + [True]
    assert not recording.truncations.any()
    assert recording.states["state"].tolist() == [[t, 50] for t in range(6)]
    assert recording.actions["instruction"].tolist() == ["put it down"] * 5
    assert recording.metadata["instruction"] == "put it down"
    assert recording.fps == pytest.approx(10)
    assert (len(reader), reader.name(1)) == (2, "episode 1")


def test_an_episode_whose_last_step_is_not_terminal_was_truncated() -> None:
    recording = read(episode(is_terminal=False))
    assert not recording.terminations.any()
    assert recording.truncations.tolist() == [False] * 4 + [True]


@pytest.mark.parametrize("format", ["PNG", "JPEG"])
def test_pictures_may_be_encoded_nested_grey_or_an_array_of_bytes(format: str) -> None:
    steps = []
    for t in range(3):
        picture = counting(1, 32, 7 + t)[0]
        inner = {"left": encoded(picture, format), "right": np.array(encoded(picture, format), object)}
        steps.append(step(t, 3, observation={"cameras": inner, "grey": picture[..., :1]}))
    recording = read({"steps": steps})
    assert set(recording.frames) == {"cameras.left", "cameras.right", "grey"}
    for frames in recording.frames.values():
        assert counted(np.stack(list(frames()))) == [7, 8, 9]


def test_image_keys_choose_the_cameras_and_an_unknown_one_is_named() -> None:
    def with_depth(t: int) -> dict[str, Any]:
        return {"front": counting(1)[0], "depth": np.zeros((8, 8, 3), np.uint8), "far": np.zeros((8, 8, 1), np.float32)}

    steps = {"steps": [step(t, 3, observation=with_depth(t)) for t in range(3)]}
    assert set(read(steps, image_keys=["front"]).frames) == {"front"}
    assert set(read(steps, image_keys=["observation/front"]).frames) == {"front"}
    with pytest.raises(DatasetError, match=r"observation/front.*no image 'side'"):
        read(steps, image_keys=["side"])
    with pytest.raises(DatasetError, match=r"observation/far is float32 \(8, 8, 1\); expected a picture"):
        read(steps, image_keys=["far"])


def test_a_dictionary_of_actions_becomes_a_component_each() -> None:
    action = {
        "world": {"xyz": np.array([1, 2, 3.0])},
        "grip": np.array([True]),
        "say": b"hello",
    }
    reader = from_steps([episode(action=action)], fps=10)
    kinds = {part.name: part.kind for part in reader.spec.components}
    assert kinds == {"grip": "keyboard", "say": "language", "world.xyz": "continuous", "instruction": "language"}
    recording = reader.read(0)
    assert recording.actions["world.xyz"].tolist() == [[1, 2, 3]] * 5
    assert recording.actions["say"].tolist() == ["hello"] * 5
    only = from_steps([episode(action=action)], fps=10, action="action/world/xyz")
    assert [part.name for part in only.spec.components] == ["xyz", "instruction"]


def test_bounds_are_not_guessed_from_one_episode_and_choices_need_names_or_a_spec() -> None:
    bounds: Any = from_steps([episode()], fps=10).spec["action"]
    assert (bounds.low, bounds.high) == ((-np.inf,) * 2, (np.inf,) * 2)
    spec = ActionSpec((Continuous("action", (-1.0,) * 2, (1.0,) * 2),))
    assert from_steps([episode()], fps=10, spec=spec).read(0).spec == spec
    with pytest.raises(DatasetError, match="a choice of how many"):
        from_steps([episode(action=np.int64(1))], fps=10)
    named = from_steps([episode(action=np.int64(1))], fps=10, labels=["left", "right"])
    assert named.spec["action"] == Discrete("action", ("left", "right"))
    assert named.read(0).actions["action"].tolist() == [1] * 5


def test_what_is_said_of_an_episode_as_a_whole_is_kept_as_far_as_json_holds_it() -> None:
    said = {"episode_metadata": {"file_path": b"a/b.npy", "success": np.bool_(True), "map": np.zeros((9, 9))}}
    assert read({**episode(), **said}).metadata == {
        "episode_metadata/file_path": "a/b.npy",
        "episode_metadata/success": True,
        "instruction": "put it down",
    }


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda steps: steps.insert(2, steps.pop()), "step 2 is the last .* step 3 follows"),
        (lambda steps: steps[3].update(is_first=True), "step 3 is the first"),
        (lambda steps: steps[3].pop("action"), "step 3: no action; it has"),
        (lambda steps: steps[3].update(action=np.zeros(5)), "action changes its shape"),
        (lambda steps: steps[3].update(action=np.array([np.nan, 0])), "row 3 and 0 more .* not finite"),
        (lambda steps: steps[3].update(action=[[1], [1, 2]]), "no array"),
        (lambda steps: steps[3].update(reward=[1, 2]), "reward changes its shape"),
        (lambda steps: steps[3].update(is_last="yes"), "is_last is <U3"),
        (
            lambda steps: steps[3]["observation"].update(image=counting(1, 24)[0]),
            "the picture is 24x24, the first 16x16",
        ),
        (lambda steps: steps[3]["observation"].update(image=b"\xff\xd8\xffjunk"), "cannot be decoded"),
        (lambda steps: steps[3].update(observation=None), "step 3: no observation/image"),
        (lambda steps: steps.__setitem__(3, "x"), "step 3: expected a dictionary, got str"),
        (lambda steps: steps.__delitem__(slice(1, 6)), "1 steps; an episode needs at least 2"),
    ],
)
def test_a_bad_episode_is_named_with_its_step_and_takes_no_other_with_it(change: Any, said: str) -> None:
    bad = episode()
    change(bad["steps"])
    reader = from_steps([episode(), bad, episode(4)], fps=10)
    with pytest.raises(DatasetError, match=f"episode 1.*{said}"):
        reader.read(1)
    assert len(reader.read(2).times) == 4
