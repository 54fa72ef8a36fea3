"""Policies tried in worlds that they have not seen: what they earn, and how sure that is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from slowfast.evaluation.policies.ground import dreamed_ground, real_ground
from slowfast.evaluation.policies.returns import earned, earned_more, mean_return
from slowfast.evaluation.policies.walkers import Luck, Rhythm, WallKnower
from slowfast.heads.odometry import Odometry, OdometryConfig
from slowfast.world_model import WorldModel

FRAMES = gymnasium.spaces.Box(0, 255, (2, 16, 16, 3), np.uint8)


class Paying(gymnasium.Env[np.ndarray, int]):
    """World w pays w for every unit of an action, and ends after 2 + w % 3 steps."""

    observation_space = gymnasium.spaces.Box(0, 100, (1,))
    action_space = gymnasium.spaces.Discrete(3)
    world, taken = 0, 0

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(seed=seed)
        self.world, self.taken = self.world if seed is None else seed, 0
        return np.full(1, self.world, np.float32), {}

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        self.taken += 1
        return (
            np.full(1, self.world, np.float32),
            float(self.world * action),
            self.taken == 2 + self.world % 3,
            False,
            {},
        )


def paying(count: int, mode: AutoresetMode = AutoresetMode.SAME_STEP) -> SyncVectorEnv:
    return SyncVectorEnv([Paying] * count, autoreset_mode=mode)


@pytest.mark.parametrize("mode", [AutoresetMode.SAME_STEP, AutoresetMode.NEXT_STEP])
def test_every_world_counts_once_and_up_to_its_end(mode: AutoresetMode) -> None:
    done = []
    found = earned(paying(2, mode), Rhythm((1, 2)), [3, 4, 5, 6, 7], lambda *state: done.append(state))
    assert found.lengths.tolist() == [2, 3, 4, 2, 3]
    assert found.returns.tolist() == [9, 16, 30, 18, 28]
    assert found.shares == pytest.approx([0, 8 / 14, 6 / 14])
    assert done == [(2, 5), (4, 5), (5, 5)]


def test_luck_in_a_world_does_not_depend_on_its_neighbours() -> None:
    alone = earned(paying(1), Luck(3), [8])
    beside = earned(paying(4), Luck(3), [5, 7, 8, 11])
    assert beside.returns[2] == alone.returns[0]
    assert len({tuple(earned(paying(2), Luck(seed), range(1, 12)).returns) for seed in range(3)}) == 3


def test_nothing_to_try_and_resets_by_hand_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one world"):
        earned(paying(1), Luck(), [])
    with pytest.raises(ValueError, match="reset by themselves"):
        earned(paying(1, AutoresetMode.DISABLED), Luck(), [1])


def test_a_difference_is_paired_by_world() -> None:
    random = np.random.default_rng(0)
    worlds = random.normal(0, 10, 40)
    one, other = worlds[None] + 1.0, worlds[None].repeat(3, 0)
    more = earned_more(one, other)
    assert (more.value, more.low, more.high) == pytest.approx((1, 1, 1))
    mean = mean_return(one)
    assert mean.value == pytest.approx(one.mean())
    assert mean.low < mean.value < mean.high
    assert mean.high - mean.low == pytest.approx(2 * 1.96 * worlds.std() / np.sqrt(40), rel=0.1)


def test_trainings_that_differ_widen_the_interval() -> None:
    worlds = np.random.default_rng(0).normal(0, 1, 40)
    alike, unlike = worlds[None] + np.zeros((3, 1)), worlds[None] + np.array([[-5.0], [0], [5]])
    widths = [interval.high - interval.low for interval in map(mean_return, (alike, unlike))]
    assert widths[1] > 5 * widths[0]


def test_returns_of_other_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\[trainings, worlds\]"):
        mean_return(np.zeros(3))
    with pytest.raises(ValueError, match="same worlds, got 3 and 4"):
        earned_more(np.zeros((1, 3)), np.zeros((1, 4)))


@pytest.fixture(scope="module")
def rooms_world(rooms_world_folder: Path) -> WorldModel:
    """With an odometry, and starts of one frame."""
    from slowfast.starts import Starts

    world = WorldModel.from_pretrained(rooms_world_folder)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        world.odometry = Odometry(OdometryConfig(4, world.slow.actions.config.width, 32.0, 22.5, width=8)).eval()
    frames = np.random.default_rng(0).integers(0, 256, (3, 1, 32, 32, 3), np.uint8)
    world.starts = Starts(frames, world.action_spec.columns([[]] * 3), np.zeros((3, 1, 3), np.float32), np.arange(3))
    return world


def test_who_knows_the_walls_walks_farther_than_who_sees_nothing(rooms_world: WorldModel) -> None:
    pytest.importorskip("vizdoom")
    worlds = range(2_000_000, 2_000_006)
    envs = real_ground(rooms_world, "test", 3, 24)
    try:
        walls, rhythm, forward = (earned(envs, own, worlds) for own in (WallKnower(), Rhythm(), Rhythm((0,))))
    finally:
        envs.close()
    assert walls.lengths.tolist() == [24] * 6
    assert walls.returns.mean() > rhythm.returns.mean() + 2
    assert walls.returns.mean() > forward.returns.mean() + 4
    assert (walls.returns <= 24).all()


def test_the_dream_and_the_real_rooms_are_one_task(rooms_world: WorldModel) -> None:
    pytest.importorskip("vizdoom")
    dreamed, real = dreamed_ground(rooms_world, 2, 3), real_ground(rooms_world, "train", 2, 3)
    try:
        assert dreamed.single_observation_space == real.single_observation_space
        assert dreamed.single_action_space == real.single_action_space == gymnasium.spaces.Discrete(2)
        for envs in (dreamed, real):
            observations, _ = envs.reset(seed=0)
            assert (observations[:, 0] == observations[:, 1]).all()
            ended = [envs.step(np.array([0, 1]))[3].tolist() for _ in range(3)]
            assert ended == [[False, False], [False, False], [True, True]]
        assert dreamed.step(np.array([0, 1]))[1].all()  # an untrained odometry says something of every step
    finally:
        real.close()


def test_a_dream_with_other_moves_is_another_task(tiny_world: WorldModel) -> None:
    with pytest.raises(ValueError, match="needs DoomRooms' moves, 'tiny' takes"):
        dreamed_ground(tiny_world, 1, 4)


def policy(favourite: Sequence[float]) -> Any:
    """One of Stable-Baselines3's, whose chances are always ``favourite``."""
    pytest.importorskip("stable_baselines3")
    from stable_baselines3.common.policies import ActorCriticPolicy

    from slowfast.evaluation.policies.glance import Glance

    built = ActorCriticPolicy(
        FRAMES, gymnasium.spaces.Discrete(3), lambda _: 1e-3, net_arch=[], features_extractor_class=Glance
    )
    with torch.no_grad():
        built.action_net.weight.zero_()
        built.action_net.bias.copy_(torch.tensor(favourite).log())
    return built


