"""Plain and fused attention give the same output; short sequences on a CPU take the plain one."""

from __future__ import annotations

import pytest
import torch
from diffusers.models.attention_processor import Attention, AttnProcessor2_0

from slowfast.slow.attention import SHORT, ShortAttention


@pytest.mark.parametrize("length", [8, SHORT, SHORT + 1])
@pytest.mark.parametrize("text", [False, True])
def test_short_and_long_sequences_attend_as_the_fused_processor_does(length: int, text: bool) -> None:
    torch.manual_seed(0)
    attention = Attention(16, 12 if text else None, heads=2, dim_head=8).eval()
    hidden, context = torch.randn(2, length, 16), torch.randn(2, 5, 12) if text else None
    attention.set_processor(AttnProcessor2_0())
    fused = attention(hidden, context)
    attention.set_processor(ShortAttention())
    torch.testing.assert_close(attention(hidden, context), fused, rtol=1e-5, atol=1e-5)
    plain = torch.equal(attention(hidden, context), ShortAttention().plain(attention, hidden, context))
    assert plain == (length <= SHORT)
