"""The environment's contract: spaces, actions, motion, walls, tasks, snapshots."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import slowfast  # noqa: F401 - registers the ids
from slowfast.actions import Continuous, Discrete, Language
from slowfast.envs.doom_rooms.env import DoomRoomsEnv
from slowfast.envs.doom_rooms.layout import PLAYER_RADIUS
from slowfast.envs.doom_rooms.motion import BACKWARD, FORWARD, STAY, STRAFE_LEFT, STRAFE_RIGHT, TURN_LEFT, TURN_RIGHT
from slowfast.envs.doom_rooms.task import REACH_UNITS


@pytest.fixture(scope="module")
def env() -> Iterator[DoomRoomsEnv]:
    made = DoomRoomsEnv(render_mode="rgb_array")
    yield made
    made.close()


def test_gymnasium_makes_it_and_its_checker_passes() -> None:
    made = gymnasium.make("slowfast/DoomRooms-v0", render_mode="rgb_array", max_episode_steps=5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", message=".*human.*")
        check_env(made.unwrapped)
    made.reset(seed=0)
    truncated = [made.step(STAY)[3] for _ in range(5)]
    assert truncated == [False] * 4 + [True]
    made.close()
    made.close()


def test_actions_have_the_agreed_order_and_words(env: DoomRoomsEnv) -> None:
    move, text = env.action_spec.components
    assert isinstance(move, Discrete)
    assert isinstance(text, Language)
    assert text.describes == "move"
    assert move.labels == ("turn left", "turn right", "forward", "backward", "strafe left", "strafe right", "stay")
    assert env.action_space == gymnasium.spaces.Discrete(7)


def test_each_action_moves_the_pose_as_its_name_says(env: DoomRoomsEnv) -> None:
    env.reset(seed=2)
    x, y, _ = env.position

    def moved(action: int) -> tuple[int, int, int]:
        env._pose = (x, y, 0)
        after = env.step(action)[4]["pose"]
        return int(after[0]) - x, int(after[1]) - y, round(float(after[2]) * 10)

    assert moved(TURN_LEFT) == (0, 0, 225)
    assert moved(TURN_RIGHT) == (0, 0, 3375)
    assert moved(FORWARD) == (32, 0, 0)
    assert moved(BACKWARD) == (-32, 0, 0)
    assert moved(STRAFE_LEFT) == (0, 32, 0)
    assert moved(STRAFE_RIGHT) == (0, -32, 0)
    assert moved(STAY) == (0, 0, 0)
    with pytest.raises(ValueError, match=r"not in 0\.\.6"):
        env.step(7)


def test_turning_left_moves_the_picture_to_the_right(env: DoomRoomsEnv) -> None:
    """The contents of the view, not only the numbers, turn the right way: sliding it to the right predicts it best."""
    before, _ = env.reset(seed=2)
    after = env.step(TURN_LEFT)[0]

    def error(shift: int) -> float:
        kept = before[:, 24:40].astype(float)
        return float(np.abs(after[:, 24 + shift : 40 + shift] - kept).mean())

    assert error(13) < 0.7 * error(-13)


def test_the_picture_shows_the_state_after_the_action(env: DoomRoomsEnv) -> None:
    """No tic of delay: staying after any move changes nothing, and neither does the first look at a new world."""
    rng = np.random.default_rng(0)
    for seed in range(6):
        seen, _ = env.reset(seed=seed)
        for _ in range(12):
            assert np.array_equal(env.step(STAY)[0], seen)
            seen = env.step(int(rng.integers(6)))[0]


def test_moves_and_turns_are_reversible_to_the_bit(env: DoomRoomsEnv) -> None:
    for seed in (2, 5):
        start, info = env.reset(seed=seed)
        for there, back in ((TURN_LEFT, TURN_RIGHT), (STRAFE_LEFT, STRAFE_RIGHT), (FORWARD, BACKWARD)):
            free = env.world.is_free(*env.motion.move(env.world, env.position, there)[:2])
            moved = env.step(there)[4]["pose"]
            if free and np.abs(moved - info["pose"]).max() > 20:
                assert np.array_equal(env.step(back)[0], start)
            env._pose = env.world.start
            env._look()


def test_sixteen_turns_are_a_circle_to_the_bit(env: DoomRoomsEnv) -> None:
    start, _ = env.reset(seed=7)
    views = [env.step(TURN_LEFT)[0] for _ in range(16)]
    assert np.array_equal(views[-1], start)
    assert all((view != start).any() for view in views[:-1])


def test_the_engine_is_where_the_pose_says(env: DoomRoomsEnv) -> None:
    rng = np.random.default_rng(1)
    env.reset(seed=11)
    for _ in range(100):
        pose = env.step(int(rng.integers(7)))[4]["pose"]
        x, y, degrees = env._camera.pose()
        assert (x, y) == (pose[0], pose[1])
        assert abs((degrees - pose[2] + 180) % 360 - 180) < 1e-3


def test_the_eye_is_at_its_height_in_every_picture(env: DoomRoomsEnv) -> None:
    from vizdoom import GameVariable

    env.reset(seed=2)
    for action in (STAY, FORWARD, TURN_LEFT, STRAFE_LEFT, BACKWARD):
        assert env._camera._game.get_game_variable(GameVariable.CAMERA_POSITION_Z) == 41
        env.step(action)


def test_walls_stop_the_player_and_doorways_let_it_through(env: DoomRoomsEnv) -> None:
    """Over random walks the player's box never crosses a wall, and it does come into other rooms."""
    rng = np.random.default_rng(0)
    rooms_seen = 0
    for seed in range(4):
        _, info = env.reset(seed=seed)
        rooms = {info["room"]}
        for _ in range(150):
            action = int(
                rng.choice((TURN_LEFT, TURN_RIGHT, FORWARD, STRAFE_LEFT, STRAFE_RIGHT), p=(0.1, 0.1, 0.6, 0.1, 0.1))
            )
            info = env.step(action)[4]
            rooms.add(info["room"])
            x, y = (int(value) for value in info["pose"][:2])
            body = (x - PLAYER_RADIUS, y - PLAYER_RADIUS, x + PLAYER_RADIUS, y + PLAYER_RADIUS)
            for wall in env.world.walls:
                area = wall.area
                inside = area.left < body[2] and area.right > body[0] and area.bottom < body[3] and area.top > body[1]
                assert not inside
        rooms_seen = max(rooms_seen, len(rooms))
    assert rooms_seen > 1


