"""Attention over a handful of positions, for which CPUs are faster with plain products than with a fused kernel."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from diffusers.models.attention_processor import Attention, AttnProcessor2_0
from torch.nn import functional

SHORT = 256
"""Positions up to which plain products are faster on a CPU; a window has 8 along time and 64 in space."""

_constant = False


@contextmanager
def constant_weights() -> Iterator[None]:
    """What is compiled in this context may join weights, as they will never change and nothing hooks their layers."""
    global _constant
    before, _constant = _constant, True
    try:
        yield
    finally:
        _constant = before


def query_key_value(attention: Attention, rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Queries, keys and values ``[..., heads * d]`` of self-attention on ``rows [..., C]``."""
    layers = (attention.to_q, attention.to_k, attention.to_v)
    if _constant and torch.compiler.is_compiling() and all(layer.bias is None for layer in layers):
        joined = functional.linear(rows, torch.cat([layer.weight for layer in layers]))  # one product in place of three
        query, key, value = joined.split([layer.out_features for layer in layers], -1)
        return query, key, value
    query, key, value = (layer(rows) for layer in layers)
    return query, key, value


def attend(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    """Scaled dot-product attention of ``[..., L, d]``; on CPUs, through plain products for short sequences.

    PyTorch's fused kernel is made for long sequences; on 8 positions it takes up to twice as long, and its backward
    pass longer than everything else in the layer.
    """
    if query.device.type != "cpu" or query.shape[-2] > SHORT:
        flat = [part.flatten(0, -4) for part in (query, key, value)]
        fused = functional.scaled_dot_product_attention(flat[0], flat[1], flat[2])
        return fused.unflatten(0, query.shape[:-3])
    scores = (query * query.shape[-1] ** -0.5) @ key.mT
    return scores.softmax(-1) @ value


class ShortAttention:
    """A diffusers attention processor: :func:`attend` for plain self- and cross-attention, else the stock one."""

    def __init__(self) -> None:
        self.stock = AttnProcessor2_0()

    def __call__(
        self,
        attn: Attention,
        hidden_states: torch.Tensor,
        encoder_hidden_states: Any = None,
        *rest: Any,
        **options: Any,
    ) -> torch.Tensor:
        plain = not rest and all(option is None for option in options.values()) and hidden_states.ndim == 3
        special = attn.norm_cross or attn.group_norm is not None or attn.spatial_norm is not None
        special = special or attn.residual_connection or attn.rescale_output_factor != 1 or not attn.scale_qk
        if special or not plain:
            return self.stock(attn, hidden_states, encoder_hidden_states, *rest, **options)
        seen = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        if seen.shape[1] == 1 and not (torch.is_grad_enabled() and attn.to_q.weight.requires_grad):
            # Whatever is asked of a single key gets all of its value; what learns keeps a gradient for every weight.
            return attn.to_out[1](attn.to_out[0](attn.to_v(seen)))
        if encoder_hidden_states is None:
            rows = query_key_value(attn, hidden_states)
        else:
            rows = (attn.to_q(hidden_states), attn.to_k(seen), attn.to_v(seen))
        query, key, value = (part.unflatten(-1, (attn.heads, -1)).transpose(1, 2) for part in rows)
        found = attend(query, key, value).transpose(1, 2).flatten(2)
        return attn.to_out[1](attn.to_out[0](found))
