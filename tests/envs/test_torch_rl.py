"""TorchRL in a dream: its own check of environments, rollouts across ends, and PPO for a few hundred steps."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest
import torch

import slowfast.envs
from slowfast.actions import ActionSpec, Continuous, Keyboard
from slowfast.envs.dream_vector import DreamVectorEnv
from slowfast.world_model import WorldModel

pytest.importorskip("torchrl")


def forward_pays(frames: np.ndarray, actions: Any, info: Any) -> np.ndarray:
    return (actions["move"] == 2).astype(float)


def make(world: WorldModel, **arguments: Any) -> Any:
    settings = {"autoreset_mode": "Disabled", "observation": "latents", "reward_fn": forward_pays}
    return slowfast.envs.to_torchrl(DreamVectorEnv(4, world, **{**settings, **arguments}))


@pytest.mark.parametrize("observation", ["latents", "frames"])
def test_torchrl_finds_nothing_wrong(tiny_world: WorldModel, observation: str) -> None:
    from torchrl.envs.utils import check_env_specs

    check_env_specs(make(tiny_world, observation=observation), seed=0)


def test_a_rollout_goes_on_where_episodes_end(tiny_world: WorldModel) -> None:
    env = make(tiny_world, max_episode_steps=3)
    env.set_seed(5)
    rollout = env.rollout(7, break_when_any_done=False)
    assert rollout.batch_size == (4, 7)
    ended = rollout["next", "truncated"][..., 0]
    assert ended.tolist() == [[step % 3 == 2 for step in range(7)]] * 4
    assert torch.equal(rollout["next", "done"], rollout["next", "truncated"])
    assert rollout["next", "reward"].dtype == torch.float32
    begun = rollout["observation"][:, 1:] != rollout["next", "observation"][:, :-1]
    assert torch.equal(begun.flatten(2).any(-1), ended[:, :-1])
    assert torch.equal(rollout["next", "reward"][..., 0] == 1, rollout["action"] == 2)


def test_environments_begin_anew_one_by_one(tiny_world: WorldModel) -> None:
    env = make(tiny_world)
    env.set_seed(0)  # of eight places to begin at, chance might draw the same twice
    before = env.reset()
    mask = torch.tensor([True, False, False, True])[:, None]
    after = env.reset(before.clone().set("_reset", mask))
    same = (after["observation"] == before["observation"]).flatten(1).all(1)
    assert same.tolist() == [False, True, True, False]


def test_seeds_are_those_of_the_vector(tiny_world: WorldModel) -> None:
    env = make(tiny_world, reward_fn=None)
    env.set_seed(5)
    expected, _ = DreamVectorEnv(4, tiny_world, observation="latents").reset(seed=5)
    assert np.array_equal(env.reset()["observation"].numpy(), expected)


def test_actions_of_several_components_are_nested() -> None:
    from slowfast.envs.torch_rl import _spec

    spec = ActionSpec((Continuous("turn", (-1.0, 0.0), (1.0, 2.0)), Keyboard("keys", ("jump", "fire", "use"))))
    drawn = _spec(spec.to_space(), torch.Size([5])).rand()
    assert {name: tuple(drawn[name].shape) for name in ("turn", "keys")} == {"turn": (5, 2), "keys": (5, 3)}
    assert drawn["turn"][:, 1].min() >= 0


def test_ppo_learns_in_a_dream(tiny_world: WorldModel) -> None:
    from tensordict.nn import TensorDictModule
    from torch import nn
    from torchrl.modules import MLP, ProbabilisticActor, ValueOperator
    from torchrl.objectives import ClipPPOLoss
    from torchrl.objectives.value import GAE

    torch.manual_seed(0)
    env = make(tiny_world, max_episode_steps=8)
    env.set_seed(0)
    flat = nn.Flatten(-3)
    logits = TensorDictModule(
        nn.Sequential(flat, MLP(out_features=5, num_cells=[32])), in_keys=["observation"], out_keys=["logits"]
    )
    actor = ProbabilisticActor(
        logits, in_keys=["logits"], distribution_class=torch.distributions.Categorical, return_log_prob=True
    )
    critic = ValueOperator(nn.Sequential(flat, MLP(out_features=1, num_cells=[32])), in_keys=["observation"])
    actor(env.reset()), critic(env.reset())  # lazy layers get their sizes
    advantage, loss = GAE(gamma=0.9, lmbda=0.9, value_network=critic), ClipPPOLoss(actor, critic)
    optimiser = torch.optim.Adam(loss.parameters(), lr=5e-3)
    paid = []
    for _ in range(10):
        with torch.no_grad():
            batch = env.rollout(16, actor, break_when_any_done=False)
            advantage(batch)
        paid.append(float(batch["next", "reward"].mean()))
        for _ in range(6):
            losses = loss(batch.reshape(-1))
            optimiser.zero_grad()
            sum(losses[name] for name in ("loss_objective", "loss_critic", "loss_entropy")).backward()
            optimiser.step()
    assert np.mean(paid[-2:]) > np.mean(paid[:2]) + 0.2  # by luck 0.2


def test_other_ways_of_resetting_are_refused(tiny_world: WorldModel) -> None:
    with pytest.raises(ValueError, match="autoreset_mode='Disabled'"):
        slowfast.envs.to_torchrl(DreamVectorEnv(2, tiny_world))


def test_without_the_extra_it_is_named(tiny_world: WorldModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "slowfast.envs.torch_rl", None)
    with pytest.raises(ImportError, match=r"slowfast\[rl\]"):
        slowfast.envs.to_torchrl(DreamVectorEnv(2, tiny_world))
