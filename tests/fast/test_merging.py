"""One memory merged into a copy of the weights: the same answers as through hooks, and nothing left behind."""

from __future__ import annotations

import pytest
import torch

from slowfast.fast.adapters import is_attached

KINDS = ("temporal_attention", "attention", "attention_and_convolutions")


@pytest.fixture
def predict(slow, frames):
    def call() -> torch.Tensor:
        latents, actions = frames(2, 8, start=100)
        return slow.predict(latents, torch.full((2, 8), 500.0), actions)

    return call


def taught(new_memory, frames, **settings):
    memory = new_memory(1, **settings)
    latents, actions = frames(1, 9)
    memory.append(latents, actions)
    return memory


@pytest.mark.parametrize("kind", KINDS)
def test_merged_answers_equal_those_through_hooks(predict, new_memory, frames, kind) -> None:
    memory = taught(new_memory, frames, layers=kind, steps=3)
    with torch.no_grad():
        plain = predict()
        with memory.attached():
            merged = predict()
    with memory.attached():
        hooked = predict().detach()
    torch.testing.assert_close(merged, hooked, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(merged, plain, atol=1e-3)


def test_the_network_gets_its_own_weights_back(slow, predict, new_memory, frames) -> None:
    memory = taught(new_memory, frames)
    before = dict(slow.unet.named_parameters())
    with torch.no_grad(), memory.attached():
        assert is_attached(slow.unet)
        inside = dict(slow.unet.named_parameters())
        with pytest.raises(RuntimeError, match="attached"), memory.attached():
            pass
    assert not is_attached(slow.unet)
    after = dict(slow.unet.named_parameters())
    assert all(after[name] is before[name] for name in before)
    changed = {name for name in before if inside[name] is not before[name]}
    assert changed == {f"{layer.name}.weight" for layer in memory.layout.layers}


def test_weights_come_back_after_an_error(slow, new_memory, frames) -> None:
    memory = taught(new_memory, frames)
    before = dict(slow.unet.named_parameters())
    with pytest.raises(KeyError), torch.no_grad(), memory.attached():
        raise KeyError
    assert all(parameter is before[name] for name, parameter in slow.unet.named_parameters())


def test_merging_happens_once_and_anew_when_memory_or_network_changed(slow, predict, new_memory, frames) -> None:
    memory = taught(new_memory, frames)

    def inside() -> torch.Tensor:
        with torch.no_grad(), memory.attached():
            return slow.unet.get_submodule(memory.layout.layers[0].name).weight

    first = inside()
    assert inside() is first
    latents, actions = frames(1, 4, start=7)
    memory.append(latents, actions)
    second = inside()
    assert not torch.equal(second, first)
    weight = slow.unet.get_submodule(memory.layout.layers[0].name).weight
    with torch.no_grad():
        weight.mul_(2.0)
    third = inside()
    torch.testing.assert_close(third - weight, second - weight / 2)
    with torch.no_grad():
        weight.div_(2.0)


def test_a_memory_merged_in_inference_mode_serves_outside_of_it(predict, new_memory, frames) -> None:
    memory = taught(new_memory, frames)
    with torch.inference_mode(), memory.attached():
        one = predict()
    with torch.no_grad(), memory.attached():
        other = predict()
    assert torch.equal(one, other)
