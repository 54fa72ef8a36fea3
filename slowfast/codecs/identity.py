"""What makes two codecs' latents the same."""

from __future__ import annotations

from torch import nn

from slowfast.model_folder import weights_hash


def codec_hash(codec: nn.Module) -> str:
    """SHA-256 of what latents depend on: all buffers (so their statistics), and weights but for a decoder's."""
    weights = getattr(codec, "encoder_half", codec).named_parameters()
    return weights_hash({**dict(weights), **dict(codec.named_buffers())})
