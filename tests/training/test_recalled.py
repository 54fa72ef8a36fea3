"""Windows that begin with frames from elsewhere in their episode."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from slowfast.training.recalled import with_recalled
from slowfast.training.slow_config import SlowTaskConfig
from tests.training.conftest import SPEC, Setting, task_of


class Panoramas:
    """Two episodes of latents that are random, but for views that come twice."""

    key, spec = "latents", SPEC

    def __init__(self) -> None:
        random = np.random.default_rng(0)
        self.frames = random.normal(size=(2, 20, 4, 2, 2)).astype(np.float32)
        self.frames[:, 15:20] = self.frames[:, 2:7]  # items 15 to 19 show again what 2 to 6 showed
        self.lengths = np.array([19, 19])

    def read(self, i: int, start: int, stop: int) -> np.ndarray:
        return self.frames[i, start:stop]


def batch_at(source: Panoramas, start: int, prefix: int, new: int) -> dict[str, Any]:
    stop = start + prefix + new
    moves = np.tile(np.arange(prefix + new) % 3, (2, 1))
    return {
        "latents": np.stack([source.read(i, start, stop) for i in range(2)]).copy(),
        "actions": SPEC.columns(moves.tolist()),
        "prefix": np.full(2, prefix),
        "episodes": np.arange(2),
        "starts": np.full(2, start),
    }


@pytest.mark.parametrize("new", [1, 3])
def test_the_frames_that_show_what_is_new_come_first(monkeypatch: pytest.MonkeyPatch, new: int) -> None:
    monkeypatch.setattr("slowfast.training.recalled.WRONG", 0.0)
    source = Panoramas()
    batch = batch_at(source, 12, 4, new)  # new items 16 ... show what items 3 ... showed
    before = batch["latents"].copy()
    with_recalled(batch, source, 2, np.random.default_rng(0))
    latents = batch["latents"]
    assert np.array_equal(latents[:, 2:], before[:, 2:])
    assert np.array_equal(latents[:, 0], source.frames[:, 3])
    if new == 3:
        assert any(np.array_equal(latents[0, 1], source.frames[0, k]) for k in (4, 5))
    assert (batch["actions"]["move"][:, :2] == -1).all()
    assert (batch["actions"]["move"][:, 2:] >= 0).all()


def test_wrong_frames_are_of_the_episode_but_not_of_what_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("slowfast.training.recalled.WRONG", 1.0)
    source = Panoramas()
    for seed in range(20):
        batch = batch_at(source, 5, 4, 4)
        with_recalled(batch, source, 2, np.random.default_rng(seed))
        for row in range(2):
            places = [
                {k for k in range(20) if np.array_equal(frame, source.frames[row, k])}
                for frame in batch["latents"][row, :2]
            ]
            assert all(place - set(range(7, 13)) for place in places), "from outside items 7 to 12"


def test_a_prefix_that_is_too_short_is_refused() -> None:
    source = Panoramas()
    with pytest.raises(ValueError, match="2 recalled frames need a prefix of 3"):
        with_recalled(batch_at(source, 5, 2, 2), source, 2, np.random.default_rng(0))
    with pytest.raises(ValueError, match="no shape has a prefix of more than the 4"):
        SlowTaskConfig(recalled=0.5, recalled_frames=4)


def test_a_share_of_the_batches_is_like_that_and_the_world_says_so(setting: Setting) -> None:
    world = setting[0]
    config = world.slow.config
    try:
        task = task_of(setting, recalled=0.5, recalled_frames=1, own_prefix=1.0)
        again = task_of(setting, recalled=0.5, recalled_frames=1, own_prefix=1.0)
        assert world.slow.recalled == 1
        plain = task_of(setting)
        kinds = set()
        for index in range(24):
            batch, other = task.batch(index), again.batch(index)
            assert all((batch.actions[name] == other.actions[name]).all() for name in batch.actions)
            assert (batch.latents == other.latents).all()
            recalled = batch.prefix == 3 and bool((batch.latents[:, 0] != plain.batch(index).latents[:, 0]).any())
            kinds.add((batch.prefix, recalled))
            own = task._with_own_prefix(batch, index)
            kept = 1 + recalled if batch.prefix > 1 else batch.prefix
            assert (own.latents[:, :kept] == batch.latents[:, :kept]).all(), "recalled frames are never the model's own"
        assert {(3, True), (3, False)} <= kinds
    finally:
        world.slow.config = replace(config, recalled=0)