@pytest.mark.parametrize("size", [(48, 96), (120, 60), (130, 170)])
def test_any_size_and_shape(size: tuple[int, int]) -> None:
    made = DoomRoomsEnv(size=size)
    observation, _ = made.reset(seed=0)
    assert observation.shape == (*size, 3)
    assert observation.dtype == np.uint8
    assert observation in made.observation_space
    made.close()


def test_continuous_motion_turns_first_and_is_clipped_to_one_action() -> None:
    made = DoomRoomsEnv(continuous=True, turn_degrees=30, step_units=20)
    motion = made.action_spec["motion"]
    assert isinstance(motion, Continuous)
    assert list(motion.labels) == ["turn_degrees", "forward_units"]
    assert list(motion.low) == [-30, -20]
    assert list(motion.high) == [30, 20]
    made.reset(seed=2)
    x, y, _ = made.position
    made._pose = (x, y, 0)
    info = made.step(np.array([30, 20], np.float32))[4]
    assert info["pose"] - (x, y, 0) == pytest.approx([17, 10, 30], abs=0.01)
    made._pose = (x, y, 0)
    assert made.step(np.array([0, -1000]))[4]["pose"][0] == x - 20
    with pytest.raises(ValueError, match="two finite numbers"):
        made.step(np.array([np.nan, 0]))
    made.close()


def test_without_a_task_nothing_is_rewarded_and_nothing_ends(env: DoomRoomsEnv) -> None:
    _, info = env.reset(seed=0)
    assert "goal" not in info
    for action in range(7):
        _, reward, terminated, truncated, _ = env.step(action)
        assert (reward, terminated, truncated) == (0.0, False, False)


