"""Rewards and ends of the world's own outcome head, in single and vector dreams."""

from __future__ import annotations

from pathlib import Path

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.vector import AutoresetMode

from slowfast.envs.dream import DreamEnv
from slowfast.envs.dream_vector import DreamVectorEnv
from slowfast.envs.wrappers import ChunkedActions
from slowfast.heads.outcome import OutcomeConfig, OutcomeHead
from slowfast.world_model import WorldModel

ACTIONS = np.array([[0, 1, 2], [1, 4, 3], [2, 3, 0], [3, 0, 1], [4, 2, 2]])


@pytest.fixture(scope="module")
def paid(tiny_world_folder: Path) -> WorldModel:
    """A world whose head pays for everything a little, and never ends."""
    return with_head(tiny_world_folder, threshold=2.0)


def with_head(folder: Path, threshold: float) -> WorldModel:
    world = WorldModel.from_pretrained(folder)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        world.outcome = OutcomeHead(OutcomeConfig(4, world.slow.actions.config.width, -1.0, 1.0, width=8)).eval()
        # Far from what a fresh head says, so that a latent or an action more or less is seen in the reward.
        for parameter in world.outcome.parameters():
            parameter.requires_grad_(False).mul_(4)
    world.outcome.threshold.fill_(threshold)
    return world


def told(world: WorldModel, before: torch.Tensor, after: torch.Tensor, action: int) -> tuple[float, float]:
    """Reward and chance of an end, asked of the head itself."""
    assert world.outcome is not None
    with torch.no_grad():
        vectors = world.slow.action_vectors(world.action_tensors(world.action_spec.columns([[action]])))
        outcomes = world.outcome(before[None, None], after[None, None], vectors)
    return outcomes.rewards.item(), outcomes.chances.item()


@pytest.mark.parametrize("observation", ["frames", "latents"])
def test_a_dream_pays_what_the_head_tells_of_the_step(paid: WorldModel, observation: str) -> None:
    env = DreamEnv(paid, reward="head", observation=observation)
    env.reset(seed=0)
    before, rewards = env.dream.latents[0], []
    for action in (1, 4, 2):
        _, reward, terminated, _, _ = env.step(action)
        assert reward == told(paid, before, env.dream.latents[0], action)[0]
        assert terminated is False
        before = env.dream.latents[0]
        rewards.append(reward)
    assert len(set(rewards)) == 3


def test_frames_that_are_made_at_once_are_paid_one_by_one(paid: WorldModel) -> None:
    env = DreamEnv(paid, reward="head")
    env.reset(seed=0)
    first = env.dream.latents[0]
    env.prepare([1, 4])
    made = env.dream.context.latents[0, -2:]
    assert env.step(1)[1] == pytest.approx(told(paid, first, made[0], 1)[0])
    assert env.step(4)[1] == pytest.approx(told(paid, made[0], made[1], 4)[0])

    chunked = ChunkedActions(DreamEnv(paid, reward="head"), 2)
    chunked.reset(seed=0)
    total = told(paid, first, made[0], 1)[0] + told(paid, made[0], made[1], 4)[0]
    assert chunked.step([1, 4])[1] == pytest.approx(total)


def test_an_end_comes_when_its_chance_reaches_the_threshold(tiny_world_folder: Path) -> None:
    world = with_head(tiny_world_folder, threshold=2.0)
    env = DreamEnv(world, reward="head")
    env.reset(seed=0)
    moment, before = env.snapshot(), env.dream.latents[0]
    assert not env.step(2)[2]
    chance = told(world, before, env.dream.latents[0], 2)[1]
    assert world.outcome is not None
    for threshold, ended in ((chance * 0.99, True), (chance * 1.01, False)):
        world.outcome.threshold.fill_(threshold)
        env.restore(moment)
        assert env.step(2)[2] is ended


