"""The ways in which an action enters a network, each alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from slowfast.actions import ActionSpec, Discrete, Language
from slowfast.conditioning.encoder import ActionEncoder, ActionEncoderConfig
from slowfast.slow.build import small_text_encoder

SPEC = ActionSpec((Discrete("move", ("turn left", "turn right")), Language("text", describes="move")))


def _encoder(route: str) -> ActionEncoder:
    torch.manual_seed(0)
    return ActionEncoder(SPEC, ActionEncoderConfig(24, 16, route=route), small_text_encoder(SPEC, 16))


@torch.no_grad()
def _effects(route: str) -> tuple[bool, bool]:
    """Whether the index changes the vector, and whether it changes the tokens."""
    encoder = _encoder(route)
    left, right = (encoder(encoder.tensors(SPEC.columns(np.full((1, 3), move)))) for move in (0, 1))
    return not torch.equal(left.frame, right.frame), not torch.equal(left.text, right.text)


@pytest.mark.parametrize(
    ("route", "vector", "tokens"),
    [("both", True, False), ("time_embedding", True, False), ("cross_attention", False, True)],
)
def test_an_index_takes_the_route_it_is_given(route: str, vector: bool, tokens: bool) -> None:
    assert _effects(route) == (vector, tokens)


@torch.no_grad()
def test_words_take_the_route_they_are_given() -> None:
    for route, in_vector, in_tokens in (
        ("both", True, True),
        ("time_embedding", True, False),
        ("cross_attention", False, True),
    ):
        encoder = _encoder(route)
        left, right = (encoder(encoder.tensors(SPEC.columns([[words] * 2]))) for words in ("turn left", "turn right"))
        assert torch.equal(left.frame, right.frame) is not in_vector, route
        assert torch.equal(left.text, right.text) is not in_tokens, route


def test_an_unknown_route_is_refused() -> None:
    with pytest.raises(ValueError, match="is not one of both, time_embedding, cross_attention"):
        ActionEncoderConfig(route="telepathy")
