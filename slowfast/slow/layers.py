"""diffusers' layers of a video UNet, computed with channels innermost: the same modules and weights, less moving about.

The stock layers lay their input out anew around each temporal convolution and each attention, and take time as the
depth of a 3D convolution. On the few positions of a small world's latents that costs a CPU more than the arithmetic.
Here a window stays ``[B, F, h, w, C]`` in memory from end to end: to a spatial layer it is a batch of frames in
channels-last layout, to a temporal one a batch of images F high and h·w wide, to attention rows of tokens.
"""

from __future__ import annotations

from typing import Any

import torch
from diffusers.models.attention import BasicTransformerBlock
from diffusers.models.resnet import ResnetBlock2D, TemporalConvLayer
from diffusers.models.transformers.transformer_2d import Transformer2DModel
from diffusers.models.transformers.transformer_temporal import TransformerTemporalModel
from torch import nn

from slowfast.slow.attention import attend, query_key_value
from slowfast.slow.prefix import convolve, group_norm, with_prefix


class ResidualBlock(ResnetBlock2D):
    """The stock block without its copies; an input that is not up- or downsampled keeps its layout."""

    def forward(self, input_tensor: torch.Tensor, temb: torch.Tensor, *unused: Any, **others: Any) -> torch.Tensor:
        if self.upsample is not None or self.downsample is not None:
            return super().forward(input_tensor, temb, *unused, **others)
        hidden = self.conv1(self.nonlinearity(self.norm1(input_tensor)))
        embedding = self.time_emb_proj(self.nonlinearity(temb))[:, :, None, None]
        if self.time_embedding_norm == "scale_shift":
            scale, shift = embedding.chunk(2, 1)
            hidden = torch.addcmul(shift, self.norm2(hidden), 1 + scale)
        else:
            hidden = self.norm2(hidden + embedding)
        hidden = self.conv2(self.dropout(self.nonlinearity(hidden)))
        straight = input_tensor if self.conv_shortcut is None else self.conv_shortcut(input_tensor)
        hidden = straight + hidden
        return hidden if self.output_scale_factor == 1 else hidden / self.output_scale_factor


class TemporalConv(TemporalConvLayer):
    """Its four convolutions over time, each as a 2D convolution 3 high and 1 wide."""

    def forward(self, hidden_states: torch.Tensor, num_frames: int = 1) -> torch.Tensor:
        tokens = as_tokens(hidden_states, num_frames)  # [B, F, h * w, C]
        hidden = as_images(tokens)
        for norm, *between, conv in (self.conv1, self.conv2, self.conv3, self.conv4):
            hidden = group_norm(norm, hidden)
            for part in between:
                hidden = part(hidden)
            hidden = convolve(conv, hidden)
        return as_frames(tokens + hidden.permute(0, 2, 3, 1), hidden_states.shape)


class TemporalTransformer(TransformerTemporalModel):
    """Attention along time, for all positions of a window at once and without bringing time to the inside."""

    def forward(
        self, hidden_states: torch.Tensor, num_frames: int = 1, return_dict: bool = False, **unused: Any
    ) -> tuple[torch.Tensor]:
        straight = as_tokens(hidden_states, num_frames)
        tokens = self.proj_in(group_norm(self.norm, as_images(straight)).permute(0, 2, 3, 1))
        for block in self.transformer_blocks:
            tokens = along_time(block, tokens)
        return (as_frames(straight + self.proj_out(tokens), hidden_states.shape),)


class SpatialTransformer(Transformer2DModel):
    """Attention within a frame and to its text. Needs linear projections, as all of diffusers' 3D UNets have them."""

    def forward(
        self, hidden_states: torch.Tensor, encoder_hidden_states: torch.Tensor | None = None, **options: Any
    ) -> tuple[torch.Tensor]:
        batch, channels, height, width = hidden_states.shape
        straight = as_tokens(hidden_states, 1).view(batch, height * width, channels)
        normed = self.norm(hidden_states).permute(0, 2, 3, 1).reshape(batch, height * width, channels)
        tokens = self.proj_in(normed)
        for block in self.transformer_blocks:
            tokens = block(tokens, encoder_hidden_states=encoder_hidden_states)
        return (as_frames(straight + self.proj_out(tokens), hidden_states.shape),)


def along_time(block: BasicTransformerBlock, tokens: torch.Tensor) -> torch.Tensor:
    """The block on tokens ``[B, F, n, C]``; both of its attentions look at the same position in all frames."""
    for norm, attention in ((block.norm1, block.attn1), (block.norm2, block.attn2)):
        normed = norm(tokens)
        query, key, value = (
            part.unflatten(-1, (attention.heads, -1)).permute(0, 2, 3, 1, 4)  # [B, n, heads, F, d]
            for part in query_key_value(attention, normed)
        )
        seen = attend(query, with_prefix(key, 3), with_prefix(value, 3)).permute(0, 3, 1, 2, 4).flatten(-2)
        tokens = attention.to_out[1](attention.to_out[0](seen)) + tokens
    return block.ff(block.norm3(tokens)) + tokens


def as_tokens(frames: torch.Tensor, num_frames: int) -> torch.Tensor:
    """Frames ``[B * F, C, h, w]`` as ``[B, F, h * w, C]``, contiguous: a view of frames in channels-last layout."""
    return frames.permute(0, 2, 3, 1).contiguous().view(-1, num_frames, frames[0, 0].numel(), frames.shape[1])


def as_images(tokens: torch.Tensor) -> torch.Tensor:
    """Tokens ``[B, F, n, C]`` as a batch of images ``[B, C, F, n]`` in channels-last layout, without a copy."""
    return tokens.permute(0, 3, 1, 2)


def as_frames(tokens: torch.Tensor, shape: torch.Size) -> torch.Tensor:
    """The inverse of :func:`as_tokens`, for frames of ``shape``."""
    batch, channels, height, width = shape
    return tokens.reshape(batch, height, width, channels).permute(0, 3, 1, 2)


LAYERS: dict[type[nn.Module], type[nn.Module]] = {
    ResnetBlock2D: ResidualBlock,
    TemporalConvLayer: TemporalConv,
    TransformerTemporalModel: TemporalTransformer,
    Transformer2DModel: SpatialTransformer,
}


def adopt(network: nn.Module) -> None:
    """Gives every stock layer of ``network`` that has one its counterpart's ``forward``; weights and names stay."""
    for module in network.modules():
        if type(module) in LAYERS and getattr(module, "use_linear_projection", True):
            module.__class__ = LAYERS[type(module)]
