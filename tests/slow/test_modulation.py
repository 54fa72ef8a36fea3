"""How residual blocks take the embedding of timestep and action."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from slowfast.slow.build import UNetConfig
from slowfast.slow.masked_diffusion import load_unet
from slowfast.slow.unet import MaskedUNet3D


def _network(modulation: str) -> MaskedUNet3D:
    torch.manual_seed(0)
    return UNetConfig(widths=(16, 32), head_size=8, norm_groups=4, text_width=8, modulation=modulation).build(4)


def _inputs() -> tuple[torch.Tensor, ...]:
    random = torch.Generator().manual_seed(1)
    return (
        torch.randn(2, 4, 3, 8, 8, generator=random),
        torch.tensor([5.0, 500.0]),
        torch.randn(2, 1, 8, generator=random),
        torch.randn(2, 3, 64, generator=random),
    )


@pytest.mark.parametrize("modulation", ["default", "scale_shift"])
@torch.no_grad()
def test_a_folder_keeps_the_modulation_and_the_sizes(modulation: str, tmp_path: Path) -> None:
    network = _network(modulation)
    network.save_pretrained(tmp_path)
    loaded = load_unet(tmp_path)
    assert loaded.config["resnet_time_scale_shift"] == modulation
    assert tuple(loaded.config["block_out_channels"]) == (16, 32)
    assert torch.equal(loaded(*_inputs()).sample, network(*_inputs()).sample)


@torch.no_grad()
def test_scaling_lets_the_embedding_silence_a_channel() -> None:
    network = _network("scale_shift")
    block = network.down_blocks[0].resnets[0]
    assert block.time_emb_proj.out_features == 2 * block.out_channels
    torch.nn.init.zeros_(block.time_emb_proj.weight)
    block.time_emb_proj.bias[: block.out_channels] = -1.0  # scale 0
    block.time_emb_proj.bias[block.out_channels :] = 0.0
    hidden, embedding = torch.randn(3, 16, 8, 8), torch.randn(3, 64)
    only_bias = block.conv2.bias.view(1, -1, 1, 1).expand_as(hidden)
    torch.testing.assert_close(block(hidden, embedding), hidden + only_bias)


def test_an_unknown_modulation_is_refused() -> None:
    with pytest.raises(ValueError, match="not default or scale_shift"):
        _network("multiply")
