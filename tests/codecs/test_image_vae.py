"""Frames to normalised latents and back, frame by frame, from any diffusers VAE folder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderKL

from slowfast.codecs import Codec, load_codec
from slowfast.codecs.image_vae import ImageVAE, ImageVAEConfig


@pytest.fixture
def codec() -> ImageVAE:
    torch.manual_seed(0)
    return ImageVAE.create(ImageVAEConfig(latent_channels=6, widths=(8, 8, 16), norm_groups=4)).eval()


def frames(batch: int, count: int, height: int = 16, width: int = 24) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.rand(batch, count, 3, height, width, generator=generator) * 2 - 1


@torch.no_grad()
def test_shapes_follow_the_factors(codec: ImageVAE) -> None:
    assert isinstance(codec, Codec)
    assert (codec.spatial_factor, codec.temporal_factor, codec.latent_channels) == (4, 1, 6)
    for height, width in ((16, 24), (8, 4), (20, 16)):
        latents = codec.encode(frames(2, 3, height, width))
        assert latents.shape == (2, 3, 6, height // 4, width // 4)
        decoded = codec.decode(latents)
        assert decoded.shape == (2, 3, 3, height, width)
        assert decoded.abs().max() <= 1


@pytest.mark.parametrize("middle_attention", [False, True])
def test_attention_in_the_middle_is_optional(middle_attention: bool) -> None:
    config = ImageVAEConfig(2, widths=(8, 8), norm_groups=4, middle_attention=middle_attention)
    vae = ImageVAE.create(config).vae
    assert any("attentions" in name for name in vae.state_dict()) == middle_attention


@pytest.mark.parametrize("size", [(16, 18), (15, 16)])
def test_sides_that_do_not_divide_are_refused(codec: ImageVAE, size: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match=f"frames of {size[0]}x{size[1]} do not divide by the codec's factor 4"):
        codec.encode(frames(1, 1, *size))


@torch.no_grad()
def test_patches_count_in_the_factor_and_survive_a_folder(tmp_path: Path) -> None:
    codec = ImageVAE.create(ImageVAEConfig(latent_channels=6, patch=2, widths=(8, 8), norm_groups=4)).eval()
    video = frames(1, 2, 12, 20)
    latents = codec.encode(video)
    assert codec.spatial_factor == 4
    assert latents.shape == (1, 2, 6, 3, 5)
    assert codec.decode(latents).shape == video.shape
    with pytest.raises(ValueError, match="do not divide by the codec's factor 4"):
        codec.encode(frames(1, 1, 14, 20))
    codec.save_pretrained(tmp_path)
    assert torch.equal(load_codec(tmp_path).encode(video), latents)


def test_a_patch_stays_in_its_place() -> None:
    """A pixel's change stays where the convolutions can carry it: patches are not mixed up on the way in or out."""
    codec = ImageVAE.create(ImageVAEConfig(latent_channels=6, patch=2, widths=(8,), norm_groups=8)).eval()
    with torch.no_grad():
        for module in codec.modules():
            if isinstance(module, torch.nn.GroupNorm):  # it looks at the whole picture
                module.register_forward_hook(lambda module, inputs, output: inputs[0])
        video = frames(1, 1, 48, 64).requires_grad_(False)
        other = video.clone()
        other[..., 2:4, 60:62] += 1
        changed = (codec.encode(video) - codec.encode(other)).abs().amax((0, 1, 2)) > 0  # [24, 32]
        rows, columns = changed.nonzero().T
        assert len(rows)
        assert rows.max() <= 10
        assert columns.min() >= 20
        latents = torch.randn(1, 1, 6, 24, 32)
        moved = latents.clone()
        moved[..., 1, 30] += 1
        rows, columns = ((codec.decode(latents) - codec.decode(moved)).abs().amax((0, 1, 2)) > 0).nonzero().T
        assert len(rows)
        assert rows.max() <= 23
        assert columns.min() >= 40


