"""The benchmark of walls: its places are what they are said to be, and both kinds are measured."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("vizdoom")

import policy_tables
import torch
import walls
from walls import Settings, places

from slowfast.envs.doom_rooms.env import DoomRoomsEnv
from slowfast.envs.doom_rooms.motion import FORWARD
from slowfast.envs.doom_rooms.restless import StubbornPolicy
from slowfast.envs.doom_rooms.splits import world_seeds
from slowfast.heads.odometry import Odometry, OdometryConfig
from slowfast.world_model import WorldModel


@pytest.fixture(scope="module")
def env() -> Iterator[DoomRoomsEnv]:
    env = DoomRoomsEnv(size=(32, 32))
    yield env
    env.close()


def test_at_a_wall_nothing_moves_and_in_the_open_every_step_leads_on(env: DoomRoomsEnv) -> None:
    settings = Settings(places=3, ahead=3)
    wall, free = (places(env, world_seeds("validation", 300), settings, at_wall) for at_wall in (True, False))
    assert wall.seen.shape == (3, walls.BEFORE + 1, 32, 32, 3)
    assert not wall.paces.any()
    assert np.array_equal(wall.seen[:, -1], wall.seen[:, -2]), "it has met the wall"
    assert np.array_equal(wall.ahead, wall.seen[:, -1:].repeat(3, 1))
    assert free.paces == pytest.approx(1, abs=0.1)
    for own in (wall, free):
        assert all(moves[-2:] == [FORWARD, FORWARD] and len(moves) == walls.BEFORE for moves in own.moves)
    with pytest.raises(ValueError, match="only 0 rooms have such a place"):
        places(env, [], settings, True)


def test_both_kinds_are_measured_beside_what_really_happens(
    small_world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(StubbornPolicy, "straight", StubbornPolicy.straight[-1:])  # of six episodes, all are stubborn
    world = WorldModel.from_pretrained(small_world)
    world.odometry = Odometry(OdometryConfig(4, world.slow.actions.config.width, 32.0, 22.5, width=8))
    world.save_pretrained(tmp_path / "world")
    threads = torch.get_num_threads()
    settings = Settings(
        (str(tmp_path / "world"),), places=2, ahead=2, episodes=6, threads=1, out=tmp_path / "walls.json"
    )
    try:
        walls.main(settings)
    finally:
        torch.set_num_threads(threads)
    result = json.loads((tmp_path / "walls.json").read_text())
    assert [row["place"] for row in result["rows"]] == ["wall", "open"]
    assert result["walls_met"]["mixed"] < 0.1 < result["walls_met"]["stubborn"]
    assert result["true"]["wall"]["value"] == 0
    assert result["rows"][0]["standing"] == 0
    assert "at a wall | 0.00 [0.00, 0.00] |" in capsys.readouterr().out
    assert "at a wall" in policy_tables.walls_table(result)
    world.odometry = None
    with pytest.raises(ValueError, match="slowfast train odometry"):
        walls.forward(world, torch.zeros(1, 2, 4, 4, 4))
