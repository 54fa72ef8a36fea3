"""The streamed loop: memories beside the weights that train, each window once, exact resume, the control."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from slowfast.cli import main
from slowfast.fast.adapters import AdapterLayout
from slowfast.training.config import TrainConfig
from slowfast.training.loop_live import Following, LiveLoopTask
from slowfast.training.loop_store import draw_episodes, offsets, read_windows
from slowfast.training.slow_task import SlowTask
from slowfast.training.task import StatefulTask
from slowfast.training.trainer import Trainer
from tests.training.test_loop import LOOP, RULE, TASK, UPDATES, Setting, setting  # noqa: F401 - a fixture

CONFIG = replace(TASK, batch_size=2)
LIVE = replace(LOOP, memories="live", episodes=4)


def live_task(setting: Setting, attach: bool = True, processes: int = 1, **changes: Any) -> LiveLoopTask:  # noqa: F811
    world, loop = setting.world, replace(LIVE, **changes)
    layout = AdapterLayout.of(world.slow.unet, world.slow.memory_layers(RULE.layers), RULE.rank, RULE.scaled_by)
    drawn = draw_episodes(setting.latents, loop, 3, 0)
    memory = world.new_memory(CONFIG.batch_size, 3, RULE) if attach else None
    measured = dict(setting.splits.measured)
    return LiveLoopTask(world, CONFIG, setting.latents, measured, *drawn, memory, layout, loop, 3, processes)


def shown(task: LiveLoopTask, indices: range) -> list[tuple[int, int]]:
    """Episodes and first frames of the windows of these batches, in order."""
    found = []
    for index in indices:
        group, window = task.place(index)
        if window is not None:
            episodes, starts = task.group(group)
            found += list(zip(episodes.tolist(), (starts + task.offsets[window]).tolist(), strict=True))
    return found


def test_every_window_comes_once_a_pass_and_episodes_go_on_in_their_order(setting: Setting) -> None:  # noqa: F811
    task = live_task(setting)
    batches = LIVE.episodes // CONFIG.batch_size * UPDATES
    first, second = shown(task, range(batches)), shown(task, range(batches, 2 * batches))
    assert len(set(first)) == len(first) == LIVE.episodes * UPDATES
    assert set(second) == set(first)
    assert second != first  # a pass in an order of its own
    for row in range(CONFIG.batch_size):
        one = first[row : UPDATES * CONFIG.batch_size : CONFIG.batch_size]
        assert len({episode for episode, _ in one}) == 1
        assert np.diff([start for _, start in one]).tolist() == [2] * (UPDATES - 1)


def test_several_processes_share_the_episodes(setting: Setting) -> None:  # noqa: F811
    task, batches = live_task(setting, processes=2), 2 * UPDATES
    one, other = shown(task, range(0, batches, 2)), shown(task, range(1, batches, 2))
    assert not set(one) & set(other)
    assert len(set(one + other)) == LIVE.episodes * UPDATES


def test_a_share_of_batches_is_the_slow_learners_own(setting: Setting) -> None:  # noqa: F811
    task = live_task(setting, plain=0.5)
    windows = [task.place(index)[1] for index in range(8 * UPDATES)]
    assert windows.count(None) == 4 * UPDATES
    assert [window for window in windows if window is not None] == list(range(UPDATES)) * 4
    assert len({tuple(w is None for w in windows[n :: 2 * UPDATES]) for n in range(2 * UPDATES)}) > 1
    assert not isinstance(task.batch(windows.index(None)), Following)
    with pytest.raises(ValueError, match="with live memories plain is below 1"):
        replace(LIVE, plain=1.0)


def test_a_window_is_read_with_what_was_learned_before_it_and_learned_with_the_weights_after_it(
    setting: Setting,  # noqa: F811
) -> None:
    task, world = live_task(setting), setting.world
    world.slow.requires_grad_(True)
    episodes, starts = task.group(0)
    memory = world.new_memory(CONFIG.batch_size, 3, RULE)
    seeds = np.random.SeedSequence((3, 56, 0)).generate_state(CONFIG.batch_size)
    memory.reset(seeds=seeds.tolist())
    for window in range(3):
        task.loss(task.batch(window), window)
        assert task.memory is not None
        assert torch.equal(task.memory.snapshot().rows, memory.snapshot().rows)
        layer = task.layout.layers[0].name
        assert bool(task.memory.delta(layer, 0).any()) is (window > 0)
        with torch.no_grad():  # a step of the slow learner
            for parameter in world.slow.parameters():
                parameter.add_(1e-3)
        memory.study(read_windows(world, setting.latents, episodes, starts + offsets(world, LIVE)[window]))


def test_the_step_changes_the_network_and_reads_but_never_trains_the_memory(setting: Setting) -> None:  # noqa: F811
    task, control = live_task(setting), live_task(setting, attach=False)
    setting.world.slow.requires_grad_(True)
    setting.world.slow.train()
    batch, same = task.batch(2), control.batch(2)
    assert torch.equal(batch.windows.latents, same.windows.latents)
    loss, figures = task.loss(batch, 2)
    plain, _ = control.loss(same, 2)
    assert setting.world.slow.training
    assert float(loss.detach()) != float(plain.detach())
    assert figures.keys() == {"loss_remembered"}
    assert task.memory is not None
    before = task.memory.snapshot().rows.clone()
    loss.backward()
    assert all(
        setting.world.slow.unet.get_submodule(layer.name).weight.grad is not None for layer in task.layout.layers
    )
    assert torch.equal(task.memory.snapshot().rows, before)
    assert control.state() == {}


def test_new_episodes_begin_with_memories_without_effect(setting: Setting) -> None:  # noqa: F811
    task = live_task(setting)
    task.loss(task.batch(UPDATES - 1), UPDATES - 1)
    assert task.memory is not None
    learned = task.memory.snapshot().rows
    task.loss(task.batch(UPDATES), UPDATES)
    assert not task.memory.delta(task.layout.layers[0].name, 0).any()
    assert task.memory.steps.tolist() == [0, 0]
    assert not torch.equal(task.memory.snapshot().rows, learned)


def test_memories_that_stand_elsewhere_learn_the_windows_before_anew(setting: Setting) -> None:  # noqa: F811
    straight, jumped = live_task(setting), live_task(setting)
    for index in range(4):
        straight.follow(*straight.place(index))  # type: ignore[arg-type]
    jumped.follow(1, 2)
    jumped.follow(0, 3)
    assert straight.memory is not None
    assert jumped.memory is not None
    assert torch.equal(straight.memory.snapshot().rows, jumped.memory.snapshot().rows)


def test_generated_chunks_teach_another_memory_than_real_ones(setting: Setting) -> None:  # noqa: F811
    rows = []
    for learns in ("real", "generated", "generated"):
        task = live_task(setting, learns=learns)
        task.follow(0, 2)
        assert task.memory is not None
        rows.append(task.memory.snapshot().rows)
    assert not torch.equal(rows[0], rows[1])
    assert torch.equal(rows[1], rows[2])


class Stopping(LiveLoopTask):
    """Fails in the middle of a run, as one that is killed does; nothing is written then."""

    stop_at = 7

    def loss(self, batch: Any, index: int) -> Any:
        if index == self.stop_at:
            raise KeyboardInterrupt
        return super().loss(batch, index)


def test_a_killed_run_that_is_continued_ends_with_the_same_bits(
    setting: Setting,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(SlowTask, "validate", lambda *_: {})
    monkeypatch.setattr(SlowTask, "save", lambda _, folder: folder.mkdir())
    config = TrainConfig(steps=4, checkpoint_every=2, gradient_accumulation=2, learning_rate=1e-2, tensorboard=False)
    weights = {name: value.clone() for name, value in setting.world.slow.state_dict().items()}

    def train(folder: str, kind: type[LiveLoopTask] = LiveLoopTask) -> None:
        setting.world.slow.load_state_dict(weights)
        setting.world.slow.requires_grad_(True)
        setting.world.slow.zero_grad()  # a new process holds none of what a killed one had gathered
        task = live_task(setting)
        task.__class__ = kind
        assert isinstance(task, StatefulTask)
        Trainer(task, config, tmp_path / folder).train()

    train("straight")
    with pytest.raises(KeyboardInterrupt):
        train("killed", Stopping)
    last = tmp_path / "killed/checkpoints/step-00000002"
    assert load_file(last / "task.0.safetensors")["at"].tolist() == [0, 3]  # batch 4 is the next, it learns window 3
    train("killed")
    ends = [tmp_path / run / "checkpoints/step-00000004" for run in ("straight", "killed")]
    for name in ("weights", "moments", "task.0"):
        one, other = (load_file(end / f"{name}.safetensors") for end in ends)
        assert one.keys() == other.keys()
        assert all(torch.equal(one[key], other[key]) for key in one), name
    # Guards the test: without the memories that the checkpoint kept, the bits do differ.
    shutil.rmtree(ends[1])
    (last / "task.0.safetensors").unlink()
    train("killed")
    one, other = (load_file(end / "task.0.safetensors")["rows"] for end in ends)
    assert not torch.equal(one, other)


def test_the_verb_trains_with_live_memories_and_stores_none(
    setting: Setting,  # noqa: F811
    clips: Path,
    tmp_path: Path,
) -> None:
    setting.world.save_pretrained(tmp_path / "world")
    arguments = ["loop", "--data", str(clips), "--world", str(tmp_path / "world"), "--run", str(tmp_path / "run")]
    arguments += ["--memory", "{name: ancestor, rank: 2, steps: 1, learning_rate: 0.01}", "--loop.episodes", "4"]
    arguments += ["--loop.frames", "9", "--loop.memories", "live", "--loop.rounds", "1", "--train.steps", "3"]
    arguments += ["--task.validation-windows", "4", "--task.validation-shape", "2", "2", "--task.horizon", "0"]
    arguments += ["--task.shapes", "2", "2", "1.0", "--task.batch-size", "2", "--task.validation-episodes", "4"]
    assert main([*arguments, "--train.no-tensorboard", "--loop.plain", "0.0"]) == 0
    assert (tmp_path / "run/model/world.json").is_file()
    assert not (tmp_path / "run/round-00/memories").exists()
    assert (tmp_path / "run/round-00/checkpoints/step-00000003/task.0.safetensors").is_file()
