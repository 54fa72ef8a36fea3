"""Collecting on the table: what the policies do, the splits, other processes, and what lands on disk."""

from __future__ import annotations

import hashlib
import itertools
import json
import subprocess
import sys
from pathlib import Path

import gymnasium
import numpy as np
import pytest

from slowfast.cli import main
from slowfast.datasets.store import Store
from slowfast.envs.policies import make_policy

pytest.importorskip("mujoco", reason="Tabletop needs the extra mujoco")

from slowfast.envs.tabletop.env import TabletopEnv
from slowfast.envs.tabletop.splits import SEED_RANGES, world_seeds

ACTIONS = [int(action) for action in np.random.default_rng(0).integers(0, 7, 12)]

EPISODES = """
import hashlib, json, sys
from slowfast.envs.tabletop.env import TabletopEnv
seeds, actions = json.loads(sys.argv[1])
env = TabletopEnv(endless=True)
for seed in seeds:
    digest = hashlib.sha256(env.reset(seed=seed)[0].tobytes())
    for action in actions:
        digest.update(env.step(action)[0].tobytes())
    print(digest.hexdigest(), flush=True)
"""


@pytest.fixture(scope="module", autouse=True)
def _opengl() -> None:
    try:
        TabletopEnv(size=(8, 8)).reset(seed=0)
    except RuntimeError as error:
        pytest.skip(f"no OpenGL to draw with: {error}")


class Blind(TabletopEnv):
    """The same without pictures, which policies do not look at: quicker."""

    def _look(self) -> np.ndarray:
        return np.zeros(self.observation_space.shape, np.uint8)  # type: ignore[arg-type]


def play(env: TabletopEnv, name: str, seed: int, steps: int = 48) -> tuple[list[object], list[bool]]:
    """Actions, and whether the goal was reached after each of them."""
    observation, info = env.reset(seed=seed)
    policy = make_policy(name, env, np.random.default_rng(seed))
    policy.reset(info)
    actions, reached = [], []
    for _ in range(steps):
        action = policy.act(observation, info)
        assert env.action_space.contains(action)
        observation, _, ended, _, info = env.step(action)
        actions.append(action)
        reached.append(bool(info["success"]))
        if ended:
            break
    return actions, reached


@pytest.mark.parametrize("continuous", [False, True])
def test_the_instructed_policy_does_what_the_instruction_says(continuous: bool) -> None:
    env = Blind(continuous=continuous)
    episodes = [play(env, "instructed", seed) for seed in world_seeds("test", 20)]
    assert np.mean([any(reached) for _, reached in episodes]) >= 0.9
    assert np.mean([len(actions) for actions, _ in episodes]) < 25


def test_random_moves_hardly_ever_do() -> None:
    env = Blind()
    assert np.mean([any(play(env, "random", seed, 25)[1]) for seed in world_seeds("test", 20)]) < 0.3


def test_the_distracted_policy_does_and_fails_and_makes_every_move() -> None:
    env = Blind(endless=True)
    episodes = [play(env, "distracted", seed) for seed in world_seeds("train", 24)]
    assert 0.3 < np.mean([any(reached) for _, reached in episodes]) < 0.9
    share = np.bincount(np.concatenate([actions for actions, _ in episodes]).astype(int), minlength=7) / (24 * 48)
    assert (share > 0.015).all()
    assert share.max() < 0.4


def test_policies_are_decided_by_their_generator_and_refuse_another_environment() -> None:
    env = Blind(endless=True)
    first, again, other = (play(env, "distracted", seed)[0] for seed in (3, 3, 4))
    assert first == again != other
    with pytest.raises(TypeError, match="Tabletop"):
        make_policy("instructed", gymnasium.make("CartPole-v1"), np.random.default_rng(0))


def test_splits_are_disjoint_and_give_seeds_in_order() -> None:
    assert world_seeds("validation", 3) == [1_000_000, 1_000_001, 1_000_002]
    ranges = sorted(SEED_RANGES.values(), key=lambda seeds: seeds.start)
    assert all(earlier.stop <= later.start for earlier, later in itertools.pairwise(ranges))
    with pytest.raises(ValueError, match="train"):
        world_seeds("held_out", 1)
    with pytest.raises(ValueError, match="100000 seeds"):
        world_seeds("test", 100_001)


def test_another_process_shows_the_same_bytes_and_ends_cleanly(tmp_path: Path) -> None:
    """In another order, so that each table follows upon a different one; the other process never calls close."""
    seeds = [*world_seeds("train", 2), *world_seeds("test", 1)]
    command = [sys.executable, "-W", "error", "-c", EPISODES, json.dumps([seeds[::-1], ACTIONS])]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    env = TabletopEnv(endless=True)
    ours = []
    for seed in seeds:
        digest = hashlib.sha256(env.reset(seed=seed)[0].tobytes())
        for action in ACTIONS:
            digest.update(env.step(action)[0].tobytes())
        ours.append(digest.hexdigest())
    env.close()
    theirs, complaints = process.communicate(timeout=120)
    assert (process.returncode, complaints) == (0, "")
    assert theirs.split() == ours[::-1]
    assert len(set(ours)) == len(ours)


def test_collect_stores_the_instruction_and_where_things_are(tmp_path: Path) -> None:
    arguments = ["--env", "slowfast/Tabletop-v0", "--policy", "distracted", "--split", "validation", "--steps", "6"]
    arguments += ["--env-arguments", "endless=true", "--episodes", "2", "--workers", "2"]
    assert main(["collect", *arguments, "--out", str(tmp_path / "table")]) == 0
    store = Store(tmp_path / "table")
    env = TabletopEnv()
    for index in range(2):
        _, info = env.reset(seed=1_000_000 + index)
        episode = store[index]
        assert store.metadata(index)["instruction"] == info["instruction"]
        assert episode.infos["cubes"].shape == (7, 3, 3)
        assert np.array_equal(episode.infos["cubes"][0], info["cubes"])
        assert episode.infos["success"].shape == (7,)
        assert episode.frames["camera"].shape == (7, 64, 64, 3)
    env.close()
