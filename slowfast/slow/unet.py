"""diffusers' ``UNet3DConditionModel`` with conditions that may differ from frame to frame.

The stock ``forward`` repeats one timestep and one text over all frames of a window. This one takes a timestep a window
or a frame, text a window or a frame, and a vector a frame that is added to the time embedding (the route of actions).
Modules, their names and their weights are the stock ones: stock checkpoints load as they are.
"""

from __future__ import annotations

from typing import Any

import torch
from diffusers import UNet3DConditionModel
from diffusers.configuration_utils import register_to_config
from diffusers.models.resnet import ResnetBlock2D
from diffusers.models.unets.unet_3d_condition import UNet3DConditionOutput
from einops import rearrange
from torch import nn

from slowfast.slow.associative import AssociativePath, middle_size
from slowfast.slow.attention import ShortAttention
from slowfast.slow.layers import adopt
from slowfast.slow.prefix import KeptPrefix, keeping

MEMORY_LAYERS = (
    "temporal_attention",
    "attention",
    "attention_and_convolutions",
    "linear_and_convolutions",
    "output",
    "associative",
)
ALONE = {"output": "conv_out", "associative": "associative.value"}
PROJECTIONS = ("to_q", "to_k", "to_v", "to_out.0")


class MaskedUNet3D(UNet3DConditionModel):
    """A video UNet over windows ``[B, C, F, h, w]``; every inner layer keeps the batch as its outermost axis.

    A side of h or w that does not divide by ``2 ** (levels - 1)`` is upsampled to the size of its skip connection, as
    the stock network does. ``resnet_time_scale_shift`` is that of diffusers' 2D UNets: ``default`` adds the embedding
    of timestep and action inside a residual block, as stock video UNets do; ``scale_shift`` also lets it scale
    channels, a stronger hold for actions in a small network.
    """

    ignore_for_config = ("stock",)

    @register_to_config
    def __init__(self, resnet_time_scale_shift: str = "default", **stock: Any) -> None:
        super().__init__(**stock)
        if resnet_time_scale_shift not in ("default", "scale_shift"):
            raise ValueError(f"resnet_time_scale_shift {resnet_time_scale_shift!r} is not default or scale_shift")
        self.associative: AssociativePath | None = None
        self.set_attn_processor(ShortAttention())
        adopt(self)
        if resnet_time_scale_shift == "scale_shift":
            for block in self.modules():
                if isinstance(block, ResnetBlock2D):
                    block.time_embedding_norm = resnet_time_scale_shift
                    block.time_emb_proj = nn.Linear(self.time_embed_dim, 2 * block.out_channels)

    @staticmethod
    def _get_init_keys(input_class: type) -> set[str]:
        """diffusers reads from a config what ``__init__`` names; the stock arguments are among it."""
        return {"resnet_time_scale_shift", *UNet3DConditionModel._get_init_keys(UNet3DConditionModel)} - {"stock"}

    def forward(
        self,
        sample: torch.Tensor,
        timestep: torch.Tensor,
        encoder_hidden_states: torch.Tensor,
        frame_embedding: torch.Tensor | None = None,
        return_dict: bool = True,
        kept: KeptPrefix | None = None,
    ) -> UNet3DConditionOutput | tuple[torch.Tensor]:
        """Predicts noise, velocity or flow, whatever the scheduler asks for, for all frames.

        ``sample`` ``[B, C, F, h, w]``; ``timestep`` ``[]``, ``[B]`` or ``[B, F]``, in the scheduler's units;
        ``encoder_hidden_states`` ``[B, L, D]`` or ``[B, F, L, D]``; ``frame_embedding`` ``[B, F, time_embed_dim]``.
        ``kept``: takes what layers along time see of the window's prefix; once it is full, F are the new frames alone.
        """
        batch, _, frames, _, _ = sample.shape
        if timestep.ndim < 2:
            timestep = timestep.reshape(-1, 1).expand(batch, frames)
        features = self.time_proj(timestep.reshape(-1)).to(self.conv_in.weight.dtype)
        embedding = self.time_embedding(features)  # [B*F, time_embed_dim]
        if frame_embedding is not None:
            embedding = embedding + rearrange(frame_embedding, "b f d -> (b f) d").to(embedding.dtype)
        if encoder_hidden_states.ndim == 3:
            encoder_hidden_states = encoder_hidden_states[:, None].expand(-1, frames, -1, -1)
        text = rearrange(encoder_hidden_states, "b f l d -> (b f) l d").to(self.conv_in.weight.dtype)

        with keeping(kept):
            hidden, middle = self._blocks(rearrange(sample, "b c f h w -> (b f) c h w"), frames, embedding, text)
        images = self.conv_out(hidden)
        if self.associative is not None:
            images = images + self.associative(middle, timestep.reshape(-1)).view(images.shape)
        output = rearrange(images, "(b f) c h w -> b c f h w", f=frames)
        return UNet3DConditionOutput(sample=output) if return_dict else (output,)

    def _blocks(
        self, images: torch.Tensor, frames: int, embedding: torch.Tensor, text: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The network between its input ``[B * F, C, h, w]`` and its last convolution, and what its middle puts out."""
        hidden = self.conv_in(images.contiguous(memory_format=torch.channels_last))
        hidden = self.transformer_in(hidden, num_frames=frames, return_dict=False)[0]
        skips: tuple[torch.Tensor, ...] = (hidden,)
        for block in self.down_blocks:
            hidden, new = block(hidden, temb=embedding, num_frames=frames, **_text(block, text))
            skips += new
        if self.mid_block is not None:
            hidden = self.mid_block(hidden, embedding, encoder_hidden_states=text, num_frames=frames)
        middle = hidden
        uneven = any(side % 2**self.num_upsamplers for side in images.shape[-2:])
        for block in self.up_blocks:
            own, skips = skips[-len(block.resnets) :], skips[: -len(block.resnets)]
            size = skips[-1].shape[2:] if uneven and skips else None
            hidden = block(
                hidden,
                temb=embedding,
                res_hidden_states_tuple=own,
                upsample_size=size,
                num_frames=frames,
                **_text(block, text),
            )
        if self.conv_norm_out is not None:
            hidden = self.conv_act(self.conv_norm_out(hidden))
        return hidden, middle

    def open_associative(self, shape: tuple[int, int, int], from_level: float) -> None:
        """Opens the way of :mod:`slowfast.slow.associative` for frames of ``shape`` (C, h, w), if it is not open."""
        outputs = torch.Size(shape).numel()
        if self.associative is None or self.associative.value.out_features != outputs:
            channels = self.config["block_out_channels"]
            path = AssociativePath(middle_size(channels[-1], len(channels), shape), outputs, from_level)
            self.associative = path.to(self.conv_in.weight)

    @property
    def time_embed_dim(self) -> int:
        """Width of the vector a frame that carries timestep and action."""
        return int(self.config["block_out_channels"][0]) * 4

    def memory_layers(self, kind: str = "attention") -> list[str]:
        """Dotted names of the layers that a memory may attach to.

        ``temporal_attention``: query, key, value and output of attention along time; ``attention``: those of all
        attention (spatial, text, temporal); ``attention_and_convolutions``: also the 3x3 convolutions of the residual
        blocks; ``linear_and_convolutions``: these convolutions and every linear layer, but those that embed the
        timestep; ``output``: the last convolution alone; ``associative``: the way from the middle block to the output,
        once it is open. Raises ValueError for another kind, or a way that is not open.
        """
        if kind not in MEMORY_LAYERS:
            raise ValueError(f"memory layers {kind!r} are not known; choose one of {', '.join(MEMORY_LAYERS)}")
        if kind == "associative" and self.associative is None:
            raise ValueError("memory layers 'associative' take the size of latents: ask a world for its `new_memory`")
        if kind in ALONE:
            return [ALONE[kind]]
        names = [name for name, _ in self.named_modules()]
        chosen = [name for name in names if name.endswith(PROJECTIONS)]
        if kind == "temporal_attention":
            chosen = [name for name in chosen if "temp_attentions" in name or name.startswith("transformer_in")]
        if kind == "linear_and_convolutions":
            linear = (name for name, part in self.named_modules() if isinstance(part, nn.Linear))
            chosen = [name for name in linear if not name.startswith(("time_embedding", "associative"))]
        if kind.endswith("_and_convolutions"):
            chosen += [name for name in names if ".resnets." in name and name.endswith(("conv1", "conv2"))]
        return chosen


def _text(block: torch.nn.Module, text: torch.Tensor) -> dict[str, Any]:
    return {"encoder_hidden_states": text} if getattr(block, "has_cross_attention", False) else {}
