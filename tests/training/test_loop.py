"""The slow-fast loop: what the store holds, what the outer loop may change, rounds, resuming and the control."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from slowfast.cli import main
from slowfast.codecs.image_vae import ImageVAE, ImageVAEConfig
from slowfast.datasets.episode import DatasetError
from slowfast.datasets.sources import EpisodeSource
from slowfast.fast import memory_rule
from slowfast.fast.adapters import AdapterLayout
from slowfast.slow.build import SchedulerConfig, UNetConfig
from slowfast.slow.masked_diffusion import MaskedDiffusionConfig
from slowfast.training import loop_store
from slowfast.training.latents import latents_of
from slowfast.training.loop_config import LoopConfig
from slowfast.training.loop_store import MemoryStore, build, draw_episodes, draw_pairs, read_windows
from slowfast.training.loop_task import LoopTask, Remembered
from slowfast.training.slow_config import SlowTaskConfig
from slowfast.training.slow_world import new_world, world_config
from slowfast.training.splits import Splits, open_splits
from slowfast.world_model import WorldModel

LOOP = LoopConfig(rounds=2, episodes=3, frames=13, group=2, plain=0.0)
RULE = memory_rule("ancestor", steps=2, learning_rate=0.05, rank=2)
UPDATES = 5  # windows of 2 + 2 frames in 13
TASK = SlowTaskConfig(batch_size=4, shapes=((2, 2, 1.0),), validation_windows=4, validation_shape=(2, 2), horizon=0)


class Setting:
    def __init__(self, world: WorldModel, splits: Splits, latents: EpisodeSource) -> None:
        self.world, self.splits, self.latents = world, splits, latents

    def build(self, folder: Path, number: int = 0, **changes: Any) -> dict[str, Any]:
        return build(self.world, self.latents, RULE, replace(LOOP, **changes), 3, number, folder)

    def task(self, folder: Path | None, plain: float = 0.0) -> LoopTask:
        store = None if folder is None else MemoryStore(folder, self.build(folder))
        unet = self.world.slow.unet
        layout = AdapterLayout.of(unet, unet.memory_layers(RULE.layers), RULE.rank, RULE.scaled_by)
        pairs = draw_pairs(self.world, *draw_episodes(self.latents, LOOP, 3, 0), LOOP)
        return LoopTask(self.world, TASK, self.latents, dict(self.splits.measured), pairs, store, layout, plain, 3)


@pytest.fixture
def setting(clips: Path, tmp_path: Path) -> Setting:
    torch.manual_seed(0)
    codec = ImageVAE.create(ImageVAEConfig(latent_channels=4, widths=(8, 8, 8), norm_groups=4))
    codec.save_pretrained(tmp_path / "codec")
    splits = open_splits(clips, 4)
    network = UNetConfig(widths=(16, 16), head_size=8, norm_groups=4, text_width=8)
    parts = (network, SchedulerConfig(), MaskedDiffusionConfig(window=4, steps=2))
    config = world_config(splits.validation, "ring", 2, 2, {"name": "paper"})
    world = new_world(config, splits.validation, tmp_path / "codec", parts, {}, seed=0)
    with torch.no_grad():
        for parameter in world.slow.parameters():
            if not parameter.any():
                parameter.normal_(0, 0.1)
    return Setting(world, splits, latents_of(splits.train, world.codec, tmp_path / "latents"))


def test_a_store_has_a_memory_for_every_chunk_of_every_episode(setting: Setting, tmp_path: Path) -> None:
    store = MemoryStore(tmp_path / "m", setting.build(tmp_path / "m"))
    pairs = draw_pairs(setting.world, *draw_episodes(setting.latents, LOOP, 3, 0), LOOP)
    assert len(pairs) == LOOP.episodes * UPDATES
    assert len({(pair.episode, pair.start) for pair in pairs}) == len(pairs)
    rows = store.rows(pairs)
    assert rows.dtype == torch.float32
    layout = setting.task(None).layout
    for pair, row in zip(pairs, rows, strict=True):
        change = layout.delta(row, layout.layers[0].name)
        assert bool(change.any()) is (pair.update > 0)  # the first memory of an episode has no effect
    episode = [row for pair, row in zip(pairs, rows, strict=True) if pair.episode == pairs[0].episode]
    assert all(not torch.equal(one, other) for one, other in itertools.pairwise(episode))


def test_a_stored_memory_is_the_one_before_the_window_it_stands_with(setting: Setting, tmp_path: Path) -> None:
    setting.build(tmp_path / "m")
    episodes, starts = draw_episodes(setting.latents, LOOP, 3, 0)
    group = slice(0, LOOP.group)
    seed = int(np.random.SeedSequence((3, 0, 0)).generate_state(1)[0])
    memory = setting.world.new_memory(LOOP.group, seed, RULE)
    memory.study(read_windows(setting.world, setting.latents, episodes[group], starts[group]))
    pairs = draw_pairs(setting.world, episodes, starts, LOOP)
    second = [pair for pair in pairs if pair.update == 1 and pair.file == 0]
    rows = MemoryStore(tmp_path / "m", setting.build(tmp_path / "m")).rows(second)
    assert torch.equal(rows, memory.snapshot().rows.half().float())


def test_finished_groups_are_kept_and_other_memories_refused(
    setting: Setting, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    identity = setting.build(tmp_path / "m")
    next(iter(sorted((tmp_path / "m").glob("*.safetensors")))).unlink()
    built = []
    inner = loop_store.inner_loop
    monkeypatch.setattr(loop_store, "inner_loop", lambda *given: built.append(len(given[2])) or inner(*given))
    assert setting.build(tmp_path / "m") == identity
    assert built == [LOOP.group]  # the one that was missing
    with pytest.raises(DatasetError, match="other weights"):
        MemoryStore(tmp_path / "m", setting.build(tmp_path / "n", number=1))
    with pytest.raises(DatasetError, match="build the store first"):
        MemoryStore(tmp_path / "nothing", identity)


def test_processes_share_the_groups(setting: Setting, tmp_path: Path) -> None:
    for rank in range(2):
        build(setting.world, setting.latents, RULE, LOOP, 3, 0, tmp_path / "m", (rank, 2))
        assert len(list((tmp_path / "m").glob("*.safetensors"))) == rank + 1


def test_generated_chunks_teach_another_memory_than_real_ones(setting: Setting, tmp_path: Path) -> None:
    pairs = draw_pairs(setting.world, *draw_episodes(setting.latents, LOOP, 3, 0), LOOP)
    real, made = (
        MemoryStore(tmp_path / learns, setting.build(tmp_path / learns, learns=learns)).rows(pairs)
        for learns in ("real", "generated")
    )
    first = [number for number, pair in enumerate(pairs) if pair.update == 0]
    later = [number for number, pair in enumerate(pairs) if pair.update == 1]
    assert torch.equal(real[first], made[first])
    assert not torch.equal(real[later], made[later])


def test_the_outer_loop_changes_the_network_and_no_memory(setting: Setting, tmp_path: Path) -> None:
    task = setting.task(tmp_path / "m")
    setting.world.slow.requires_grad_(True)
    batch = task.batch(0)
    assert isinstance(batch, Remembered)
    assert batch.rows is not None
    before = batch.rows.clone()
    loss, _ = task.loss(batch, 0)
    loss.backward()
    assert batch.rows.grad is None
    assert torch.equal(batch.rows, before)
    adapted = [setting.world.slow.unet.get_submodule(layer.name) for layer in task.layout.layers]
    assert all(module.weight.grad is not None for module in adapted)
    plain, _ = setting.task(None).loss(Remembered(batch.windows, None), 0)
    assert float(plain.detach()) != float(loss.detach())  # the memory was read


def test_pairs_come_once_before_any_comes_again_with_and_without_memories(setting: Setting, tmp_path: Path) -> None:
    task, control = setting.task(tmp_path / "m"), setting.task(None)
    asked: list[Any] = []
    store = task.store
    assert store is not None
    rows = store.rows
    store.rows = lambda pairs: asked.extend(pairs) or rows(pairs)  # type: ignore[method-assign,func-returns-value]
    for index in range(4):
        one, other = task.batch(index), control.batch(index)
        assert torch.equal(one.windows.latents, other.windows.latents)
        assert other.rows is None
        assert torch.equal(task.batch(index).windows.latents, one.windows.latents)
    first = asked[0:4] + asked[8:12] + asked[16:20] + asked[24:27]
    assert len(set(first)) == len(task.pairs) == 15


def test_a_share_of_batches_is_the_slow_learners_own(setting: Setting) -> None:
    task = setting.task(None, plain=0.5)
    kinds = [isinstance(task.batch(index), Remembered) for index in range(20)]
    assert 4 < sum(kinds) < 16


def test_too_few_episodes_are_an_error(setting: Setting) -> None:
    with pytest.raises(ValueError, match="16 training episodes have 13 frames, the loop takes 40"):
        draw_episodes(setting.latents, replace(LOOP, episodes=40), 0, 0)


def test_rounds_build_on_each_other_and_a_finished_run_goes_through(
    setting: Setting, clips: Path, tmp_path: Path
) -> None:
    setting.world.save_pretrained(tmp_path / "world", dtype=None)  # an export of a round is rounded
    arguments = ["loop", "--data", str(clips), "--world", str(tmp_path / "world"), "--run", str(tmp_path / "run")]
    arguments += ["--memory", "{name: ancestor, rank: 2, steps: 1, learning_rate: 0.01}", "--loop.episodes", "3"]
    arguments += ["--loop.frames", "9", "--loop.group", "3", "--train.steps", "2", "--train.no-tensorboard"]
    arguments += ["--task.validation-windows", "4", "--task.validation-shape", "2", "2", "--task.horizon", "0"]
    arguments += ["--task.shapes", "2", "2", "1.0", "--task.batch-size", "4", "--task.validation-episodes", "4"]
    assert main(arguments) == 0
    stores = [sorted((tmp_path / f"run/round-0{number}/memories").glob("*")) for number in (0, 1)]
    assert [len(store) for store in stores] == [1, 1]
    assert stores[0][0].read_bytes() != stores[1][0].read_bytes()  # built anew, on the new weights
    worlds = [WorldModel.from_pretrained(tmp_path / path) for path in ("world", "run/round-00/model", "run/model")]
    assert len({world.base_hash for world in worlds}) == 3
    written = [path.stat().st_mtime_ns for store in stores for path in store]
    assert main(arguments) == 0
    assert [path.stat().st_mtime_ns for store in stores for path in store] == written
    control = [*arguments, "--run", str(tmp_path / "control"), "--loop.no-attach", "--loop.rounds", "1"]
    assert main(control) == 0
    assert not (tmp_path / "control/round-00/memories").exists()


def test_a_store_of_an_earlier_version_is_still_accepted(setting: Setting, tmp_path: Path) -> None:
    """A rule's later settings are no part of what identifies a store while they are at their defaults."""
    identity = setting.build(tmp_path / "m")
    assert not {"optimiser", "damping", "start"} & identity["rule"].keys()
    other = build(
        setting.world, setting.latents, replace(RULE, optimiser="momentum"), LOOP, 3, 0, tmp_path / "momentum"
    )
    assert other["rule"] == {**identity["rule"], "optimiser": "momentum"}
    with pytest.raises(DatasetError, match="another rule"):
        MemoryStore(tmp_path / "m", other)


def test_a_rule_that_learns_nothing_has_nothing_to_store(setting: Setting, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="'retrieval' learns in 0 steps"):
        build(setting.world, setting.latents, memory_rule("retrieval", recalled=0), LOOP, 3, 0, tmp_path / "m")
