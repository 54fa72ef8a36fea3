"""Scene revisit consistency: its ceiling, its frozen control, the share that is closed, and resuming."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from slowfast.evaluation.recall import returning
from slowfast.evaluation.recall.arms import NONE
from slowfast.evaluation.recall.returning import FROZEN, SIMULATOR, Visited, dream_returns, summary, table, visited
from slowfast.evaluation.tours import Tours, record, rooms, turn_and_return
from slowfast.fast import memory_rule
from slowfast.world_model import WorldModel

TURNS = 6
RULES = {"mine": memory_rule("ancestor", steps=2, learning_rate=1e-2, rank=4)}


@pytest.fixture(scope="module")
def world(rooms_world_folder: Path) -> WorldModel:
    return WorldModel.from_pretrained(rooms_world_folder)


@pytest.fixture(scope="module")
def tours(world: WorldModel) -> Tours:
    env = rooms("slowfast/DoomRooms-v0", world.config.frame_size, world.action_spec, {})
    recorded = record(env, range(2_000_000, 2_000_060), 3, turn_and_return(TURNS), 0)
    env.close()
    return recorded


def test_the_simulator_returns_to_itself_and_a_frozen_dream_does_so_without_moving(
    world: WorldModel, tours: Tours, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = dream_returns(world, tours, RULES, 3, 2, tmp_path)
    assert list(frames) == [SIMULATOR, NONE, "mine", FROZEN]
    assert all(clips.shape == tours.frames.shape for clips in frames.values())
    assert not np.array_equal(frames[NONE], frames["mine"])
    found = visited(world, frames)
    assert np.allclose(found[SIMULATOR].src, 100, atol=1e-3)
    given = world.config.context
    assert (frames[FROZEN][:, given:] == tours.frames[:, given - 1 : given]).all()
    assert (found[FROZEN].motion <= found[SIMULATOR].motion).all()

    def never(*_: object) -> None:
        raise AssertionError("dreamed again")

    monkeypatch.setattr(returning, "dream_tours", never)
    again = dream_returns(world, tours, RULES, 3, 2, tmp_path)
    assert all(np.array_equal(frames[arm], again[arm]) for arm in frames)


def test_the_share_that_is_closed_is_of_the_way_from_no_memory_to_the_simulator() -> None:
    def arm(*src: float) -> Visited:
        scores = np.array(src)
        return Visited(scores, np.ones_like(scores), {"adaptive": np.zeros_like(scores), "content": scores})

    found = {SIMULATOR: arm(100, 100), NONE: arm(80, 90), "half": arm(90, 95), "worse": arm(70, 85)}
    result = summary(found)["arms"]
    assert result["half"]["closed"] == {"value": 0.5, "low": 0.5, "high": 0.5}
    assert result["worse"]["closed"]["value"] == -0.5
    assert result[NONE]["closed"] is None
    assert result["half"]["cuts"] == {"adaptive": 0.0, "content": 92.5}
    assert "50 % [50, 50]" in str(table({"arms": result}))
