"""Missing, constant, mis-scaled and unbalanced actions are found where they are."""

from __future__ import annotations

from pathlib import Path

import doctor_scenes as scenes
import numpy as np
import pytest

from slowfast.actions import ActionSpec, Continuous, Discrete, Keyboard
from slowfast.datasets.episode import Episode


def test_missing_actions_are_found_with_episode_and_frame(tmp_path: Path, moving: list[Episode]) -> None:
    moves = moving[3].actions["move"].copy()
    moves[20:23] = -1
    faulty = [*moving[:3], scenes.edited(moving[3], actions={"move": moves})]
    (finding,) = scenes.alarms(scenes.found(scenes.written(tmp_path / "data", faulty)))
    assert (finding.check, finding.severity) == ("missing-actions", "warning")
    assert (finding.episode, finding.frame, finding.seconds) == ("000003", 20, 2.0)
    assert "3 of 60 actions have no 'move'" in finding.message


def test_an_episode_without_any_action_is_an_error(tmp_path: Path, moving: list[Episode]) -> None:
    blank = scenes.edited(moving[1], actions={"move": np.full(60, -1)})
    (finding,) = scenes.found(scenes.written(tmp_path / "data", [moving[0], blank, moving[2]]), "missing-actions")
    assert (finding.severity, finding.episode) == ("error", "000001")


def test_a_set_without_actions_is_said_once(tmp_path: Path, moving: list[Episode]) -> None:
    blank = [scenes.edited(one, actions={"move": np.full(60, -1)}) for one in moving[:3]]
    (finding,) = scenes.alarms(scenes.found(scenes.written(tmp_path / "data", blank)))
    assert (finding.check, finding.severity, finding.episode) == ("missing-actions", "warning", None)


def test_an_axis_that_is_no_number_is_an_error(tmp_path: Path, panning: list[Episode]) -> None:
    pan = panning[2].actions["pan"].copy()
    pan[31, 1] = np.nan
    pan[40, 1] = np.inf
    faulty = [*panning[:2], scenes.edited(panning[2], actions={"pan": pan})]
    (finding,) = scenes.found(scenes.written(tmp_path / "data", faulty), "missing-actions")
    assert (finding.severity, finding.episode, finding.frame) == ("error", "000002", 31)
    assert "2 of 60 actions (right)" in finding.message


def test_a_dead_axis_is_named(tmp_path: Path, panning: list[Episode]) -> None:
    spec = ActionSpec((Continuous("pan", (-8, -8, -1), (8, 8, 1), ("down", "right", "grip")),))
    dead = [
        scenes.edited(one, spec=spec, actions={"pan": np.c_[one.actions["pan"], np.full(60, 0.5, np.float32)]})
        for one in panning[:3]
    ]
    (finding,) = scenes.alarms(scenes.found(scenes.written(tmp_path / "data", dead)))
    assert (finding.check, finding.severity) == ("constant-actions", "warning")
    assert "1 of 3 axes of 'pan' never change: grip = 0.5" in finding.message


def test_dead_keys_are_named(tmp_path: Path, moving: list[Episode]) -> None:
    spec = ActionSpec((Keyboard("keys", ("left", "right", "jump")),))
    keys = [np.c_[one.actions["move"] == 0, one.actions["move"] == 1, np.zeros(60)].astype(int) for one in moving[:3]]
    dead = [scenes.edited(one, spec=spec, actions={"keys": k}) for one, k in zip(moving, keys, strict=False)]
    (finding,) = scenes.found(scenes.written(tmp_path / "data", dead), "constant-actions")
    assert "1 of 3 keys of 'keys' never change: jump" in finding.message


def test_one_action_for_everything_is_an_error(tmp_path: Path, moving: list[Episode]) -> None:
    constant = [scenes.edited(one, actions={"move": np.full(60, 2)}) for one in moving[:3]]
    (finding,) = scenes.found(scenes.written(tmp_path / "data", constant), "constant-actions")
    assert (finding.severity, finding.episode) == ("error", None)


def test_an_episode_with_a_stuck_log_is_found(tmp_path: Path, moving: list[Episode]) -> None:
    stuck = scenes.edited(moving[4], actions={"move": np.full(60, 1)})
    (finding,) = scenes.found(scenes.written(tmp_path / "data", [*moving[:4], stuck]), "constant-actions")
    assert (finding.severity, finding.episode, finding.frame) == ("warning", "000004", 0)


