"""The thin subclass: stock weights give stock outputs, and conditions may differ from frame to frame."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import UNet3DConditionModel
from torch import nn

from slowfast.slow.build import UNetConfig, parameter_count
from slowfast.slow.layers import LAYERS
from slowfast.slow.masked_diffusion import MaskedVideoDiffusion, load_unet
from slowfast.slow.unet import MEMORY_LAYERS, MaskedUNet3D


def awaken(module: nn.Module) -> None:
    with torch.no_grad():
        for parameter in module.parameters():
            if not parameter.any():
                parameter.normal_(0, 0.05)


@pytest.fixture(scope="module")
def stock(tmp_path_factory: pytest.TempPathFactory) -> tuple[UNet3DConditionModel, MaskedUNet3D]:
    """A stock network with three levels, and ours from its folder."""
    torch.manual_seed(0)
    network = UNet3DConditionModel(
        down_block_types=("CrossAttnDownBlock3D", "CrossAttnDownBlock3D", "DownBlock3D"),
        up_block_types=("UpBlock3D", "CrossAttnUpBlock3D", "CrossAttnUpBlock3D"),
        block_out_channels=(8, 16, 16),
        layers_per_block=1,
        norm_num_groups=4,
        cross_attention_dim=12,
        attention_head_dim=4,
    ).eval()
    awaken(network)
    folder = tmp_path_factory.mktemp("unet")
    network.save_pretrained(folder)
    return network, load_unet(folder)


@pytest.mark.parametrize("side", [(8, 8), (9, 15), (5, 4), (16, 6)])
def test_stock_weights_give_the_stock_output(
    stock: tuple[UNet3DConditionModel, MaskedUNet3D], side: tuple[int, int]
) -> None:
    theirs, ours = stock
    assert list(ours.state_dict()) == list(theirs.state_dict())
    sample, text, timestep = torch.randn(2, 4, 5, *side), torch.randn(2, 7, 12), torch.tensor([300, 801])
    with torch.no_grad():
        for t in (timestep, torch.tensor(17)):
            expected = theirs(sample, t, text).sample
            torch.testing.assert_close(ours(sample, t, text).sample, expected, rtol=1e-4, atol=1e-5)
        frames = timestep[:, None].expand(2, 5).float()
        spread = text[:, None].expand(2, 5, 7, 12)
        expected = theirs(sample, timestep, text).sample
        torch.testing.assert_close(ours(sample, frames, spread, torch.zeros(2, 5, 32), return_dict=False)[0], expected)


def test_gradients_are_the_stock_ones(stock: tuple[UNet3DConditionModel, MaskedUNet3D]) -> None:
    sample, text, timestep = torch.randn(2, 4, 3, 8, 8), torch.randn(2, 7, 12), torch.tensor([300, 801])
    found = []
    for network in stock:
        network.zero_grad()
        network.requires_grad_(True)
        network(sample, timestep, text).sample.square().mean().backward()
        found.append({name: weight.grad for name, weight in network.named_parameters() if weight.grad is not None})
    theirs, ours = found
    assert set(theirs) == set(ours)
    for name, gradient in theirs.items():
        torch.testing.assert_close(ours[name], gradient, rtol=1e-3, atol=1e-5 * float(gradient.abs().max()) + 1e-7)


def test_layers_keep_channels_innermost(stock: tuple[UNet3DConditionModel, MaskedUNet3D]) -> None:
    """What every layer of a block hands on can be read as tokens without a copy."""
    network, strides = stock[1], []
    layers = [module for module in network.modules() if type(module) in LAYERS.values()]
    handles = [layer.register_forward_hook(lambda *seen: strides.append(seen[2])) for layer in layers]
    with torch.no_grad():
        network(torch.randn(2, 4, 3, 8, 8), torch.tensor(5), torch.randn(2, 7, 12))
    for handle in handles:
        handle.remove()
    outputs = [output[0] if isinstance(output, tuple) else output for output in strides]
    assert len(outputs) == len(layers) > 20
    assert all(output.is_contiguous(memory_format=torch.channels_last) for output in outputs)


def test_our_folder_loads_in_the_stock_class(stock: tuple[UNet3DConditionModel, MaskedUNet3D], tmp_path: Path) -> None:
    theirs, ours = stock
    ours.save_pretrained(tmp_path)
    again = UNet3DConditionModel.from_pretrained(tmp_path)
    for name, tensor in theirs.state_dict().items():
        assert torch.equal(again.state_dict()[name], tensor)


@pytest.fixture(scope="module")
def framewise(stock: tuple[UNet3DConditionModel, MaskedUNet3D]) -> MaskedUNet3D:
    """The same network with every path along time closed, so that a frame's output is its own."""
    network = MaskedUNet3D.from_config(stock[1].config).eval()
    network.load_state_dict(stock[1].state_dict())
    for name, module in network.named_modules():
        last = "conv4.3" in name or (name.endswith("proj_out") and ("temp" in name or "transformer_in" in name))
        if last:
            nn.init.zeros_(module.weight)
            nn.init.zeros_(module.bias)
    return network


@pytest.mark.parametrize("which", ["timestep", "text", "frame_embedding"])
def test_a_condition_reaches_its_own_frame_of_its_own_window(framewise: MaskedUNet3D, which: str) -> None:
    sample = torch.randn(2, 4, 3, 8, 8)
    inputs = {
        "timestep": torch.full((2, 3), 500.0),
        "text": torch.randn(2, 3, 7, 12),
        "frame_embedding": torch.randn(2, 3, 32),
    }

    def run() -> torch.Tensor:
        with torch.no_grad():
            return framewise(sample, inputs["timestep"], inputs["text"], inputs["frame_embedding"]).sample

    before = run()
    inputs[which] = inputs[which].clone()
    inputs[which][0, 2] *= 0.5
    changed = (run() - before).abs().amax((1, 3, 4)) > 1e-5  # [B, F]
    assert changed.tolist() == [[False, False, True], [False, False, False]]


