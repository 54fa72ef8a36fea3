"""Actions that are a row early or late are found, in all episodes or in one, and nothing else is taken for it."""

from __future__ import annotations

from pathlib import Path

import doctor_scenes as scenes
import numpy as np
import pytest

from slowfast.datasets.episode import Episode

Rows = dict[str, np.ndarray]


def shifted(rows: Rows, late: int, start: int = 0) -> Rows:
    """Rows from ``start`` on ``late`` rows later than they should be (earlier if negative)."""
    return {name: np.concatenate([column[:start], np.roll(column, late, 0)[start:]]) for name, column in rows.items()}


@pytest.mark.parametrize("kind", ["moving", "panning"])
@pytest.mark.parametrize("late", [1, -1, 2])
def test_a_slip_of_all_episodes_is_an_error_with_figures(
    tmp_path: Path, kind: str, late: int, request: pytest.FixtureRequest
) -> None:
    episodes = [scenes.edited(one, actions=shifted(one.actions, late)) for one in request.getfixturevalue(kind)]
    (finding,) = scenes.found(scenes.written(tmp_path / "data", episodes))
    assert (finding.check, finding.severity, finding.episode) == ("alignment", "error", None)
    way, sign = ("late", "+") if late > 0 else ("early", "-")
    assert f"{abs(late)} row{'s' if abs(late) > 1 else ''} {way}: actions[t{sign}{abs(late)}]" in finding.message
    assert "% of how the picture changes, against" in finding.message


@pytest.mark.parametrize("late", [1, -1])
def test_what_the_fix_says_makes_the_slip_go(tmp_path: Path, moving: list[Episode], late: int) -> None:
    slipped = [scenes.edited(one, actions=shifted(one.actions, late)) for one in moving]
    (finding,) = scenes.found(scenes.written(tmp_path / "slipped", slipped))
    frames, actions = (slice(0, -1), slice(1, None)) if late > 0 else (slice(1, None), slice(0, -1))
    order = ("actions", "frames") if late > 0 else ("frames", "actions")
    assert f"drop the first 1 of the {order[0]} and the last 1 of the {order[1]}" in finding.fix
    mended = [
        scenes.edited(one, frames=one.frames["camera"][frames], actions={"move": one.actions["move"][actions]})
        for one in slipped
    ]
    assert scenes.found(scenes.written(tmp_path / "mended", mended)) == []


def test_one_slipped_episode_is_found_among_others(tmp_path: Path, moving: list[Episode]) -> None:
    episodes = [*moving[:6], scenes.edited(moving[6], actions=shifted(moving[6].actions, 1)), *moving[7:]]
    (finding,) = scenes.found(scenes.written(tmp_path / "data", episodes))
    assert (finding.check, finding.severity, finding.episode, finding.frame) == ("alignment", "error", "000006", 0)
    assert "1 row late" in finding.message


def test_a_slip_within_an_episode_is_found_where_it_begins(tmp_path: Path, moving: list[Episode]) -> None:
    episodes = [*moving[:2], scenes.edited(moving[2], actions=shifted(moving[2].actions, -1, 30)), *moving[3:]]
    (finding,) = scenes.found(scenes.written(tmp_path / "data", episodes))
    assert (finding.check, finding.episode) == ("alignment", "000002")
    assert finding.frame is not None
    assert abs(finding.frame - 30) <= 3
    assert "1 row early" in finding.message


def test_a_robot_that_is_told_positions_is_judged_by_their_steps(tmp_path: Path, panning: list[Episode]) -> None:
    positions = [np.cumsum(one.actions["pan"], 0) for one in panning]
    wide = scenes.ActionSpec((scenes.Continuous("pan", (-300.0, -300.0), (300.0, 300.0), ("down", "right")),))
    clean = [
        scenes.edited(one, spec=wide, actions={"pan": place.astype(np.float32)})
        for one, place in zip(panning, positions, strict=True)
    ]
    assert scenes.found(scenes.written(tmp_path / "clean", clean)) == []
    slipped = [scenes.edited(one, actions=shifted(one.actions, 1)) for one in clean]
    (finding,) = scenes.found(scenes.written(tmp_path / "slipped", slipped), "alignment")
    assert "1 row late" in finding.message


def test_a_world_that_answers_late_is_a_warning_and_not_a_slip(tmp_path: Path) -> None:
    """A push goes on for two more steps, and is strongest one step later: most of a step is the last push's doing."""
    episodes = []
    for seed in range(10):
        random = np.random.default_rng((seed, 7))
        pushes = random.uniform(-4, 4, (60, 2))
        speed = 0.6 * pushes + np.r_[np.zeros((1, 2)), pushes[:-1]] + 0.3 * np.r_[np.zeros((2, 2)), pushes[:-2]]
        frames = scenes.walked(random, speed)
        actions = {"pan": pushes.astype(np.float32)}
        episodes.append(Episode({"camera": frames}, actions, scenes.CONTINUOUS, fps=10.0))
    (finding,) = scenes.found(scenes.written(tmp_path / "data", episodes))
    assert (finding.check, finding.severity) == ("alignment", "warning")
    assert "answers late" in finding.message


def test_actions_that_explain_nothing_are_a_note(tmp_path: Path, moving: list[Episode]) -> None:
    random = np.random.default_rng(5)
    episodes = [scenes.edited(one, actions={"move": random.integers(0, 5, 60)}) for one in moving]
    (finding,) = scenes.found(scenes.written(tmp_path / "data", episodes), "alignment")
    assert finding.severity == "note"
    assert "explain nothing of what is seen" in finding.message


def test_too_few_steps_are_said_and_not_judged(tmp_path: Path, moving: list[Episode]) -> None:
    slipped = [scenes.edited(one, actions=shifted(one.actions, 1)) for one in moving[:2]]
    (finding,) = scenes.found(scenes.written(tmp_path / "data", slipped), "alignment")
    assert finding.severity == "note"
    assert "too few" in finding.message


def test_episodes_too_short_to_judge_do_not_stop_the_rest_from_being_judged(
    tmp_path: Path, moving: list[Episode]
) -> None:
    slipped = [scenes.edited(one, actions=shifted(one.actions, 1)) for one in moving]
    short = scenes.moving(70, steps=5)
    findings = scenes.found(scenes.written(tmp_path / "data", [slipped[0], short, *slipped[1:]]), "alignment")
    assert [finding.severity for finding in findings] == ["error"]
    (note,) = scenes.found(scenes.written(tmp_path / "short", [short] * 3), "alignment")
    assert note.message.startswith("0 steps")


def test_a_single_long_episode_is_judged_too(tmp_path: Path) -> None:
    long = scenes.moving(1, steps=400)
    assert scenes.found(scenes.written(tmp_path / "clean", [long]), "alignment") == []
    slipped = scenes.edited(long, actions=shifted(long.actions, 1))
    (finding,) = scenes.found(scenes.written(tmp_path / "slipped", [slipped]), "alignment")
    assert finding.severity == "error"


def test_walls_that_show_no_motion_are_no_slip(tmp_path: Path, moving: list[Episode]) -> None:
    """Where nothing is to be seen no offset explains anything, and that is no evidence for another one."""
    frames = moving[9].frames["camera"].copy()
    frames[25:] = frames[25, :1, :1]
    frames[25:, ::4] //= 2  # stripes that no move changes
    episodes = [*moving[:9], scenes.edited(moving[9], frames=frames)]
    assert scenes.found(scenes.written(tmp_path / "data", episodes), "alignment") == []