def test_values_outside_their_bounds_are_an_error_with_the_first_frame(tmp_path: Path, panning: list[Episode]) -> None:
    pan = panning[1].actions["pan"].copy()
    pan[12, 0] = 300.0
    faulty = [panning[0], scenes.edited(panning[1], actions={"pan": pan})]
    (finding,) = scenes.found(scenes.written(tmp_path / "data", faulty), "action-scale")
    assert (finding.severity, finding.episode, finding.frame) == ("error", "000001", 12)
    assert "down reaches 300, declared are -8 to 8" in finding.message


def test_radians_where_degrees_are_declared_are_found(tmp_path: Path, panning: list[Episode]) -> None:
    spec = ActionSpec((Continuous("pan", (-180, -180), (180, 180), ("down", "right")),))
    small = [
        scenes.edited(one, spec=spec, actions={"pan": one.actions["pan"] / 6 * np.float32(3.1)}) for one in panning[:3]
    ]
    findings = scenes.found(scenes.written(tmp_path / "data", small), "action-scale")
    assert [finding.severity for finding in findings] == ["warning", "warning"]
    assert all("radians where degrees are declared" in finding.fix for finding in findings)


@pytest.mark.parametrize(("factor", "unit"), [(180 / np.pi, "degrees"), (np.pi / 180, "radians")])
def test_an_episode_in_another_unit_is_found(tmp_path: Path, panning: list[Episode], factor: float, unit: str) -> None:
    spec = ActionSpec((Continuous("pan", (-np.inf, -np.inf), (np.inf, np.inf), ("down", "right")),))
    mixed = [scenes.edited(one, spec=spec, actions=one.actions) for one in panning]
    mixed[7] = scenes.edited(mixed[7], actions={"pan": mixed[7].actions["pan"] * np.float32(factor)})
    (finding,) = scenes.found(scenes.written(tmp_path / "data", mixed), "action-scale")
    assert (finding.severity, finding.episode) == ("error", "000007")
    assert f"looks like {unit}" in finding.fix


def test_an_episode_in_which_little_is_done_is_no_other_unit(tmp_path: Path, panning: list[Episode]) -> None:
    quiet = [*panning[:9], scenes.edited(panning[9], actions={"pan": panning[9].actions["pan"] * np.float32(1e-4)})]
    assert scenes.found(scenes.written(tmp_path / "data", quiet), "action-scale") == []


def test_an_action_that_is_nearly_always_the_same_is_found(tmp_path: Path, moving: list[Episode]) -> None:
    random = np.random.default_rng(0)
    same = [
        scenes.edited(one, actions={"move": np.where(random.random(60) < 0.95, 1, one.actions["move"])})
        for one in moving
    ]
    warning, note = scenes.found(scenes.written(tmp_path / "data", same), "action-balance")
    assert warning.severity == "warning"
    assert "'move' is 'right' in 9" in warning.message
    assert note.severity == "note"


def test_an_action_that_hardly_ever_occurs_is_noted(tmp_path: Path, moving: list[Episode]) -> None:
    spec = ActionSpec((Discrete("move", (*scenes.MOVES, "jump")),))
    rare = [scenes.edited(one, spec=spec, actions=one.actions) for one in moving]
    (finding,) = scenes.found(scenes.written(tmp_path / "data", rare))
    assert (finding.check, finding.severity) == ("action-balance", "note")
    assert "jump 0.00%" in finding.message


def test_histograms_count_every_step(tmp_path: Path, panning: list[Episode]) -> None:
    summary = scenes.examined(scenes.written(tmp_path / "data", panning[:2])).summary
    histogram = summary["splits"][""]["measured"]["action-balance"]["pan"]
    assert histogram["steps"] == 120
    values = np.concatenate([one.actions["pan"][:, 0] for one in panning[:2]])
    assert sum(histogram["counts"]["down"]["counts"]) == 120
    assert histogram["counts"]["down"]["edges"][0] == pytest.approx(values.min())
    assert histogram["counts"]["down"]["edges"][-1] == pytest.approx(values.max())
