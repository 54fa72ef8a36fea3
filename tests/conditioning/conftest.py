"""An action encoder with a component of every kind."""

from __future__ import annotations

import pytest
import torch

from slowfast.actions import ActionSpec, Continuous, Discrete, Keyboard, Language
from slowfast.conditioning.encoder import ActionEncoder, ActionEncoderConfig
from slowfast.conditioning.phrases import all_phrases
from slowfast.conditioning.text import SmallTextEncoder
from slowfast.conditioning.tokenizer import SentencePieceTokenizer

MOVES = ("turn left", "turn right", "forward", "stay")


@pytest.fixture
def spec() -> ActionSpec:
    return ActionSpec(
        (
            Discrete("move", MOVES),
            Continuous("motion", (-30.0, 0.0, float("-inf")), (30.0, 16.0, float("inf"))),
            Keyboard("keys", ("up", "fire")),
            Language("text", describes="move"),
        )
    )


@pytest.fixture
def tokenizer(spec: ActionSpec) -> SentencePieceTokenizer:
    return SentencePieceTokenizer.train(all_phrases(spec))


@pytest.fixture
def encoder(spec: ActionSpec, tokenizer: SentencePieceTokenizer) -> ActionEncoder:
    torch.manual_seed(0)
    return ActionEncoder(spec, ActionEncoderConfig(32, 16), SmallTextEncoder(tokenizer, 16)).eval()
