"""Any string has an encoding, and the null is all padding."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from slowfast.conditioning.tokenizer import PAD, SentencePieceTokenizer

UNKNOWN = 1
TOKENIZER = SentencePieceTokenizer.train(["turn left", "turn right", "forward", "go straight on"])


def encode(*texts: str) -> np.ndarray:
    column = np.empty(len(texts), object)
    column[:] = texts
    return TOKENIZER.encode(column)


@given(st.lists(st.text(), max_size=4))
def test_any_text_has_ids_in_the_vocabulary(texts: list[str]) -> None:
    ids = encode(*texts)
    assert ids.shape == (len(texts), 8)
    assert ids.dtype == np.int64
    assert ((ids >= 0) & (ids < TOKENIZER.size)).all()
    assert not (ids == UNKNOWN).any()  # bytes stand in for what was never seen


def test_text_that_is_no_unicode_has_ids_too() -> None:
    assert (encode("\ud800") != PAD).any()


def test_the_empty_text_is_all_padding_and_no_other_is() -> None:
    assert (encode("") == PAD).all()
    assert (encode("turn left", "ö", "日本")[:, 0] != PAD).all()


def test_known_words_are_short_and_distinct() -> None:
    ids = encode("turn left", "turn right", "forward", "go straight on")
    assert ((ids != PAD).sum(1) <= 4).all()
    assert len(np.unique(ids, axis=0)) == 4


def test_ids_do_not_depend_on_the_neighbours() -> None:
    together = TOKENIZER.encode(np.array([["turn left", "x"], ["", "turn left"]], object))
    assert together.shape == (2, 2, 8)
    assert (together[0, 0] == encode("turn left")[0]).all()
    assert (together[1, 1] == encode("turn left")[0]).all()


def test_long_text_is_cut() -> None:
    assert (encode("日本" * 100) != PAD).all()


def test_training_is_deterministic_and_indifferent_to_order() -> None:
    again = SentencePieceTokenizer.train(["go straight on", "forward", "turn right", "turn left", "forward"])
    assert again.model == TOKENIZER.model


def test_saving_and_loading(tmp_path: Path) -> None:
    TOKENIZER.save_pretrained(tmp_path / "tokenizer.model")
    again = SentencePieceTokenizer.from_pretrained(tmp_path / "tokenizer.model", 8)
    assert again.size == TOKENIZER.size
    assert (again.encode(np.array(["turn left!"], object)) == encode("turn left!")).all()


@pytest.mark.parametrize("length", [1, 3, 20])
def test_the_length_is_chosen(length: int) -> None:
    short = SentencePieceTokenizer(TOKENIZER.model, length)
    assert short.encode(np.array(["turn left"], object)).shape == (1, length)
