"""The table's contract: spaces, actions, pushing and gripping, goals, rewards, snapshots."""

from __future__ import annotations

import gc
import warnings
from collections.abc import Iterator

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import slowfast  # noqa: F401 - registers the ids
from slowfast.actions import Continuous, Discrete, Language

pytest.importorskip("mujoco", reason="Tabletop needs the extra mujoco")

from slowfast.envs.tabletop.env import TabletopEnv
from slowfast.envs.tabletop.goals import AT_SIDE, TOGETHER, goals_of
from slowfast.envs.tabletop.moves import AWAY, GRIP, LEFT, NEAR, RELEASE, RIGHT, STAY
from slowfast.envs.tabletop.scene import CUBES, HALF_EDGE, HALF_TABLE, REACH, ROD_RADIUS


@pytest.fixture(scope="module")
def env() -> Iterator[TabletopEnv]:
    made = TabletopEnv(endless=True, render_mode="rgb_array")
    try:
        made.reset(seed=0)
    except RuntimeError as error:
        pytest.skip(f"no OpenGL to draw with: {error}")
    yield made
    made.close()


def lay(env: TabletopEnv, gripper: tuple[float, float], *cubes: tuple[float, float]) -> None:
    """Places of gripper and cubes, cubes straight; those that are not named lie in the far corners, out of the way."""
    away = [(-0.2, 0.2), (0.2, 0.2), (0.0, 0.2)]
    places = [*cubes, *away[len(cubes) :]]
    env.simulator.data.qpos[:] = [*gripper, *(value for place in places for value in (*place, 0.0))]
    env.simulator.data.qvel[:] = 0


