"""Windows that begin with frames from elsewhere in their episode."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from slowfast.heads.poses import PoseScale
from slowfast.slow.windows import Windows
from slowfast.training.recalled import Ahead, EpisodePoses, dreamed_ahead, put_first, recalled_frames
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
    put_first(batch, recalled_frames(batch, source, 2, np.random.default_rng(0))[:, 0], SPEC)
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
        put_first(batch, recalled_frames(batch, source, 2, np.random.default_rng(seed))[:, 0], SPEC)
        for row in range(2):
            places = [
                {k for k in range(20) if np.array_equal(frame, source.frames[row, k])}
                for frame in batch["latents"][row, :2]
            ]
            assert all(place - set(range(7, 13)) for place in places), "from outside items 7 to 12"


def test_with_poses_frames_seen_from_near_by_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("slowfast.training.recalled.WRONG", 0.0)
    source, places = Panoramas(), np.zeros((20, 3), np.float32)
    places[:, 0] = np.abs(np.arange(20) - 9.75)  # out and back: item 12 lies between items 7 and 8
    poses = EpisodePoses([places, places])
    assert poses.scale == PoseScale(pytest.approx(0.986, abs=0.01), 1.0)
    batch = batch_at(source, 8, 3, 3)  # new items 11, 12, 13
    shown = recalled_frames(batch, source, 2, np.random.default_rng(0), ahead=2, poses=poses)
    assert shown.shape == (2, 3, 2, 4, 2, 2)
    for step, near in enumerate([((8, 9), (9,)), ((7,), (8, 9)), ((6,), (7,))]):
        for slot, allowed in enumerate(near):
            assert any(np.array_equal(shown[0, step, slot], source.frames[0, k]) for k in allowed), (step, slot)


def test_the_network_dreams_ahead_with_what_it_is_shown(setting: Setting) -> None:
    slow = setting[0].slow
    generator = torch.Generator().manual_seed(0)
    latents, shown = torch.randn(2, 4, 4, 4, 4, generator=generator), torch.randn(2, 2, 1, 4, 4, 4, generator=generator)
    actions = slow.null_actions(2, 4) | {"move": torch.tensor([[0, 1, 2, 0], [1, 1, 0, 2]])}
    draws = [torch.Generator().manual_seed(row) for row in range(2)]
    made = dreamed_ahead(slow, Ahead(Windows(latents, actions, 2), shown), draws)
    assert made.prefix == 2
    assert made.latents.shape[1] == 3
    assert torch.equal(made.latents[:, 0], shown[:, 1, 0]), "what is shown for the frame that is learned"
    assert torch.equal(made.latents[:, 2], latents[:, 3]), "the truth is learned"
    known = torch.cat([shown[:, 0], latents[:, 1:2]], 1)
    led = {name: torch.cat([slow.null_actions(2, 1)[name], own[:, 1:3]], 1) for name, own in actions.items()}
    again = [torch.Generator().manual_seed(row) for row in range(2)]
    assert torch.equal(made.latents[:, 1:2], slow.generate(known, led, 1, again)), "beside its own frame"
    assert made.actions["move"].tolist() == [[-1, 2, 0], [-1, 0, 2]]


def test_batches_that_are_dreamed_ahead_are_the_same_every_time(setting: Setting) -> None:
    config = setting[0].slow.config
    shapes = ((2, 2, 1.0),)
    try:
        one, other = (task_of(setting, recalled=1.0, recalled_frames=1, recalled_ahead=1, shapes=shapes) for _ in "ab")
        kinds = set()
        for index in range(8):
            batch, again = one.batch(index), other.batch(index)
            kinds.add(type(batch))
            if isinstance(batch, Ahead) and isinstance(again, Ahead):
                assert torch.equal(batch.shown, again.shown)
            loss, figures = one.loss(batch, index)
            assert torch.equal(loss, other.loss(again, index)[0])
            assert set(figures) == {"loss_2+1" if isinstance(batch, Ahead) else "loss_2+2"}
        assert kinds == {Ahead, Windows}
    finally:
        setting[0].slow.config = replace(config, recalled=0)


def test_a_prefix_that_is_too_short_is_refused() -> None:
    source = Panoramas()
    with pytest.raises(ValueError, match="2 recalled frames need a prefix of 3"):
        recalled_frames(batch_at(source, 5, 2, 2), source, 2, np.random.default_rng(0))
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
