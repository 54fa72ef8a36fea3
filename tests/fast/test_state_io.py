"""A whole memory on disk: what follows is the same, strangers are refused, a killed save harms nothing."""

from __future__ import annotations

import json

import pytest
import torch

from slowfast.fast import EpisodicMemory, memory_rule, state_io


def test_a_loaded_memory_goes_on_with_the_same_bits(new_memory, frames, memory_digest, tmp_path) -> None:
    memory = new_memory(2, replay=2, steps=2)
    memory.append(*frames(2, 14))
    memory.append(*frames(1, 2), episodes=[1])
    memory.reset([0])
    memory.save_state(tmp_path / "memory")
    loaded = new_memory(2, replay=2, steps=2)
    loaded.load_state(tmp_path / "memory")
    assert memory_digest(loaded) == memory_digest(memory)
    for each in (memory, loaded):
        each.append(*frames(2, 9))
        each.reset([1])
    assert memory_digest(loaded) == memory_digest(memory)


def test_a_memory_without_frames_can_be_kept(new_memory, memory_digest, tmp_path) -> None:
    memory = new_memory(2, seed=5)
    memory.save_state(tmp_path)
    loaded = new_memory(2, seed=5)
    loaded.reset()
    loaded.load_state(tmp_path)
    assert memory_digest(loaded) == memory_digest(memory)


def test_other_weights_rules_and_sizes_are_refused_by_name(slow, new_memory, memory_digest, tmp_path) -> None:
    new_memory(2).save_state(tmp_path)
    rule = memory_rule("paper", rank=4, learning_rate=1e-2, layers="attention_and_convolutions")
    with pytest.raises(ValueError, match="base base, this world is stranger"):
        EpisodicMemory(slow, rule, 2, 0, 4, 4, base_hash="stranger").load_state(tmp_path)
    other = new_memory(3)
    before = memory_digest(other)
    with pytest.raises(ValueError, match="episodes = 2, this memory 3"):
        other.load_state(tmp_path)
    assert memory_digest(other) == before
    with pytest.raises(ValueError, match="rule"):
        new_memory(2, steps=9).load_state(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"memory\.json"):
        new_memory(2).load_state(tmp_path / "absent")
    header = json.loads((tmp_path / "memory.json").read_text())
    (tmp_path / "memory.json").write_text(json.dumps({**header, "format_version": 99}))
    with pytest.raises(ValueError, match="format version 99"):
        new_memory(2).load_state(tmp_path)


@pytest.mark.parametrize("dies_in", ["write_tensors", "write_text"])
def test_a_killed_save_leaves_the_old_one(new_memory, frames, memory_digest, tmp_path, monkeypatch, dies_in) -> None:
    memory = new_memory()
    memory.append(*frames(1, 5))
    memory.save_state(tmp_path)
    kept = memory_digest(memory)
    memory.append(*frames(1, 4))

    def killed(path, *_) -> None:
        path.with_name(f".{path.name}.0.tmp").write_bytes(b"half a file")
        raise KeyboardInterrupt

    monkeypatch.setattr(state_io, dies_in, killed)
    with pytest.raises(KeyboardInterrupt):
        memory.save_state(tmp_path)
    monkeypatch.undo()
    loaded = new_memory()
    loaded.load_state(tmp_path)
    assert memory_digest(loaded) == kept
    memory.save_state(tmp_path)
    assert len(list(tmp_path.glob("memory-*.safetensors"))) == 1


def test_nothing_on_disk_is_a_pickle(new_memory, frames, tmp_path) -> None:
    memory = new_memory()
    memory.append(*frames(1, 5))
    memory.save_state(tmp_path)
    memory.save(tmp_path, episode=0)
    assert {file.suffix for file in tmp_path.iterdir()} == {".json", ".safetensors"}
    assert torch.equal(state_io.load_state(tmp_path, memory).rows, memory.snapshot().rows)