def test_gymnasium_makes_it_and_its_checker_passes(env: TabletopEnv) -> None:
    made = gymnasium.make("slowfast/Tabletop-v0", render_mode="rgb_array", max_episode_steps=3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", message=".*human.*")
        check_env(made.unwrapped)
    made.reset(seed=0)
    assert [made.step(STAY)[3] for _ in range(3)] == [False, False, True]
    made.close()
    made.close()


def test_actions_have_names_and_words(env: TabletopEnv) -> None:
    move, text = env.action_spec.components
    assert isinstance(move, Discrete)
    assert isinstance(text, Language)
    assert text.describes == "move"
    assert move.labels == ("move left", "move right", "move away", "move near", "grip", "release", "stay")
    assert env.action_space == gymnasium.spaces.Discrete(7)
    with pytest.raises(ValueError, match=r"not in 0\.\.6"):
        env.step(7)


def test_each_move_takes_the_gripper_a_step_as_its_name_says(env: TabletopEnv) -> None:
    env.reset(seed=0)
    for move, step in {LEFT: (-0.04, 0), RIGHT: (0.04, 0), AWAY: (0, 0.04), NEAR: (0, -0.04), STAY: (0, 0)}.items():
        lay(env, (0.0, -0.1))
        assert env.step(move)[4]["gripper"] == pytest.approx((step[0], -0.1 + step[1]), abs=1e-3)


def test_left_is_left_and_away_is_up_in_the_picture(env: TabletopEnv) -> None:
    """The black rod's pixels, not only the numbers."""

    def rod(frame: np.ndarray) -> np.ndarray:
        return np.argwhere(frame.max(-1) < 25).mean(0)

    env.reset(seed=5)
    lay(env, (0.0, -0.05))
    here = rod(env.step(STAY)[0])
    for move, (row, column) in {LEFT: (0, -1), RIGHT: (0, 1), AWAY: (-1, 0), NEAR: (1, 0)}.items():
        lay(env, (0.0, -0.05))
        assert (rod(env.step(move)[0]) - here) @ (row, column) > 2


def test_the_gripper_stays_in_reach_and_cubes_stay_inside_the_rim(env: TabletopEnv) -> None:
    env.reset(seed=1)
    lay(env, (-0.1, 0.0), (0.0, 0.0))
    for _ in range(14):
        info = env.step(RIGHT)[4]
    cube = info["cubes"][0]
    assert cube[0] == pytest.approx(HALF_TABLE - HALF_EDGE, abs=0.003)
    assert info["gripper"][0] == pytest.approx(HALF_TABLE - 2 * HALF_EDGE - ROD_RADIUS, abs=0.006)
    lay(env, (0.0, -0.1))
    for _ in range(9):
        info = env.step(RIGHT)[4]
    assert info["gripper"][0] == pytest.approx(REACH, abs=1e-3)


def test_an_open_gripper_pushes_and_only_a_closed_one_pulls(env: TabletopEnv) -> None:
    env.reset(seed=1)
    for grip, moved in ((False, 0.0), (True, -0.08)):
        lay(env, (-HALF_EDGE - ROD_RADIUS - 0.03, 0.0), (0.0, 0.0))
        pushed = env.step(RIGHT)[4]["cubes"][0, 0]
        assert 0.005 < pushed < 0.03
        if grip:
            assert env.step(GRIP)[4]["gripping"]
        held = env.simulator.cubes[0, 0]
        env.step(LEFT)
        assert env.step(LEFT)[4]["cubes"][0, 0] - held == pytest.approx(moved, abs=0.012)
        assert not env.step(RELEASE)[4]["gripping"]


def test_the_gripper_shows_whether_it_grips(env: TabletopEnv) -> None:
    def pink(frame: np.ndarray) -> int:
        red, green, blue = np.moveaxis(frame.astype(int), -1, 0)
        return int(((red > 100) & (blue > 70) & (green < 70)).sum())

    open_frame, _ = env.reset(seed=3)
    assert pink(open_frame) == 0
    assert pink(env.step(GRIP)[0]) > 4
    assert pink(env.step(RELEASE)[0]) == 0


def test_what_is_left_alone_does_not_move(env: TabletopEnv) -> None:
    for seed in range(4):
        start, info = env.reset(seed=seed)
        for _ in range(5):
            frame, *_, now = env.step(STAY)
        assert np.array_equal(frame, start)
        assert np.abs(now["cubes"] - info["cubes"]).max() < 1e-6


def test_seeds_lay_different_tables_and_colours_are_seen_where_the_cubes_are(env: TabletopEnv) -> None:
    colours, frames = set(), set()
    for seed in range(12):
        frame, info = env.reset(seed=seed)
        frames.add(frame.tobytes())
        colours.add(info["colours"])
        apart = np.linalg.norm(info["cubes"][:, None, :2] - info["cubes"][None, :, :2], axis=-1)
        assert apart[np.triu_indices(CUBES, 1)].min() > 0.1
        channels = {"red": (1, 0, 0), "green": (0, 1, 0), "blue": (0, 0, 1), "yellow": (1, 1, 0)}
        for name, place in zip(info["colours"], info["cubes"], strict=True):
            wanted = np.array(channels[name], bool)
            vivid = (frame > 1.6 * frame.min(-1, keepdims=True)) == wanted
            column = np.argwhere(vivid.all(-1) & (frame.max(-1) > 60))[:, 1].mean()
            assert column == pytest.approx(31.5 + place[0] * 118, abs=6)
    assert len(frames) == 12
    assert len(colours) > 6


def test_continuous_motion_is_clipped_to_one_move(env: TabletopEnv) -> None:
    made = TabletopEnv(continuous=True, step_metres=0.03, endless=True)
    motion = made.action_spec["motion"]
    assert isinstance(motion, Continuous)
    assert motion.labels == ("right_metres", "away_metres", "grip")
    made.reset(seed=0)
    lay(made, (0.0, -0.1))
    info = made.step(np.array([-1.0, 0.02, 1.0], np.float32))[4]
    assert info["gripper"] == pytest.approx((-0.03, -0.08), abs=1e-3)
    assert info["gripping"]
    assert not made.step(np.array([0.0, 0.0, 0.0], np.float32))[4]["gripping"]
    with pytest.raises(ValueError, match="three finite numbers"):
        made.step(np.array([0.0, np.nan, 0.0]))
    made.close()


def test_every_goal_says_which_cube_goes_where(env: TabletopEnv) -> None:
    goals = goals_of(("red", "blue", "green"))
    assert len(goals) == 3 * 4 + 3 * 2
    cubes = np.array([[0.0, 0.0, 0.0], [0.1, 0.0, 0.0], [-0.2, -0.2, 0.0]])
    assert goals["push the red cube to the left side"].way(cubes) == pytest.approx((-AT_SIDE, 0))
    assert goals["push the red cube to the far side"].way(cubes) == pytest.approx((0, AT_SIDE))
    assert goals["push the green cube to the near side"].distance(cubes) == 0
    assert goals["push the green cube to the right side"].distance(cubes) == pytest.approx(AT_SIDE + 0.2)
    assert goals["bring the red cube to the blue cube"].way(cubes) == pytest.approx((0.1 - TOGETHER, 0))
    assert goals["bring the blue cube to the red cube"].way(cubes) == pytest.approx((TOGETHER - 0.1, 0))


def test_reaching_the_goal_is_rewarded_and_ends_the_episode_unless_it_is_endless(env: TabletopEnv) -> None:
    strict = TabletopEnv(reward="progress")
    colour = strict.reset(seed=0)[1]["colours"][0]
    text = f"push the {colour} cube to the right side"
    outcomes = {}
    for made in (strict, env):
        info = made.reset(seed=0, options={"goal": text})[1]
        assert info["instruction"] == text
        lay(made, (0.0, 0.0), (0.07, 0.0))
        outcomes[made] = [made.step(RIGHT)[1:] for _ in range(3)]
    first, second, _ = outcomes[strict]
    assert [first[1], second[1]] == [False, True]
    assert (first[3]["success"], second[3]["success"]) == (False, True)
    assert 0 < first[0] < 0.2
    assert second[0] == pytest.approx(1 + first[3]["distance"] / HALF_TABLE)
    assert [(reward, ended) for reward, ended, *_ in outcomes[env]] == [(0.0, False), (1.0, False), (1.0, False)]
    lay(env, (0.1, 0.0), (0.0, 0.0))
    assert env.step(STAY)[1] == 0.0
    with pytest.raises(ValueError, match="its goals are"):
        strict.reset(seed=0, options={"goal": "fold the red cube"})
    strict.close()


def test_a_seed_draws_a_goal_that_is_not_reached_yet(env: TabletopEnv) -> None:
    texts = set()
    for seed in range(20):
        info = env.reset(seed=seed)[1]
        assert info["distance"] > 0.05
        assert not info["success"]
        texts.add(info["instruction"].split()[0])
    assert texts == {"push", "bring"}


def test_a_snapshot_branches_exactly_even_from_another_table(env: TabletopEnv) -> None:
    rng = np.random.default_rng(3)
    env.reset(seed=5)
    for action in rng.integers(0, 7, 12):
        env.step(int(action))
    env.step(GRIP)
    snapshot = env.snapshot()
    actions = [int(action) for action in rng.integers(0, 7, 12)]
    first = [env.step(action) for action in actions]
    env.reset(seed=6)
    env.step(AWAY)
    observation, info = env.restore(snapshot)
    assert np.array_equal(observation, snapshot.observation)
    assert info["world"] == 5
    for action, (frame, reward, _, _, then) in zip(actions, first, strict=True):
        again, reward_again, _, _, now = env.step(action)
        assert np.array_equal(frame, again)
        assert reward == reward_again
        assert np.array_equal(then["cubes"], now["cubes"])
        assert then["instruction"] == now["instruction"]


def test_a_snapshot_that_does_not_fit_is_refused(env: TabletopEnv) -> None:
    env.reset(seed=5)
    other = TabletopEnv(size=(32, 32))
    with pytest.raises(ValueError, match="observation"):
        other.restore(env.snapshot())


def test_any_size_and_shape_and_a_larger_picture_to_render(env: TabletopEnv) -> None:
    made = TabletopEnv(size=(48, 80), render_mode="rgb_array")
    assert made.reset(seed=0)[0].shape == (48, 80, 3)
    picture = made.render()
    assert picture is not None
    assert picture.shape == (96, 160, 3)
    made.close()


def test_environments_side_by_side_come_go_and_do_not_disturb_each_other(env: TabletopEnv) -> None:
    actions = (LEFT, GRIP, AWAY, RELEASE)
    expected = [env.reset(seed=1)[0], *(env.step(action)[0] for action in actions)]
    other, lost = TabletopEnv(size=(32, 48)), TabletopEnv()
    other.reset(seed=2)
    lost.reset(seed=3)
    seen = [env.reset(seed=1)[0]]
    del lost
    gc.collect()
    for action in actions:
        other.step(GRIP)
        seen.append(env.step(action)[0])
    other.close()
    seen.append(env.step(STAY)[0])
    assert all(np.array_equal(*pair) for pair in zip(expected, seen, strict=False))
    assert np.ptp(seen[-1]) > 100
    again, _ = other.reset(seed=2)
    assert np.ptp(again) > 100
    other.close()


def test_a_world_by_option_overrides_the_seed_and_a_bare_reset_draws_a_training_one(env: TabletopEnv) -> None:
    by_seed, _ = env.reset(seed=4)
    by_option, info = env.reset(seed=9, options={"world": 4})
    assert info["world"] == 4
    assert np.array_equal(by_seed, by_option)
    drawn = []
    for _ in range(2):
        env.reset(seed=9)
        drawn.append([env.reset()[1]["world"] for _ in range(3)])
    assert drawn[0] == drawn[1]
    assert all(world < 1_000_000 for world in drawn[0])
    with pytest.raises(ValueError, match="unknown"):
        env.reset(options={"wrld": 4})
    with pytest.raises(ValueError, match="integer"):
        env.reset(options={"world": -1})
