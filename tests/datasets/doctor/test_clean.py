"""On data without faults the doctor is silent."""

from __future__ import annotations

from pathlib import Path

import doctor_scenes as scenes
import numpy as np
import pytest

from slowfast.datasets.episode import Episode


def test_nothing_is_said_of_clean_discrete_moves(tmp_path: Path, moving: list[Episode]) -> None:
    assert scenes.found(scenes.written(tmp_path / "data", moving)) == []


def test_nothing_is_said_of_clean_continuous_actions(tmp_path: Path, panning: list[Episode]) -> None:
    assert scenes.found(scenes.written(tmp_path / "data", panning)) == []


@pytest.fixture(scope="session")
def rooms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few real clips, as `slowfast collect` makes them."""
    pytest.importorskip("vizdoom")
    import slowfast  # noqa: F401 - registers the environment
    from slowfast.datasets.collect import collect

    folder = tmp_path_factory.mktemp("rooms")
    for split, seeds in (("train", range(8)), ("validation", range(100, 103))):
        policy = "slowfast.envs.policies:make_policy:explore"
        collect("slowfast/DoomRooms-v0", policy, seeds, folder / split, steps=64)
    return folder


def test_nothing_is_wrong_with_rooms_that_were_collected(rooms: Path) -> None:
    examination = scenes.examined(rooms)
    assert scenes.alarms(examination.findings) == []
    assert examination.summary["splits"]["train"]["measured"]["alignment"]["offset"] == 0


def test_a_world_in_which_little_moves_before_a_fixed_camera_is_no_copy_of_itself(tmp_path: Path) -> None:
    background = scenes.picture(np.random.default_rng(0), 48, 64)

    def episode(seed: int) -> Episode:
        random = np.random.default_rng((seed, 3))
        moves = random.integers(0, 5, 60)
        frames = np.repeat(background[None], 61, 0)
        places = np.clip(random.integers(8, (32, 48)) + np.cumsum(scenes.STEPS[np.r_[4, moves]] // 2, 0), 0, (42, 58))
        for frame, (y, x) in zip(frames, places, strict=True):
            frame[y : y + 6, x : x + 6] = (250, 40, 40)
        return Episode({"camera": frames}, {"move": moves}, scenes.DISCRETE, fps=10.0)

    train = scenes.written(tmp_path / "data/train", (episode(seed) for seed in range(12)))
    scenes.written(tmp_path / "data/validation", (episode(seed) for seed in range(50, 54)))
    assert scenes.alarms(scenes.found(train.parent)) == []
