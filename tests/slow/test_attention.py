"""Attention gives what diffusers' processor gives, learning or not; short sequences on a CPU learn through products."""

from __future__ import annotations

import pytest
import torch
from diffusers.models.attention_processor import Attention, AttnProcessor2_0

from slowfast.slow.attention import SHORT, ShortAttention, attend


@pytest.mark.parametrize("length", [8, SHORT, SHORT + 1])
@pytest.mark.parametrize("text", [False, True])
@pytest.mark.parametrize("learning", [False, True])
def test_short_and_long_sequences_attend_as_the_fused_processor_does(length: int, text: bool, learning: bool) -> None:
    torch.manual_seed(0)
    attention = Attention(16, 12 if text else None, heads=2, dim_head=8).eval()
    hidden, context = torch.randn(2, length, 16), torch.randn(2, 5, 12) if text else None
    with torch.set_grad_enabled(learning):
        attention.set_processor(AttnProcessor2_0())
        fused = attention(hidden, context)
        attention.set_processor(ShortAttention())
        torch.testing.assert_close(attention(hidden, context), fused, rtol=1e-5, atol=1e-5)


def test_a_mask_is_left_to_the_stock_processor() -> None:
    torch.manual_seed(0)
    attention = Attention(16, heads=2, dim_head=8, processor=ShortAttention())
    hidden, mask = torch.randn(1, 3, 16), torch.tensor([[0.0, 0.0, -1e9]])
    blind = attention(hidden, attention_mask=mask)
    assert torch.allclose(blind[:, 0], attention(hidden[:, :2])[:, 0], atol=1e-6)


def test_a_single_key_gives_its_value_and_its_gradient_where_the_weights_are_frozen() -> None:
    torch.manual_seed(0)
    attention = Attention(16, 12, heads=2, dim_head=8).eval()
    hidden, context = torch.randn(2, 6, 16), torch.randn(2, 1, 12, requires_grad=True)
    slopes, outputs = [], []
    for processor in (AttnProcessor2_0(), ShortAttention()):
        attention.set_processor(processor)
        for frozen in (False, True):
            attention.requires_grad_(not frozen)
            output = attention(hidden, context)
            outputs.append(output.expand(2, 6, 16))
            slopes += torch.autograd.grad((output.expand(2, 6, 16) ** 2).sum(), context)
    assert output.shape == (2, 1, 16)  # no query was asked
    for output, slope in zip(outputs[1:], slopes[1:], strict=True):
        torch.testing.assert_close(output, outputs[0], rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(slope, slopes[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("length", [8, SHORT + 1])
def test_which_kernel_learns(length: int) -> None:
    query = torch.randn(2, 3, 2, length, 8, requires_grad=True)
    key, value = torch.randn(2, 2, 3, 2, length, 8)
    assert ("Softmax" in _path(attend(query, key, value))) == (length <= SHORT)


def _path(output: torch.Tensor) -> str:
    """The names of the operations behind ``output``, first inputs only."""
    names, node = [], output.grad_fn
    while node is not None:
        names.append(node.name())
        node = node.next_functions[0][0] if node.next_functions else None
    return " ".join(names)
