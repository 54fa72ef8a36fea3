"""Words are filled in where they are missing, and only there."""

from __future__ import annotations

import numpy as np
import pytest

from slowfast.actions import ActionSpec, Columns, Continuous, Discrete, Language
from slowfast.conditioning.phrases import all_phrases, describe

MOVES = ("turn left", "turn right", "stay")
SPEC = ActionSpec((Discrete("move", MOVES), Language("text", describes="move")))
PHRASES = {"turn left": ("look to the left", "rotate left"), "stay": ("wait",)}


def columns() -> Columns:
    moves = np.random.default_rng(0).integers(-1, 3, (50, 6))
    return SPEC.columns({"move": moves})


def fill(seed: int = 0, given: Columns | None = None) -> np.ndarray:
    return describe(SPEC, given or columns(), np.random.default_rng(seed), PHRASES)["text"]


def test_each_label_gets_one_of_its_phrasings_and_a_missing_one_stays_empty() -> None:
    text, moves = fill(), columns()["move"]
    for move, label in enumerate(MOVES):
        assert set(text[moves == move]) == {label, *PHRASES.get(label, ())}
    assert set(text[moves == -1]) == {""}


def test_a_window_keeps_to_one_phrasing_a_label() -> None:
    text, moves = fill(), columns()["move"]
    for row, labels in zip(text, moves, strict=True):
        for move in range(3):
            assert len(set(row[labels == move])) <= 1


def test_the_draw_depends_on_the_generator_alone() -> None:
    assert (fill(3) == fill(3)).all()
    assert (fill(3) != fill(4)).any()


def test_given_text_and_the_arguments_stay_as_they_are() -> None:
    given = columns()
    given["text"][::2, 1] = "drive home"
    before = given["text"].copy()
    text = fill(0, given)
    assert (text[::2, 1] == "drive home").all()
    assert (given["text"] == before).all()
    assert (text[1::2] == fill()[1::2]).all()


def test_without_phrases_the_labels_are_the_words() -> None:
    text = describe(SPEC, SPEC.columns([[0, 1, 2, None]]), np.random.default_rng(0))["text"]
    assert text.tolist() == [["turn left", "turn right", "stay", ""]]


def test_what_has_no_words_is_left_alone() -> None:
    spec = ActionSpec((Continuous("motion", (0.0,), (1.0,)), Language("text", describes="motion"), Language("more")))
    given = spec.columns({"motion": np.zeros((2, 3, 1))})
    filled = describe(spec, given, np.random.default_rng(0))
    assert all((filled[name] == given[name]).all() for name in given)


@pytest.mark.parametrize("phrases", [None, PHRASES])
def test_all_phrases_lists_everything_that_can_be_drawn(phrases: dict | None) -> None:
    filled = describe(SPEC, columns(), np.random.default_rng(0), phrases)["text"]
    assert set(filled.reshape(-1)) - {""} == set(all_phrases(SPEC, phrases))