def test_a_learned_policy_draws_from_its_chances_world_by_world() -> None:
    from slowfast.evaluation.policies.learned import Learned

    learned, seen = Learned(policy([0.2, 0.5, 0.3]), 1), np.zeros((200, *FRAMES.shape), np.uint8)
    learned.begin(paying(1), range(200))
    moves = np.stack([learned.act(seen) for _ in range(5)])
    assert np.bincount(moves.ravel()) / moves.size == pytest.approx([0.2, 0.5, 0.3], abs=0.05)
    learned.begin(paying(1), [7])
    assert [int(learned.act(seen[:1])[0]) for _ in range(5)] == moves[:, 7].tolist()


def test_a_learned_policy_of_continuous_actions_is_refused() -> None:
    pytest.importorskip("stable_baselines3")
    from stable_baselines3.common.policies import ActorCriticPolicy

    from slowfast.evaluation.policies.learned import Learned

    box = gymnasium.spaces.Box(-1, 1, (2,))
    with pytest.raises(TypeError, match="discrete actions"):
        Learned(ActorCriticPolicy(box, box, lambda _: 1e-3))


def test_brightness_and_contrast_are_not_looked_at_but_changes_are() -> None:
    pytest.importorskip("stable_baselines3")
    from slowfast.evaluation.policies.glance import Glance

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        look = Glance(FRAMES, 8)
    frame = torch.from_numpy(np.random.default_rng(0).integers(0, 200, (1, 1, 16, 16, 3))).float()
    still, moved = torch.cat([frame, frame], 1), torch.cat([frame.roll(3, 3), frame], 1)
    assert look(still).shape == (1, 8)
    torch.testing.assert_close(look(still), look(0.5 * still + 20), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(look(moved), look(0.5 * moved + 20), atol=1e-4, rtol=1e-4)
    assert (look(still) - look(moved)).abs().max() > 0.01


def test_a_single_frame_is_no_stack() -> None:
    pytest.importorskip("stable_baselines3")
    from slowfast.evaluation.policies.glance import Glance

    with pytest.raises(ValueError, match="n >= 2"):
        Glance(gymnasium.spaces.Box(0, 255, (16, 16, 3), np.uint8))
