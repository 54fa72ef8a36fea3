"""A world that ships learned first factors: its memories begin with them, and they go where its weights go."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from slowfast.cli import main
from slowfast.fast.start import FILE
from slowfast.training.memory_start import start_of, write_world
from slowfast.world_model import WorldModel
from tests.training.test_loop import RULE, Setting, setting  # noqa: F401 - a fixture


@pytest.fixture
def started(setting: Setting, tmp_path: Path) -> Path:  # noqa: F811
    world = setting.world
    world.config = replace(world.config, memory={"name": "ancestor", "rank": RULE.rank, "steps": 2})
    world.save_pretrained(tmp_path / "plain")
    world = WorldModel.from_pretrained(tmp_path / "plain")
    rows = torch.randn(3, setting.task(None).layout.width, generator=torch.Generator().manual_seed(0))
    start, _ = start_of(world, {"base_hash": world.base_hash, "rule": RULE.settings()}, [rows])
    assert write_world(tmp_path / "plain", start, tmp_path / "started")
    return tmp_path / "started"


def test_a_worlds_memories_begin_as_its_rule_says(started: Path) -> None:
    world = WorldModel.from_pretrained(started)
    start = world.memory_start
    assert start is not None
    memory = world.new_memory(2)
    assert memory.rule.start == "learned"
    for down, up in memory.layout.factors(memory.snapshot().rows).values():
        assert torch.equal(down[0], down[1])
        assert not up.any()
    name = memory.layout.layers[0].name
    assert torch.equal(memory.layout.factors(memory.snapshot().rows)[name][0][0], start.down[name])
    random = world.new_memory(2, rule={"start": "random"}).snapshot().rows
    assert not torch.equal(random[0], random[1])
    with pytest.raises(ValueError, match="up to rank 2, memory rule 'ancestor' adapts 'attention' at rank 4"):
        world.new_memory(1, rule={"rank": 4})
    plain = WorldModel.from_pretrained(started.parent / "plain")
    assert plain.memory_start is None
    with pytest.raises(ValueError, match="this world ships none"):
        plain.new_memory(1, rule={"start": "learned"})


@pytest.mark.parametrize("dtype", [None, torch.bfloat16])
def test_a_start_goes_where_its_weights_go(started: Path, tmp_path: Path, dtype: torch.dtype | None) -> None:
    world = WorldModel.from_pretrained(started)
    world.save_pretrained(tmp_path / "copy", dtype)
    assert WorldModel.from_pretrained(tmp_path / "copy").new_memory(1).start is not None
    changed = WorldModel.from_pretrained(started)
    with torch.no_grad():
        next(changed.slow.parameters()).add_(1.0)
    changed.save_pretrained(tmp_path / "changed", dtype)
    assert not (tmp_path / "changed" / FILE).exists()


def test_a_loop_reads_the_start_and_its_world_has_none(started: Path, clips: Path, tmp_path: Path) -> None:
    arguments = ["loop", "--data", str(clips), "--world", str(started), "--run", str(tmp_path / "run")]
    arguments += ["--loop.episodes", "2", "--loop.frames", "9", "--loop.group", "2", "--train.steps", "1"]
    arguments += ["--task.validation-windows", "4", "--task.validation-shape", "2", "2", "--task.horizon", "0"]
    arguments += ["--task.shapes", "2", "2", "1.0", "--task.batch-size", "2", "--task.validation-episodes", "4"]
    assert main([*arguments, "--loop.rounds", "2", "--train.no-tensorboard"]) == 0
    world = WorldModel.from_pretrained(tmp_path / "run/model")
    assert world.memory_start is None
    assert world.new_memory(1).rule.start == "random"
