"""Stacked low-rank paths: no effect when fresh, exact removal, one network for one reader at a time."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from slowfast.fast.adapters import AdapterLayout, attached, is_attached

KINDS = ("temporal_attention", "attention", "attention_and_convolutions")


def random_rows(layout: AdapterLayout, episodes: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(episodes, layout.width, generator=torch.Generator().manual_seed(seed)) * 0.1


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("kind", KINDS)
def test_fresh_memory_leaves_every_bit_of_the_output(slow, frames, kind, dtype) -> None:
    slow = copy.deepcopy(slow).to(dtype)
    latents, actions = frames(2, 8)
    level = torch.full((2, 8), 300.0)
    layout = AdapterLayout.of(slow.unet, slow.memory_layers(kind), rank=4, alpha=4)
    rows = layout.fresh([torch.Generator().manual_seed(seed) for seed in range(2)])
    with torch.no_grad():
        plain = slow.predict(latents, level, actions)
        with attached(slow.unet, layout, rows):
            read = slow.predict(latents, level, actions)
    assert torch.equal(plain, read)


def test_learned_memory_changes_the_output_and_leaves_no_trace(slow, predict) -> None:
    plain = predict(2)
    layout = AdapterLayout.of(slow.unet, slow.memory_layers("attention_and_convolutions"), rank=4, alpha=4)
    with attached(slow.unet, layout, random_rows(layout, 2)):
        assert not torch.allclose(predict(2), plain, atol=1e-3)
    assert torch.equal(predict(2), plain)


@pytest.mark.parametrize("kind", KINDS)
def test_merged_equals_unmerged(slow, predict, frames, kind) -> None:
    layout = AdapterLayout.of(slow.unet, slow.memory_layers(kind), rank=4, alpha=2)
    rows = random_rows(layout, 1)
    with attached(slow.unet, layout, rows):
        unmerged = predict(1)
    merged = copy.deepcopy(slow)
    modules = dict(merged.unet.named_modules())
    latents, actions = frames(1, 8, start=100)
    with torch.no_grad():
        for layer in layout.layers:
            modules[layer.name].weight += layout.delta(rows[0], layer.name)
        output = merged.predict(latents, torch.full((1, 8), 500.0), actions)
    torch.testing.assert_close(output, unmerged, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("copies", [1, 3])
def test_each_episode_reads_its_own_memory_at_any_number_of_copies(slow, frames, copies) -> None:
    layout = AdapterLayout.of(slow.unet, slow.memory_layers("attention_and_convolutions"), rank=4, alpha=4)
    rows = random_rows(layout, 2)
    latents, actions = frames(2, 8)
    latents = latents.repeat_interleave(copies, 0)
    actions = {name: tensor.repeat_interleave(copies, 0) for name, tensor in actions.items()}
    level = torch.full((2 * copies, 8), 500.0)
    with torch.no_grad():
        with attached(slow.unet, layout, rows):
            together = slow.predict(latents, level, actions)
        for episode in range(2):
            part = slice(episode * copies, (episode + 1) * copies)
            with attached(slow.unet, layout, rows[episode : episode + 1]):
                alone = slow.predict(latents[part], level[part], {n: t[part] for n, t in actions.items()})
            torch.testing.assert_close(together[part], alone, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("kernel", "stride"), [(1, 1), (3, 1), (3, 2), (5, 2)])
def test_path_beside_a_convolution_is_a_kernel_with_a_centre_only(kernel, stride) -> None:
    network = nn.Sequential(nn.Conv2d(6, 4, kernel, stride, padding=kernel // 2))
    layout = AdapterLayout.of(network, ["0"], rank=8, alpha=16)
    assert layout.layers[0].rank == 4
    rows = random_rows(layout, 2)
    x = torch.randn(4, 6, 7, 5)
    with attached(network, layout, rows):
        output = network(x)
    for episode in range(2):
        weight = network[0].weight + layout.delta(rows[episode], "0")
        expected = nn.functional.conv2d(x[2 * episode : 2 * episode + 2], weight, network[0].bias, stride, kernel // 2)
        torch.testing.assert_close(output[2 * episode : 2 * episode + 2], expected, rtol=1e-4, atol=1e-5)


def test_hooks_are_gone_after_an_error(slow, predict) -> None:
    plain = predict(1)
    layout = AdapterLayout.of(slow.unet, slow.memory_layers("attention"), rank=4, alpha=4)
    with pytest.raises(KeyError, match="stop"), attached(slow.unet, layout, random_rows(layout, 1)):
        raise KeyError("stop")
    assert not is_attached(slow.unet)
    assert not any(module._forward_hooks for module in slow.unet.modules())
    assert torch.equal(predict(1), plain)


def test_second_attachment_is_refused_and_the_first_goes_on(slow, predict) -> None:
    layout = AdapterLayout.of(slow.unet, slow.memory_layers("attention"), rank=4, alpha=4)
    with attached(slow.unet, layout, random_rows(layout, 1)):
        before = predict(1)
        with pytest.raises(RuntimeError, match="attached"), attached(slow.unet, layout, random_rows(layout, 1, 1)):
            pass
        assert torch.equal(predict(1), before)


def test_batch_that_does_not_divide_among_the_episodes_is_refused(slow, predict) -> None:
    layout = AdapterLayout.of(slow.unet, slow.memory_layers("attention"), rank=4, alpha=4)
    with attached(slow.unet, layout, random_rows(layout, 3)), pytest.raises(ValueError, match="3 episodes"):
        predict(1)


def test_layers_without_a_low_rank_path_are_refused() -> None:
    network = nn.Sequential(nn.Conv2d(4, 4, 3), nn.Conv2d(4, 4, 3, padding=1, groups=2), nn.GroupNorm(1, 4))
    with pytest.raises(ValueError, match="centre"):
        AdapterLayout.of(network, ["0"], rank=2, alpha=2)
    with pytest.raises(ValueError, match="group"):
        AdapterLayout.of(network, ["1"], rank=2, alpha=2)
    with pytest.raises(ValueError, match="GroupNorm"):
        AdapterLayout.of(network, ["2"], rank=2, alpha=2)
    with pytest.raises(ValueError, match="absent"):
        AdapterLayout.of(network, ["absent"], rank=2, alpha=2)


def test_first_factors_do_not_depend_on_the_neighbours(slow) -> None:
    layout = AdapterLayout.of(slow.unet, slow.memory_layers("attention"), rank=4, alpha=4)
    together = layout.fresh([torch.Generator().manual_seed(seed) for seed in (7, 8, 9)])
    alone = layout.fresh([torch.Generator().manual_seed(8)])
    assert torch.equal(together[1:2], alone)
    for layer in layout.layers:
        down, up = layout.factors(together)[layer.name]
        assert not up.any()
        assert down.abs().max() <= layer.inputs**-0.5
        assert down.std() > 0.4 * layer.inputs**-0.5


def test_shapes_hold_on_the_meta_device(slow) -> None:
    unet = copy.deepcopy(slow.unet).to("meta")
    layout = AdapterLayout.of(unet, unet.memory_layers("attention_and_convolutions"), rank=4, alpha=4)
    rows = layout.fresh([torch.Generator()] * 3).to("meta").requires_grad_()
    sample = torch.zeros(6, 4, 8, 4, 4, device="meta")
    text = torch.zeros(6, 2, 16, device="meta")
    with attached(unet, layout, rows):
        output = unet(sample, torch.zeros(6, device="meta"), text, return_dict=False)[0]
    assert output.shape == sample.shape
    assert output.device.type == "meta"
    (gradient,) = torch.autograd.grad(output.sum(), rows)
    assert gradient.shape == (3, layout.width)
