"""A patched codec that starts as the best linear code of its patches."""

from __future__ import annotations

import pytest
import torch

from slowfast.codecs.image_vae import ImageVAE, ImageVAEConfig
from slowfast.codecs.linear_start import linear_start, principal_components


def _codec(widths: tuple[int, ...] = (48,), groups: int = 3) -> ImageVAE:
    torch.manual_seed(0)
    return ImageVAE.create(ImageVAEConfig(latent_channels=8, widths=widths, norm_groups=groups, patch=4))


def _smooth_frames(count: int) -> torch.Tensor:
    noise = torch.randn(count, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    return torch.nn.functional.interpolate(noise, size=(32, 32), mode="bicubic").clamp(-1, 1)


def test_patches_are_undone_by_pixels_and_set_the_spatial_factor() -> None:
    codec, frames = _codec(widths=(32, 32), groups=8), _smooth_frames(2)
    assert torch.equal(codec.to_pixels(codec.to_patches(frames)), frames)
    assert codec.spatial_factor == 8
    assert codec.encode(frames[None]).shape == (1, 2, 8, 4, 4)


def test_it_starts_close_to_principal_components() -> None:
    codec, frames = _codec(), _smooth_frames(64)
    linear_start(codec, frames[:48])
    mean, components, _ = principal_components(codec, frames[:48], 8)
    held = frames[48:]
    patches = codec.to_patches(held).permute(0, 2, 3, 1) - mean
    linear_error = (patches - patches @ components @ components.T).square().mean()
    with torch.no_grad():
        error = (codec.decode(codec.encode(held[None]))[0] - held).square().mean()
    assert error < 1.6 * linear_error
    assert error < 0.2 * held.var()


def test_a_codec_that_cannot_be_linear_is_refused() -> None:
    for widths, groups in (((32, 48), 4), ((24,), 3), ((48,), 8)):
        with pytest.raises(ValueError, match="linear_start needs one level"):
            linear_start(_codec(widths, groups), _smooth_frames(4))
