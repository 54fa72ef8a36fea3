"""The benchmark of policies that learn in a dream: all arms, from a world to a table, and on again after a stop."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("stable_baselines3")

import dream_ppo
import policy_tables
import torch
from dream_ppo import Settings
from dream_ppo_agent import Learning

from slowfast.heads.odometry import Odometry, OdometryConfig
from slowfast.world_model import WorldModel


@pytest.fixture
def settings(small_world: Path, tmp_path: Path) -> Settings:
    """Sixteen first frames, four trainings of seconds."""
    world = WorldModel.from_pretrained(small_world)
    world.odometry = Odometry(OdometryConfig(4, world.slow.actions.config.width, 32.0, 22.5, width=8))
    world.save_pretrained(tmp_path / "world")
    return Settings(
        str(tmp_path / "world"),
        frames=20,
        environments=1,
        episode=4,
        trainings=1,
        worlds=2,
        learning=Learning(rollout=8, batch=8, epochs=1, width=8),
        threads=1,
        run=tmp_path / "run",
        out=tmp_path / "result.json",
    )


def test_all_arms_are_tried_in_the_same_worlds_and_a_stop_loses_one_training(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    threads, done = torch.get_num_threads(), []
    measured = dream_ppo.measured

    def counted(*asked: Any) -> dict[str, Any]:
        done.append(asked[3])
        return measured(*asked)

    monkeypatch.setattr(dream_ppo, "measured", counted)
    try:
        dream_ppo.main(settings)
        assert done == ["rhythm", "map", "luck", "few", "real", "dream"]
        (settings.run / "real-0.json").unlink()
        dream_ppo.main(replace(settings, arms=("luck", "real"), out=settings.run / "some.json"))
        assert done[6:] == ["real"]
    finally:
        torch.set_num_threads(threads)
    result = json.loads(settings.out.read_text())
    assert {arm: found["frames"] for arm, found in result["arms"].items()} == {
        **dict.fromkeys(("luck", "rhythm", "map"), 0),
        "few": 16,
        "dream": 16,
        "real": 16,
    }
    assert result["seeds"] == [2_000_000, 2_000_001]
    assert all(len(row["returns"]) == 2 for row in result["rows"])
    assert [len(row["curve"]) for row in result["rows"]] == [0, 0, 0, 2, 2, 2]
    assert (settings.run / "dream-0.safetensors").is_file()
    some = json.loads((settings.run / "some.json").read_text())
    assert list(some["arms"]) == ["luck", "real"]
    assert [(pair["arm"], pair["than"]) for pair in some["more"]] == [("real", "luck")]
    printed = capsys.readouterr().out
    assert "PPO in the dream, training 0" in printed
    assert "| PPO in the dream | 16 | 16 |" in printed


def test_only_a_training_of_the_same_settings_is_taken_over(settings: Settings) -> None:
    world = WorldModel.from_pretrained(settings.world)
    own = {arm: json.loads(json.dumps(dream_ppo.identified(settings, world, arm))) for arm in dream_ppo.ARMS}
    elsewhere = replace(settings, trainings=2, threads=2, run=Path("elsewhere"))
    assert all(own[arm] == dream_ppo.identified(elsewhere, world, arm) for arm in own)
    for other in (replace(settings, episode=3), replace(settings, learning=replace(settings.learning, gamma=0.8))):
        assert all(own[arm] != dream_ppo.identified(other, world, arm) for arm in own)
    dreamt = replace(settings, memory="retrieval")
    assert world.odometry is not None
    with torch.no_grad():
        next(world.odometry.parameters()).add_(1)
    for other in (settings, dreamt):
        assert [arm for arm in own if own[arm] != dream_ppo.identified(other, world, arm)] == ["dream"]


def test_training_worlds_are_not_for_trying(settings: Settings) -> None:
    with pytest.raises(SystemExit, match="--split train"):
        dream_ppo.main(replace(settings, split="train"))


def test_arms_that_are_not_there_are_named(settings: Settings) -> None:
    with pytest.raises(SystemExit, match=r"no \['sleep'\], there are luck"):
        dream_ppo.main(replace(settings, arms=("luck", "sleep")))


def test_the_table_says_who_earned_more_and_what_it_took() -> None:
    interval = {"value": 12.34, "low": 11.0, "high": 13.0}
    arm = {"frames": 24576, "trainings": 3, "return": interval, "shares": [0.2, 0.2, 0.6], "learning_seconds": 930.0}
    arms = {name: {**arm, "frames": 0} if name in ("luck", "rhythm", "map") else arm for name in policy_tables.ARMS}
    result = {
        "world": "doom-rooms",
        "world_frames": 679000,
        "first_frames": 128,
        "settings": {
            "episode": 32,
            "trainings": 3,
            "split": "test",
            "memory": "off",
            "environments": 16,
            "sampling": {"keep_prefix": True},
        },
        "seeds": [1, 2],
        "moves": ["turn left", "turn right", "forward"],
        "machine": {"threads": 2, "cpu": "a CPU"},
        "arms": arms,
        "more": [
            {"arm": "dream", "than": "luck", "value": 8.0, "low": 7.0, "high": 9.0},
            {"arm": "dream", "than": "real", "value": -1.0, "low": -2.0, "high": 0.5},
        ],
    }
    text = policy_tables.policies_table(result)
    assert "| PPO in the dream | 128 | 24,576 | 12.3 [11.0, 13.0] | 60 % | 16 |" in text
    assert "| random moves |  |  | 12.3 [11.0, 13.0] | 60 % |  |" in text
    assert "- PPO in the dream: more than random moves, +8.0 [+7.0, +9.0]." in text
    assert "- PPO in the dream: not surely other than PPO with as many real frames, -1.0 [-2.0, +0.5]." in text
    assert "trained on 679,000 real frames" in text
    assert policy_tables.policies_table(None) == policy_tables.NOT_MEASURED
