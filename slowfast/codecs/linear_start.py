"""Starts a patched codec as the best linear one: principal components of patches, from the first step on.

A freshly initialised ``AutoencoderKL`` needs thousands of steps to get as far as a linear code of the same size. One
resolution level over patches (``ImageVAEConfig(widths=(C,), patch=p)``) can be set to that code directly, although each
half ends in a group norm and a SiLU. A component z rides on four channels, ``+z + K, +z - K, -z + K, -z - K``. Their
mean is zero and their deviation is nearly K whatever z is, so the norm leaves z alone; and the sum of the four after
the SiLU, with the signs of z, is odd in z, so its curvature cancels. Residual blocks start as the identity. What
training adds is then the part that a linear code cannot do.
"""

from __future__ import annotations

import torch
from torch import nn

from slowfast.codecs.image_vae import ImageVAE

OFFSET = 4.0
"""K, in deviations of the first component: larger is more exactly linear, smaller is easier to train away from."""
SIGNS = torch.tensor([1.0, 1.0, -1.0, -1.0])
OFFSETS = torch.tensor([OFFSET, -OFFSET, OFFSET, -OFFSET])
POSTERIOR_LOG_VARIANCE = -5.0
"""Of a component that varies as much as the first; smaller ones get less noise in proportion."""


def linear_start(codec: ImageVAE, frames: torch.Tensor) -> None:
    """Sets the codec's weights to the principal components of the patches of ``frames`` ``[N, 3, H, W]`` in [-1, 1].

    Raises ValueError when the codec is not of one level, or too narrow: four channels a latent channel, in whole groups
    of a multiple of four.
    """
    vae, count = codec.vae, codec.latent_channels
    width, groups = vae.config["block_out_channels"][0], vae.config["norm_num_groups"]
    size = width // groups
    if len(vae.config["block_out_channels"]) != 1 or 4 * count > width or size % 4 or (4 * count) % size:
        raise ValueError(
            f"linear_start needs one level at least {4 * count} wide, with groups of a multiple of 4 that divides "
            f"{4 * count}; got widths {vae.config['block_out_channels']} in {groups} groups"
        )
    mean, components, deviation = principal_components(codec, frames, count)
    with torch.no_grad():
        for name, module in vae.named_modules():
            if ".resnets." in name and name.endswith("conv2"):
                nn.init.zeros_(module.weight)
                nn.init.zeros_(module.bias)
        for convolution in (vae.quant_conv, vae.post_quant_conv):
            nn.init.dirac_(convolution.weight)
            nn.init.zeros_(convolution.bias)
        encoder, decoder = vae.encoder, vae.decoder
        # All components share one scale. Were each scaled to unit variance, a generator would spend as much on the last
        # of them as on the first, which shows far more in the picture.
        scale = deviation[0]
        _spread(encoder.conv_in, components.T / scale, -(mean @ components) / scale)
        _collect(encoder.conv_out, torch.eye(count), torch.zeros(count))
        encoder.conv_out.weight[count:].mul_(0.1)
        encoder.conv_out.bias[count:] = POSTERIOR_LOG_VARIANCE + 2 * (deviation / scale).log()
        _spread(decoder.conv_in, torch.eye(count), torch.zeros(count))
        _collect(decoder.conv_out, components * scale, mean)


def principal_components(
    codec: ImageVAE, frames: torch.Tensor, count: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Mean ``[D]``, the ``count`` largest components ``[D, count]`` and their deviations, of the frames' patches."""
    patches = codec.to_patches(frames).permute(0, 2, 3, 1).flatten(0, 2).double()
    mean = patches.mean(0)
    centred = patches - mean
    variance, vectors = torch.linalg.eigh(centred.T @ centred / len(patches))
    largest = slice(-count, None)
    deviation = variance[largest].flip(0).clamp(min=1e-8).sqrt()
    return mean.float(), vectors[:, largest].flip(1).float(), deviation.float()


def _spread(convolution: nn.Conv2d, rows: torch.Tensor, offset: torch.Tensor) -> None:
    """The first channels become the quads of ``rows @ input + offset``; the others keep half their random weights."""
    used = 4 * len(rows)
    signs, offsets = SIGNS.repeat(len(rows)), OFFSETS.repeat(len(rows))
    convolution.weight[used:].mul_(0.5)
    convolution.weight[:used] = 0
    convolution.weight[:used, :, 1, 1] = rows.repeat_interleave(4, 0) * signs[:, None]
    assert convolution.bias is not None
    convolution.bias[:used] = offset.repeat_interleave(4) * signs + offsets


def _collect(convolution: nn.Conv2d, columns: torch.Tensor, offset: torch.Tensor) -> None:
    """The first outputs become ``columns @ z + offset``, with z read from quads that were normalised and went
    through a SiLU."""
    outputs, count = columns.shape
    at = torch.tensor([1.0, -1.0])
    gate = torch.sigmoid(at)
    slope = (gate * (1 + at * (1 - gate))).sum()  # of silu, at the two places where the offsets put z
    convolution.weight[:outputs].mul_(0.02)
    convolution.weight[:outputs, : 4 * count] = 0
    convolution.weight[:outputs, : 4 * count, 1, 1] = (
        columns.repeat_interleave(4, 1) * SIGNS.repeat(count) * (OFFSET / (2 * slope))
    )
    assert convolution.bias is not None
    convolution.bias[:outputs] = offset
