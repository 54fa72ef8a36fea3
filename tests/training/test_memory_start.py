"""The verb that learns first factors: what it reads, what it writes, and what it refuses."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from slowfast.cli import main
from slowfast.datasets.episode import DatasetError
from slowfast.fast.start import FILE, MemoryStart
from slowfast.heads.inverse_dynamics import InverseDynamics, InverseDynamicsConfig
from slowfast.training.loop_store import MemoryStore, draw_episodes, draw_pairs, last_memories
from slowfast.training.memory_start import start_of, without_start
from slowfast.world_folder import read_config
from slowfast.world_model import WorldModel
from tests.training.test_loop import LOOP, UPDATES, Setting, setting  # noqa: F401 - a fixture

OWN = {"name": "ancestor", "rank": 2, "steps": 2, "learning_rate": 0.05}


@pytest.fixture
def world(setting: Setting, tmp_path: Path) -> Path:  # noqa: F811
    setting.world.config = replace(setting.world.config, memory=dict(OWN))
    setting.world.save_pretrained(tmp_path / "world", dtype=None)
    return tmp_path / "world"


def test_the_last_memories_of_every_episode_are_read(setting: Setting, tmp_path: Path) -> None:  # noqa: F811
    identity = setting.build(tmp_path / "m")
    found, rows = last_memories(tmp_path / "m")
    groups = list(rows)
    assert found == identity
    assert [len(group) for group in groups] == [2, 1]
    pairs = draw_pairs(setting.world, *draw_episodes(setting.latents, LOOP, 3, 0), LOOP)
    last = [pair for pair in pairs if pair.update == UPDATES - 1]
    assert torch.equal(MemoryStore(tmp_path / "m", identity).rows(last), torch.cat(groups))
    setting.build(tmp_path / "n", learns="generated")
    (tmp_path / "n/memories-00000.safetensors").rename(tmp_path / "m/memories-00001.safetensors")
    with pytest.raises(DatasetError, match=r"memories-00001.*other settings than memories-00000"):
        last_memories(tmp_path / "m")
    with pytest.raises(DatasetError, match="is no store of memories"):
        last_memories(tmp_path / "nothing")


def test_memories_of_other_weights_are_refused(setting: Setting, tmp_path: Path) -> None:  # noqa: F811
    identity = setting.build(tmp_path / "m") | {"base_hash": "stranger"}
    with pytest.raises(ValueError, match="learned on other weights"):
        start_of(setting.world, identity, [])


def test_the_verb_writes_the_world_as_it_was_with_a_start(
    world: Path, clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["train", "memory-start", "--world", str(world), "--run", str(tmp_path / "run")]
    learned = [*arguments, "--data", str(clips), "--episodes", "3", "--frames", "13", "--group", "2"]
    assert main(learned) == 0
    assert "random factors: " in capsys.readouterr().out
    model = tmp_path / "run/model"
    for path in world.rglob("*"):
        if path.is_file() and path.name != "world.json":
            assert (model / path.relative_to(world)).read_bytes() == path.read_bytes()
    assert read_config(model) == replace(read_config(world), memory={**OWN, "start": "learned"})
    start = MemoryStart.load(model / FILE)
    base = WorldModel.from_pretrained(model).base_hash
    assert (start.layers, start.rank, start.base_hash) == ("attention", 2, base)

    kept = sorted((tmp_path / "run/memories").iterdir())
    written = [path.stat().st_mtime_ns for path in kept]
    given = ["--world", str(world), "--memories", str(tmp_path / "run/memories"), "--run", str(tmp_path / "again")]
    assert main(["train", "memory-start", *given]) == 0
    assert MemoryStart.load(tmp_path / "again/model" / FILE).digest == start.digest
    assert main(learned) == 0  # exchanges the model, from the memories that are there
    assert [path.stat().st_mtime_ns for path in kept] == written
    assert MemoryStart.load(model / FILE).digest == start.digest


def test_a_start_for_another_rule_stays_beside_the_worlds_own(
    setting: Setting,  # noqa: F811
    world: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    setting.build(tmp_path / "m")
    config = json.loads((world / "world.json").read_text())
    config["memory"]["rank"] = 4
    (world / "world.json").write_text(json.dumps(config))
    given = ["--world", str(world), "--memories", str(tmp_path / "m"), "--run", str(tmp_path / "run")]
    assert main(["train", "memory-start", *given]) == 0
    assert "rank: 2, start: learned}" in capsys.readouterr().out
    assert read_config(tmp_path / "run/model").memory == {**OWN, "rank": 4}


def test_episodes_or_memories_are_asked_for(world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "memory-start", "--world", str(world)]) != 0
    assert "give either --data" in capsys.readouterr().err


def test_weights_that_train_lose_the_start(world: Path) -> None:
    config = replace(read_config(world), memory={**OWN, "start": "learned"})
    assert without_start(config) == read_config(world)


def test_keys_of_an_associative_memory_are_learned_from_clips(
    world: Path, clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rule = "{name: associative, rank: 8}"
    given = ["train", "memory-start", "--world", str(world), "--data", str(clips), "--memory", rule]
    assert main([*given, "--run", str(tmp_path / "blind")]) != 0
    assert "this world has no inverse dynamics" in capsys.readouterr().err
    reads = WorldModel.from_pretrained(world)
    channels, spec = reads.codec.latent_channels, reads.action_spec
    InverseDynamics(InverseDynamicsConfig(channels, spec, width=8)).save_pretrained(world / "inverse_dynamics")
    assert main([*given, "--episodes", "6", "--group", "4", "--run", str(tmp_path / "run")]) == 0
    assert "of the variance of keys" in capsys.readouterr().out
    learned = WorldModel.from_pretrained(tmp_path / "run/model")
    start = learned.memory_start
    assert start is not None
    assert (start.layers, start.rank) == ("associative", 8)
    forth = [*given[:-1], "{name: associative, rank: 8, retrace: false}", "--episodes", "6", "--group", "4"]
    assert main([*forth, "--run", str(tmp_path / "forth")]) == 0
    assert WorldModel.from_pretrained(tmp_path / "forth/model").memory_start.digest != start.digest
    memory = learned.new_memory(2, 0, {"name": "associative", "rank": 8})
    down, up = memory.layout.factors(memory.snapshot().rows)["associative.value"]
    assert torch.equal(down[1], start.down["associative.value"])
    assert not up.any()
    with pytest.raises(ValueError, match="layers 'associative' up to rank 8"):
        learned.new_memory(rule={"name": "associative", "rank": 16})
    assert main([*given, "--episodes", "1", "--group", "4", "--run", str(tmp_path / "few")]) != 0
    assert "8 directions are learned from more than as many frames" in capsys.readouterr().err
    assert learned.base_hash == WorldModel.from_pretrained(world).base_hash
    config = json.loads((world / "world.json").read_text())
    (world / "world.json").write_text(json.dumps({**config, "frame_size": [32, 32]}))
    assert main([*given, "--episodes", "6", "--run", str(tmp_path / "size")]) != 0
    assert "keys are learned from frames of the world's size" in capsys.readouterr().err
