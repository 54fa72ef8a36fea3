"""The benchmark of what dreams pay: real rooms and dreams begin alike, and a policy comes from its file."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("stable_baselines3")
pytest.importorskip("vizdoom")

import dream_returns
import policy_tables
import torch
from dream_ppo_agent import Learning, untrained
from dream_returns import Settings, paid
from safetensors.torch import save_model

from slowfast.envs.doom_rooms.splits import world_seeds
from slowfast.evaluation.policies.ground import dreamed_ground, real_ground
from slowfast.evaluation.policies.walkers import Rhythm
from slowfast.heads.odometry import Odometry, OdometryConfig
from slowfast.world_model import WorldModel


@pytest.fixture
def folder(small_world: Path, tmp_path: Path) -> Path:
    world = WorldModel.from_pretrained(small_world)
    world.odometry = Odometry(OdometryConfig(4, world.slow.actions.config.width, 32.0, 22.5, width=8))
    world.save_pretrained(tmp_path / "run" / "model")
    return tmp_path / "run" / "model"


def test_dreams_begin_where_real_episodes_do(folder: Path) -> None:
    world, seeds = WorldModel.from_pretrained(folder), np.array(world_seeds("validation", 2))
    real, dreams = real_ground(world, "validation", 2, 3), dreamed_ground(world, 2, 3)
    frames = real.reset(seed=seeds.tolist())[0][:, -1]
    assert paid(real, Rhythm((0,)), seeds[None]).shape == (2, 3)
    seen = dreams.reset(seed=seeds.tolist(), options={"frames": frames[:, None], "actions": [[], []]})[0]
    assert np.array_equal(seen[:, -1], world.decode(world.encode(frames[:, None]))[:, 0])
    own = [paid(dreams, Rhythm((0,)), seeds[None], [start]) for start in (frames, frames[::-1])]
    assert own[0].shape == (2, 3)
    assert not np.array_equal(*own)
    assert np.array_equal(own[0], paid(dreams, Rhythm((0,)), seeds[None], [frames]))
    real.close()


def test_all_policies_act_in_the_same_places(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    learning, threads = Learning(rollout=8, batch=8, epochs=1, width=8), torch.get_num_threads()
    envs = dreamed_ground(WorldModel.from_pretrained(folder), 2, 4)
    save_model(untrained(envs, learning, 4, 0).policy, str(folder / "real-0.safetensors"))
    out = folder / "returns.json"
    settings = Settings((str(folder),), (folder / "real-0.safetensors",), learning, 4, 2, 4, 2, threads=1, out=out)
    try:
        dream_returns.main(settings)
    finally:
        torch.set_num_threads(threads)
    result = json.loads(out.read_text())
    policies = ["forward", "rhythm", "luck", "real-0"]
    assert [(row["policy"], row["where"]) for row in result["rows"]] == [
        *((name, "real") for name in policies),
        *((name, "run") for name in policies),
    ]
    for row in result["rows"]:
        assert row["return"]["value"] == pytest.approx(2 * sum(row["parts"]))
    assert "| PPO, real frames, as many as were dreamed | dreams of `run` |" in capsys.readouterr().out
    assert "| always forward | real rooms |" in policy_tables.returns_table(result)
    with pytest.raises(SystemExit, match="has to divide"):
        dream_returns.main(Settings(episode=5))