@torch.no_grad()
def test_frames_do_not_see_each_other(codec: ImageVAE) -> None:
    video = frames(2, 3)
    latents = codec.encode(video)
    torch.testing.assert_close(codec.encode(video[1:, 2:]), latents[1:, 2:], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(codec.decode(latents[1:, 2:]), codec.decode(latents)[1:, 2:], rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_a_long_video_in_pieces_is_the_whole(codec: ImageVAE) -> None:
    video = frames(2, 5)
    latents = codec.encode(video)
    decoded = codec.decode(latents)
    pieces = ImageVAE(codec.vae, batch_frames=3)
    calls: list[int] = []
    pieces.vae.encoder.register_forward_pre_hook(lambda module, inputs: calls.append(len(inputs[0])))
    torch.testing.assert_close(pieces.encode(video), latents, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(pieces.decode(latents), decoded, rtol=1e-4, atol=1e-5)
    assert calls == [3, 3, 3, 1]


@torch.no_grad()
def test_encoding_draws_nothing(codec: ImageVAE) -> None:
    assert torch.equal(codec.encode(frames(1, 2)), codec.encode(frames(1, 2)))


@torch.no_grad()
def test_statistics_normalise_and_do_not_change_the_picture(codec: ImageVAE, tmp_path: Path) -> None:
    video = frames(4, 8)
    decoded = codec.decode(codec.encode(video))
    for _ in range(2):  # fitting again finds the same
        codec.fit_statistics(video)
        latents = codec.encode(video)
        torch.testing.assert_close(latents.mean((0, 1, 3, 4)), torch.zeros(6), rtol=0, atol=1e-4)
        torch.testing.assert_close(latents.square().mean(), torch.tensor(1.0), rtol=0, atol=1e-4)
    torch.testing.assert_close(codec.decode(latents), decoded, rtol=1e-4, atol=1e-4)
    codec.save_pretrained(tmp_path)
    assert len(json.loads((tmp_path / "config.json").read_text())["latents_mean"]) == 6
    assert torch.equal(ImageVAE.from_pretrained(tmp_path).encode(video), latents)


@torch.no_grad()
def test_half_precision_files_are_close_and_leave_the_codec_as_it_is(codec: ImageVAE, tmp_path: Path) -> None:
    video = frames(2, 2)
    codec.fit_statistics(video)
    before = {name: tensor.clone() for name, tensor in codec.state_dict().items()}
    codec.save_pretrained(tmp_path, torch.bfloat16)
    assert all(torch.equal(before[name], tensor) for name, tensor in codec.state_dict().items())
    again = load_codec(tmp_path)
    assert isinstance(again, ImageVAE)
    assert not again.vae.training
    assert {tensor.dtype for tensor in again.state_dict().values()} == {torch.float32}
    error = again.encode(video) - codec.encode(video)
    assert 0 < error.square().mean().sqrt() < 0.05
    size = (tmp_path / "diffusion_pytorch_model.safetensors").stat().st_size
    assert size < 2.2 * sum(p.numel() for p in codec.parameters()) + 50_000


@torch.no_grad()
def test_a_codec_in_half_precision_gives_close_latents(codec: ImageVAE, tmp_path: Path) -> None:
    video = frames(1, 2)
    codec.fit_statistics(video)
    codec.save_pretrained(tmp_path)
    half = ImageVAE.from_pretrained(tmp_path).to(torch.bfloat16)
    latents = half.encode(video)
    assert latents.dtype == torch.bfloat16
    assert (latents.float() - codec.encode(video)).square().mean().sqrt() < 0.1
    assert half.decode(latents).shape == video.shape


@pytest.mark.parametrize(
    ("settings", "mean", "std"),
    [
        ({"scaling_factor": 0.18215}, 0.0, 1 / 0.18215),
        ({"scaling_factor": 0.3611, "shift_factor": 0.1159}, 0.1159, 1 / 0.3611),
        ({"scaling_factor": 0.5, "latents_mean": [0.5, -1.0], "latents_std": [2.0, 4.0]}, [0.5, -1.0], [2.0, 4.0]),
    ],
)
@torch.no_grad()
def test_a_stock_folder_loads_with_its_own_statistics(
    settings: dict, mean: float | list, std: float | list, tmp_path: Path
) -> None:
    stock = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        block_out_channels=(8, 8),
        latent_channels=2,
        norm_num_groups=4,
        **settings,
    ).eval()
    stock.save_pretrained(tmp_path)
    codec, video = load_codec(tmp_path), frames(1, 2)
    mean, std = (torch.tensor(value).broadcast_to(2).view(1, 2, 1, 1) for value in (mean, std))
    expected = (stock.encode(video[0]).latent_dist.mode() - mean) / std
    torch.testing.assert_close(codec.encode(video)[0], expected, rtol=1e-4, atol=1e-5)
    decoded = stock.decode(expected * std + mean).sample.clamp(-1, 1)
    torch.testing.assert_close(codec.decode(expected[None])[0], decoded, rtol=1e-4, atol=1e-5)


def test_our_folder_is_diffusers_own(codec: ImageVAE, tmp_path: Path) -> None:
    codec.save_pretrained(tmp_path)
    stock = AutoencoderKL.from_pretrained(tmp_path)
    assert all(torch.equal(tensor, codec.vae.state_dict()[name]) for name, tensor in stock.state_dict().items())


def test_gradients_reach_encoder_and_decoder(codec: ImageVAE) -> None:
    codec.decode(codec.encode(frames(1, 1))).square().mean().backward()
    assert codec.vae.encoder.conv_in.weight.grad.abs().max() > 0
    assert codec.vae.decoder.conv_out.weight.grad.abs().max() > 0


def test_all_of_it_moves_to_another_device(codec: ImageVAE) -> None:
    codec.to("meta")
    latents = codec.encode(torch.empty(2, 3, 3, 16, 24, device="meta"))
    assert latents.shape == (2, 3, 6, 4, 6)
    assert codec.decode(latents).device.type == "meta"


def test_a_folder_that_is_no_codec_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"config\.json: a codec folder holds"):
        load_codec(tmp_path)
    (tmp_path / "config.json").write_text('{"_class_name": "VQModel"}')
    with pytest.raises(ValueError, match=r"'VQModel' is not a known codec \(AutoencoderKL\)"):
        load_codec(tmp_path)
