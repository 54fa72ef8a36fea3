"""Scripted tours come back, and show the very same pictures."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from slowfast.envs.doom_rooms.env import DoomRoomsEnv
from slowfast.envs.doom_rooms.tours import clear_steps, full_turn, look_leave_return, out_and_back, revisits


@pytest.fixture(scope="module")
def env() -> Iterator[DoomRoomsEnv]:
    made = DoomRoomsEnv()
    yield made
    made.close()


def _walk(env: DoomRoomsEnv, actions: list[int]) -> tuple[list[np.ndarray], list[np.ndarray], set[int]]:
    frames, poses, rooms = [env._observation()], [env._info()["pose"]], {env._info()["room"]}
    for action in actions:
        frame, *_, info = env.step(action)
        frames.append(frame)
        poses.append(info["pose"])
        rooms.add(info["room"])
    return frames, poses, rooms


def test_a_full_turn_is_as_many_actions_as_turns_fit() -> None:
    assert full_turn() == [0] * 16
    assert full_turn(45, "right") == [1] * 8
    with pytest.raises(ValueError, match="divisor"):
        full_turn(50)
    with pytest.raises(ValueError, match="direction"):
        full_turn(direction="up")


def test_out_and_back_returns_to_the_first_picture(env: DoomRoomsEnv) -> None:
    env.reset(seed=2)
    while clear_steps(env.world, env.motion, env.position) < 3:
        env.step(0)
    frames, _, _ = _walk(env, out_and_back(3))
    assert len(frames) == 1 + 3 + 8 + 3 + 8
    assert np.array_equal(frames[0], frames[-1])
    assert not np.array_equal(frames[0], frames[3])


def test_clear_steps_counts_the_steps_to_the_wall(env: DoomRoomsEnv) -> None:
    for seed in range(5):
        env.reset(seed=seed)
        steps = clear_steps(env.world, env.motion, env.position)
        x, y, angle = env.position
        dx, dy = env.motion.displacement(angle)
        assert env.world.is_free(x + steps * dx, y + steps * dy)
        assert not env.world.is_free(x + (steps + 1) * dx, y + (steps + 1) * dy)


def test_look_leave_return_leaves_the_room_and_ends_on_the_first_turns_pictures(env: DoomRoomsEnv) -> None:
    for seed in range(8):
        env.reset(seed=seed)
        tour = look_leave_return(env)
        frames, poses, rooms = _walk(env, tour)
        assert all(np.array_equal(frames[i], frames[len(tour) - 16 + i]) for i in range(17))
        assert np.array_equal(poses[0], poses[-1])
        assert len(rooms) > 1 or len(env.world.rooms) == 1
        for earlier, later in revisits(poses):
            assert np.array_equal(frames[earlier], frames[later])


def test_a_tour_without_looking_around_there_is_a_turn_shorter(env: DoomRoomsEnv) -> None:
    env.reset(seed=2)
    assert len(look_leave_return(env)) - len(look_leave_return(env, look_there=False)) == 16
    assert env.position == env.world.start


def test_revisits_pairs_each_frame_with_the_first_of_its_pose() -> None:
    poses = [(0, 0, 0), (1, 0, 0), (1, 0, 0), (0, 0, 0), (1, 0, 0)]
    assert revisits(poses, gap=2) == [(0, 3), (1, 4)]
