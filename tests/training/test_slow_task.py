"""The slow learner's task: batches, losses, self-made prefixes as functions of (seed, index), and what it measures."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from slowfast.world_model import WorldModel
from tests.training.conftest import Setting, task_of


def test_batches_and_losses_are_functions_of_the_index(setting: Setting) -> None:
    task, again = task_of(setting), task_of(setting)
    task.module.eval()
    again.batch(0)
    for index in (3, 4):
        one, other = task.batch(index), again.batch(index)
        assert one.prefix == other.prefix
        assert torch.equal(one.latents, other.latents)
        assert all(torch.equal(one.actions[name], other.actions[name]) for name in one.actions)
        assert float(task.loss(one, index)[0].detach()) == float(again.loss(other, index)[0].detach())
    assert not torch.equal(task.batch(3).actions["move"], task.batch(30).actions["move"])


def test_all_shapes_come_up_and_are_logged_apart(setting: Setting) -> None:
    task = task_of(setting)
    seen = {next(iter(task.loss(task.batch(index), index)[1])) for index in range(24)}
    assert seen == {"loss_3+1", "loss_0+4", "loss_1+2"}


def test_an_own_prefix_replaces_the_end_of_the_prefix_and_nothing_else(setting: Setting) -> None:
    task = task_of(setting, own_prefix=1.0, shapes=((3, 1, 1.0),))
    task.module.train()
    kept = set()
    for index in range(8):
        batch = task.batch(index)
        made = task._with_own_prefix(batch, index)
        same = [torch.equal(made.latents[:, frame], batch.latents[:, frame]) for frame in range(4)]
        assert same[0]
        assert not same[2]
        assert same[3]
        kept.add(same[1])
        assert torch.equal(made.latents, task._with_own_prefix(batch, index).latents)
        assert not made.latents.requires_grad
    assert kept == {True, False}
    assert task.module.training
    assert task_of(setting, own_prefix=0.0)._with_own_prefix(batch, 0) is batch


def test_prefix_noise_reaches_the_loss(setting: Setting) -> None:
    plain, noisy = (task_of(setting, prefix_noise=noise, shapes=((3, 1, 1.0),)) for noise in (0.0, 0.5))
    plain.module.eval()
    assert float(plain.loss(plain.batch(1), 1)[0].detach()) != float(noisy.loss(noisy.batch(1), 1)[0].detach())


def test_validation_is_repeatable_and_draws_nothing_globally(setting: Setting, tmp_path: Path) -> None:
    task = task_of(setting)
    task.module.eval()
    before = torch.get_rng_state()
    with torch.no_grad():
        first = task.validate(1, tmp_path)
        assert torch.equal(before, torch.get_rng_state())
        torch.rand(5)
        assert task.validate(1, tmp_path) == first
    assert {path.name for path in tmp_path.iterdir()} == {"chunk-00000001.png"}


def test_the_export_is_the_world_with_the_codec_it_was_trained_on(setting: Setting, tmp_path: Path) -> None:
    task = task_of(setting, export="float32", starts=5)
    task.save(tmp_path)
    loaded = WorldModel.from_pretrained(tmp_path)
    assert loaded.base_hash == task.world.base_hash
    assert len(loaded.starts) == 5
    assert loaded.starts.frames.shape[1:] == (2, *loaded.config.frame_size, 3)
    assert loaded.starts.actions["move"].shape == (5, 1)
    assert loaded.config == task.world.config
    assert loaded.action_spec == task.world.action_spec


def test_windows_longer_than_the_network_takes_are_refused(setting: Setting) -> None:
    with pytest.raises(ValueError, match="window of 4"):
        task_of(setting, shapes=((3, 2, 1.0),))
    with pytest.raises(ValueError, match="window of 4"):
        task_of(setting, validation_shape=(3, 2))
