"""An episode's memory as a PEFT adapter: PEFT itself reads it and computes the same."""

from __future__ import annotations

import copy
import json

import pytest
import torch
from safetensors.torch import load_file

from slowfast.fast import EpisodicMemory, memory_rule

KINDS = ("temporal_attention", "attention", "attention_and_convolutions")


@pytest.mark.parametrize("kind", KINDS)
# Rank 24 is more than the narrowest layers have room for, so their ranks are clamped; alpha is not the rank.
@pytest.mark.parametrize("rank", [4, 24])
def test_peft_reads_the_folder_and_computes_the_same(slow, new_memory, frames, tmp_path, kind, rank) -> None:
    from peft import PeftModel

    memory = new_memory(2, layers=kind, rank=rank, alpha=2 * rank, steps=2)
    memory.append(*frames(2, 5))
    latents, actions = frames(1, 8, start=100)
    level = torch.full((1, 8), 500.0)
    memory.save(tmp_path / "adapter", episode=1)
    other = copy.deepcopy(slow)
    with torch.no_grad():
        plain = slow.predict(latents, level, actions)
        with memory.attached(episodes=[1]):
            expected = slow.predict(latents, level, actions)
        PeftModel.from_pretrained(other.unet, tmp_path / "adapter").eval()  # puts its layers into the network
        read = other.predict(latents, level, actions)
    assert not torch.allclose(plain, expected, atol=1e-3)
    torch.testing.assert_close(read, expected, rtol=1e-4, atol=1e-5)


def test_a_convolution_is_written_with_its_centre_alone(new_memory, frames, tmp_path) -> None:
    memory = new_memory()
    memory.append(*frames(1, 5))
    memory.save(tmp_path, episode=0)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["adapter_config.json", "adapter_model.safetensors"]
    kernels = [t for name, t in load_file(tmp_path / "adapter_model.safetensors").items() if t.shape[2:] == (3, 3)]
    assert kernels
    for kernel in kernels:
        assert kernel[:, :, 1, 1].all()
        assert kernel.count_nonzero() == kernel[:, :, 1, 1].numel()


def test_load_gives_the_weights_and_a_fresh_optimiser(new_memory, frames, predict, tmp_path) -> None:
    memory = new_memory(2)
    memory.append(*frames(2, 9))
    memory.save(tmp_path, episode=1)
    other = new_memory(3)
    other.append(*frames(3, 6))
    before = other.snapshot()
    other.load(tmp_path, episode=2)
    after = other.snapshot()
    assert torch.equal(after.rows[2], memory.snapshot().rows[1])
    assert other.steps.tolist() == [1, 1, 0]
    assert not after.adam.first[2].any()
    assert torch.equal(after.rows[:2], before.rows[:2])
    assert torch.equal(after.adam.first[:2], before.adam.first[:2])
    assert other.frames_pending.tolist() == [1, 1, 0]


def test_an_adapter_of_other_weights_layers_or_rank_is_refused(slow, new_memory, tmp_path) -> None:
    new_memory().save(tmp_path, episode=0)
    stranger = EpisodicMemory(slow, memory_rule("paper", rank=4), 1, 0, 4, 4, base_hash="stranger")
    with pytest.raises(ValueError, match="base base, this world is stranger"):
        stranger.load(tmp_path, episode=0)
    with pytest.raises(ValueError, match="other layers"):
        new_memory(layers="attention").load(tmp_path, episode=0)
    with pytest.raises(ValueError, match="rank 8"):
        new_memory(rank=8).load(tmp_path, episode=0)
    with pytest.raises(ValueError, match="scales"):
        new_memory(alpha=8).load(tmp_path, episode=0)
    with pytest.raises(FileNotFoundError, match=r"adapter_config\.json"):
        new_memory().load(tmp_path / "absent", episode=0)


def test_the_configuration_is_plain_json_for_peft(new_memory, tmp_path) -> None:
    memory = new_memory(rank=24)
    memory.save(tmp_path, episode=0)
    config = json.loads((tmp_path / "adapter_config.json").read_text())
    assert config["peft_type"] == "LORA"
    assert set(config["target_modules"]) == {layer.name for layer in memory.layout.layers}
    assert set(config["rank_pattern"].values()) == {16}