def test_reaching_the_goal_wall_is_rewarded_and_ends_the_episode() -> None:
    made = DoomRoomsEnv(task="reach")
    _, info = made.reset(seed=2)
    goal = next(wall for wall in made.world.walls if wall.texture == info["goal"])
    start_room = info["room"]
    assert goal.room != start_room
    (x1, y1), (x2, y2) = goal.start, goal.end
    outward = np.array([-(y2 - y1), x2 - x1]) / np.hypot(x2 - x1, y2 - y1)
    near = np.array([(x1 + x2) / 2, (y1 + y2) / 2]) - outward * (REACH_UNITS + 20)
    angle = round(np.degrees(np.arctan2(outward[1], outward[0])) * 65536 / 360) % 65536
    made._pose = (int(near[0]), int(near[1]), angle)
    assert made.step(STAY)[1:3] == (0.0, False)
    assert made.step(FORWARD)[1:3] == (1.0, True)

    chosen = made.world.walls[0].texture
    assert made.reset(seed=2, options={"goal": chosen})[1]["goal"] == chosen
    with pytest.raises(ValueError, match="its walls wear"):
        made.reset(seed=2, options={"goal": "NOSUCH"})
    made.close()


def test_a_snapshot_branches_exactly_even_from_another_world(env: DoomRoomsEnv) -> None:
    rng = np.random.default_rng(3)
    env.reset(seed=5)
    for action in rng.integers(0, 7, 20):
        env.step(int(action))
    snapshot = env.snapshot()
    actions = [int(action) for action in rng.integers(0, 7, 15)]
    first = [env.step(action) for action in actions]
    env.step(TURN_LEFT)
    env.reset(seed=6)
    env.step(FORWARD)
    observation, info = env.restore(snapshot)
    assert np.array_equal(observation, snapshot.observation)
    assert info["world"] == 5
    second = [env.step(action) for action in actions]
    for (frame, *_, info_then), (again, *_, info_now) in zip(first, second, strict=True):
        assert np.array_equal(frame, again)
        assert np.array_equal(info_then["pose"], info_now["pose"])


def test_a_snapshot_that_does_not_fit_is_refused(env: DoomRoomsEnv) -> None:
    env.reset(seed=5)
    other = DoomRoomsEnv(textures="held_out")
    with pytest.raises(ValueError, match="held_out"):
        other.restore(env.snapshot())


def test_the_world_option_overrides_the_seed_and_a_bare_reset_draws_a_training_world(env: DoomRoomsEnv) -> None:
    by_seed, _ = env.reset(seed=4)
    by_option, info = env.reset(seed=9, options={"world": 4})
    assert info["world"] == 4
    assert np.array_equal(by_seed, by_option)
    env.reset(seed=9)
    drawn = [env.reset()[1]["world"] for _ in range(3)]
    env.reset(seed=9)
    assert [env.reset()[1]["world"] for _ in range(3)] == drawn
    assert len(set(drawn)) == 3
    assert all(world < 1_000_000 for world in drawn)
    with pytest.raises(ValueError, match="unknown"):
        env.reset(options={"wrld": 4})
    with pytest.raises(ValueError, match="integer"):
        env.reset(options={"world": -1})


def test_render_gives_the_engines_picture(env: DoomRoomsEnv) -> None:
    env.reset(seed=0)
    picture = env.render()
    assert picture is not None
    assert picture.shape == (120, 160, 3)


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("size", (0, 64)),
        ("turn_degrees", 0),
        ("step_units", 1000),
        ("textures", "test"),
        ("task", "run"),
        ("render_mode", "human"),
    ],
)
def test_senseless_arguments_are_refused_by_name(argument: str, value: object) -> None:
    with pytest.raises(ValueError, match=argument):
        DoomRoomsEnv(**{argument: value})


def test_a_step_before_a_reset_says_what_to_do() -> None:
    with pytest.raises(RuntimeError, match="reset"):
        DoomRoomsEnv().step(STAY)


def test_missing_vizdoom_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r'pip install "slowfast\[doom\]"'):
        DoomRoomsEnv()
