"""Collection policies: what the explorer does, and the registry."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest

from slowfast.envs.doom_rooms.env import DoomRoomsEnv
from slowfast.envs.doom_rooms.motion import FORWARD
from slowfast.envs.doom_rooms.restless import StubbornPolicy
from slowfast.envs.doom_rooms.tours import revisits
from slowfast.envs.policies import make_policy


def _episode(env: DoomRoomsEnv, name: str, seed: int, steps: int) -> tuple[list[object], list[np.ndarray], set[int]]:
    observation, info = env.reset(seed=seed)
    policy = make_policy(name, env, np.random.default_rng(seed))
    policy.reset(info)
    actions, poses, rooms = [], [info["pose"]], {info["room"]}
    for _ in range(steps):
        action = policy.act(observation, info)
        assert env.action_space.contains(action) or isinstance(action, np.ndarray)
        observation, *_, info = env.step(action)
        actions.append(action)
        poses.append(info["pose"])
        rooms.add(info["room"])
    return actions, poses, rooms


def test_the_explorer_turns_walks_finds_rooms_and_comes_back() -> None:
    env = DoomRoomsEnv()
    counts = np.zeros(7)
    other_rooms = returns = possible = 0
    for seed in range(16):
        actions, poses, rooms = _episode(env, "explore", seed, 96)
        counts += np.bincount(np.array(actions, int), minlength=7)
        possible += len(env.world.rooms) > 1
        other_rooms += len(rooms) > 1
        returns += len(revisits(poses)) > 8
    env.close()
    share = counts / counts.sum()
    assert 0.45 <= share[0] + share[1] <= 0.66
    assert 0.2 <= share[2] <= 0.36
    assert (share[3:] >= 0.015).all()
    assert (share[3:] <= 0.08).all()
    assert abs(share[0] - share[1]) < 0.1
    assert other_rooms >= 0.6 * possible
    assert returns >= 5


def test_the_explorer_is_decided_by_its_generator() -> None:
    env = DoomRoomsEnv()
    first, *_ = _episode(env, "explore", 3, 40)
    again, *_ = _episode(env, "explore", 3, 40)
    other, *_ = _episode(env, "explore", 4, 40)
    env.close()
    assert first == again != other


def test_the_explorer_acts_in_the_continuous_variant_and_other_step_sizes() -> None:
    env = DoomRoomsEnv(continuous=True, turn_degrees=30, step_units=16)
    actions, poses, _ = _episode(env, "explore", 2, 60)
    env.close()
    vectors = np.array(actions)
    assert vectors.shape == (60, 2)
    assert np.abs(vectors[:, 0]).max() <= 30
    assert np.abs(vectors[:, 1]).max() <= 16
    assert len(np.unique(np.array(poses)[:, :2], axis=0)) > 5


def test_the_explorer_refuses_another_environment() -> None:
    with pytest.raises(TypeError, match="DoomRooms"):
        make_policy("explore", gymnasium.make("CartPole-v1"), np.random.default_rng(0))


def test_the_random_policy_fits_any_environment_and_is_decided_by_its_generator() -> None:
    env = gymnasium.make("CartPole-v1")
    draws = []
    for _ in range(2):
        policy = make_policy("random", env, np.random.default_rng(5))
        draws.append([int(policy.act(None, {})) for _ in range(30)])
    assert draws[0] == draws[1]
    assert set(draws[0]) == {0, 1}


def test_a_policy_of_ones_own_is_named_by_module_and_class() -> None:
    policy = make_policy("slowfast.envs.policies:RandomPolicy", gymnasium.make("CartPole-v1"), np.random.default_rng(0))
    assert policy.act(None, {}) in (0, 1)
    with pytest.raises(ValueError, match="explore"):
        make_policy("explor", None, np.random.default_rng(0))


def test_half_of_the_restless_episodes_have_actions_that_their_past_does_not_give_away() -> None:
    env = DoomRoomsEnv()
    try:
        repeated = [np.mean(np.diff(_episode(env, "restless", seed, 80)[0]) == 0) for seed in range(16)]
    finally:
        env.close()
    assert max(repeated) < 0.85  # the explorer alone repeats up to nine moves in ten
    assert 3 <= np.sum(np.array(repeated) < 0.46) <= 13
    assert min(repeated) < 0.35


def test_the_stubborn_run_into_walls_where_explorers_hardly_do(monkeypatch: pytest.MonkeyPatch) -> None:
    assert 0.0 in StubbornPolicy.straight, "there are episodes without straight walks"
    monkeypatch.setattr(StubbornPolicy, "straight", StubbornPolicy.straight[-1:])
    env, blocked = DoomRoomsEnv(), {}
    try:
        for name in ("mixed", "stubborn"):
            walks = [_episode(env, name, seed, 80) for seed in range(12)]
            forward = np.concatenate([np.array(actions) == FORWARD for actions, *_ in walks])
            moved = [np.linalg.norm(np.diff(np.stack(poses)[:, :2], axis=0), axis=1) for _, poses, _ in walks]
            still = np.concatenate(moved) < env.motion.step_units / 10
            blocked[name] = (still & forward).sum() / forward.sum()
    finally:
        env.close()
    assert blocked["mixed"] < 0.03
    assert blocked["stubborn"] > 0.15