def test_frames_see_each_other_along_time(stock: tuple[UNet3DConditionModel, MaskedUNet3D]) -> None:
    ours, text = stock[1], torch.randn(1, 7, 12)
    sample = torch.randn(1, 4, 3, 8, 8)
    other = sample.clone()
    other[:, :, 0] += 1
    with torch.no_grad():
        difference = ours(sample, torch.tensor(5), text).sample - ours(other, torch.tensor(5), text).sample
    assert (difference.abs().amax((0, 1, 3, 4)) > 1e-5).all()


def test_windows_do_not_see_each_other(stock: tuple[UNet3DConditionModel, MaskedUNet3D]) -> None:
    ours, text, sample = stock[1], torch.randn(3, 7, 12), torch.randn(3, 4, 4, 8, 8)
    level = torch.rand(3, 4) * 999
    with torch.no_grad():
        together = ours(sample, level, text).sample
        for b in range(3):
            alone = ours(sample[b : b + 1], level[b : b + 1], text[b : b + 1]).sample
            torch.testing.assert_close(together[b : b + 1], alone, rtol=1e-4, atol=1e-5)


def test_devices_and_shapes_agree_on_meta(base: MaskedVideoDiffusion) -> None:
    with torch.device("meta"):
        network = UNetConfig(widths=(64, 128, 128)).build(16)
    sample = torch.empty(2, 16, 6, 8, 8, device="meta")
    level, text, frame = (torch.empty(2, 6, *rest, device="meta") for rest in ((), (9, 64), (256,)))
    output = network(sample, level, text, frame).sample
    assert output.shape == sample.shape
    assert output.device.type == "meta"


def test_a_network_of_modelscopes_size_is_the_same_class() -> None:
    with torch.device("meta"):
        network = UNetConfig((320, 640, 1280, 1280), 2, 64, 32, 1024).build(4)
        stock = UNet3DConditionModel()
    assert list(network.state_dict()) == list(stock.state_dict())
    assert [t.shape for t in network.state_dict().values()] == [t.shape for t in stock.state_dict().values()]
    assert 1.3e9 < parameter_count(network) < 1.5e9


@pytest.mark.parametrize("kind", MEMORY_LAYERS)
def test_memory_layers_exist_and_can_be_adapted(base: MaskedVideoDiffusion, kind: str) -> None:
    base = deepcopy(base)  # a way that is opened stays open
    names = base.memory_layers(kind, (4, 8, 8))
    modules = dict(base.unet.named_modules())
    assert len(set(names)) == len(names) > 0
    assert all(isinstance(modules[name], (nn.Linear, nn.Conv2d)) for name in names)
    assert set(base.memory_layers("temporal_attention")) <= set(base.memory_layers("attention"))
    convolutions = [name for name in names if isinstance(modules[name], nn.Conv2d)]
    assert bool(convolutions) == (kind == "output" or kind.endswith("_and_convolutions"))
    assert all(modules[name].kernel_size == (3, 3) for name in convolutions)


def test_all_attention_is_covered(base: MaskedVideoDiffusion) -> None:
    attentions = [n for n, m in base.unet.named_modules() if type(m).__name__ == "Attention"]
    expected = {f"{name}.{part}" for name in attentions for part in ("to_q", "to_k", "to_v", "to_out.0")}
    assert set(base.memory_layers("attention")) == expected
    temporal = {n for n in expected if "temp_attentions" in n or n.startswith("transformer_in")}
    assert set(base.memory_layers("temporal_attention")) == temporal
    assert temporal < expected


def test_all_linear_layers_but_those_of_the_timestep_are_covered(base: MaskedVideoDiffusion) -> None:
    names = set(base.memory_layers("linear_and_convolutions"))
    linear = {n for n, m in base.unet.named_modules() if isinstance(m, nn.Linear)}
    assert {name for name in linear - names if not name.startswith("associative")} == {
        "time_embedding.linear_1",
        "time_embedding.linear_2",
    }
    assert set(base.memory_layers("attention_and_convolutions")) < names


def test_an_unknown_kind_of_layers_is_refused(base: MaskedVideoDiffusion) -> None:
    with pytest.raises(ValueError, match="'everything' are not known; choose one of temporal_attention"):
        base.memory_layers("everything")


@pytest.mark.parametrize("kind", ["attention_and_convolutions", "linear_and_convolutions"])
def test_every_adapted_layer_sees_the_batch_outermost(base: MaskedVideoDiffusion, kind: str) -> None:
    """What a stacked memory builds on: window b's entries come before those of window b + 1, in every layer."""
    names, seen = base.memory_layers(kind), {}

    def hook(name: str) -> Any:
        return lambda module, inputs: seen.setdefault(name, []).append(inputs[0].detach())

    handles = [base.unet.get_submodule(name).register_forward_pre_hook(hook(name)) for name in names]
    sample, text, level = torch.randn(3, 4, 5, 4, 4), torch.randn(3, 6, 16), torch.full((3, 5), 300.0)
    try:
        with torch.no_grad():
            for part in (slice(None), slice(2, 3)):
                base.unet(sample[part], level[part], text[part])
    finally:
        for handle in handles:
            handle.remove()
    for name in names:
        together, alone = seen[name]
        third = together.reshape(3, -1, *together.shape[1:])[2]
        torch.testing.assert_close(third, alone.reshape(third.shape), rtol=1e-3, atol=1e-4, msg=name)