@pytest.mark.parametrize("exact", [True, False])
def test_a_vector_pays_each_environment_what_it_earns_alone(paid: WorldModel, exact: bool) -> None:
    venv = DreamVectorEnv(3, paid, reward="head", exact=exact)
    venv.reset(seed=3)
    rewards = np.stack([venv.step(row)[1] for row in ACTIONS])
    for number in range(3):
        alone = DreamEnv(paid, reward="head")
        alone.reset(seed=3 + number)
        own = [alone.step(int(action))[1] for action in ACTIONS[:, number]]
        if exact:
            assert rewards[:, number].tolist() == own
        else:
            np.testing.assert_allclose(rewards[:, number], own, atol=1e-3)


def test_what_neighbours_do_changes_nothing(paid: WorldModel) -> None:
    paths = []
    for others in (0, 3):
        actions = ACTIONS.copy()
        actions[:, 1:] = others
        venv = DreamVectorEnv(3, paid, reward="head", exact=True)
        venv.reset(seed=3)
        paths.append([venv.step(row)[1][0] for row in actions])
    assert paths[0] == paths[1]


@pytest.mark.parametrize("mode", ["NextStep", "SameStep", "Disabled"])
def test_an_end_of_the_head_resets_as_the_mode_says(tiny_world_folder: Path, mode: str) -> None:
    world = with_head(tiny_world_folder, threshold=0.0)  # every step is an end
    venv = DreamVectorEnv(2, world, reward="head", autoreset_mode=mode)
    venv.reset(seed=3)
    _, rewards, terminated, truncated, infos = venv.step(np.array([4, 0]))
    assert terminated.tolist() == [True, True]
    assert not truncated.any()
    assert rewards.all()
    if AutoresetMode(mode) is AutoresetMode.DISABLED:
        with pytest.raises(RuntimeError, match=r"\[0, 1\] have ended"):
            venv.step(np.array([0, 0]))
        return
    _, rewards, terminated, _, _ = venv.step(np.array([0, 0]))
    if AutoresetMode(mode) is AutoresetMode.SAME_STEP:
        assert infos["final_obs"][0].shape == (32, 32, 3)
        assert terminated.all()
    else:  # that step only reset them
        assert not terminated.any()
        assert not rewards.any()


def test_a_restored_dream_is_paid_the_same(paid: WorldModel) -> None:
    venv = DreamVectorEnv(2, paid, reward="head", exact=True)
    venv.reset(seed=3)
    venv.step(np.array([0, 1]))
    moment = venv.snapshot()
    first = [venv.step(row[:2])[1].tolist() for row in ACTIONS]
    venv.restore(moment)
    assert [venv.step(row[:2])[1].tolist() for row in ACTIONS] == first
    env = DreamEnv(paid, reward="head")
    env.restore(moment.part([1]))
    assert [env.step(int(row[1]))[1] for row in ACTIONS] == [own[1] for own in first]


def test_the_head_reaches_through_gymnasium(paid: WorldModel) -> None:
    env = gymnasium.make("slowfast/Dream-v0", world=paid, reward="head")
    env.reset(seed=0)
    assert float(env.step(0)[1]) != 0
    envs = gymnasium.make_vec(
        "slowfast/Dream-v0", num_envs=2, vectorization_mode="vector_entry_point", world=paid, reward="head"
    )
    envs.reset(seed=0)
    assert envs.step(np.array([0, 1]))[1].all()


@pytest.mark.parametrize("kind", [DreamEnv, DreamVectorEnv])
def test_a_reward_that_is_not_there_is_refused(
    tiny_world: WorldModel, paid: WorldModel, kind: type[DreamEnv] | type[DreamVectorEnv]
) -> None:
    with pytest.raises(ValueError, match=r"'tiny' has no outcome head; `slowfast train outcome`"):
        kind(world=tiny_world, reward="head")
    with pytest.raises(ValueError, match="reward='tail' is not None or 'head'"):
        kind(world=paid, reward="tail")
    with pytest.raises(ValueError, match="two rewards"):
        kind(world=paid, reward="head", reward_fn=lambda frames, actions, info: np.zeros(frames.shape[:2]))
