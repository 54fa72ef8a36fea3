from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from slowfast.actions import Continuous, Discrete, Keyboard, Language
from slowfast.datasets.episode import DatasetError
from slowfast.datasets.ingest.cells import MOST_AXES, read_cells
from slowfast.datasets.ingest.infer import Inference, spec_of

WORDS = ["left", "right", "stay", "stay"]


def components(labels: tuple[str, ...] = (), **columns: Any) -> tuple[Any, ...]:
    """``a__b`` stands for the column ``a.b``."""
    return spec_of({name.replace("__", "."): cells for name, cells in columns.items()}, labels).components


def test_whole_numbers_are_choices_up_to_the_largest() -> None:
    assert components(action=[0, 3, None, 1]) == (Discrete("action", ("0", "1", "2", "3")),)
    assert components(action=[True, 2]) == (Discrete("action", ("0", "1", "2")),)


def test_whole_numbers_below_0_or_above_255_are_quantities() -> None:
    assert components(action=[-1, 4]) == (Continuous("action", (-1.0,), (4.0,)),)
    assert components(action=[0, 256]) == (Continuous("action", (0.0,), (256.0,)),)


def test_numbers_are_continuous_within_what_occurs() -> None:
    assert components(action=[0.5, 2, None]) == (Continuous("action", (0.5,), (2.0,)),)
    assert components(action=[[0.5, 1], [-2, 3], None]) == (Continuous("action", (-2.0, 1.0), (0.5, 3.0)),)
    assert components(action=[[0, 5]]) == (Continuous("action", (0.0, 5.0), (0.0, 5.0)),)


def test_truth_values_and_vectors_of_0_and_1_are_keys() -> None:
    assert components(action__jump=[True], action__fire=[None, False]) == (Keyboard("keys", ("fire", "jump")),)
    assert components(action=[[True, False]]) == components(action=[[0, 1]]) == (Keyboard("action", ("0", "1")),)
    assert components(action=[[0.0, 1.0]]) == (Continuous("action", (0.0, 1.0), (0.0, 1.0)),)


def test_columns_of_one_group_become_axes_keys_and_choices() -> None:
    made = components(
        action__x=[0.5], action__y=[300], action__10=[-1], action__9=[-1], action__slot=[1], action__jump=[True]
    )
    assert made == (
        Discrete("slot", ("0", "1")),
        Keyboard("keys", ("jump",)),
        Continuous("action", (-1.0, -1.0, 0.5, 300.0), (-1.0, -1.0, 0.5, 300.0), ("9", "10", "x", "y")),
    )


def test_few_words_that_come_often_are_labels_and_a_language_describes_them() -> None:
    made = components(action=WORDS * 3)
    assert made == (Discrete("action", ("left", "right", "stay")), Language("text", describes="action"))


@pytest.mark.parametrize(
    "cells",
    [
        WORDS,  # four rows, three labels
        [f"label {k}" for k in range(65)] * 4,
        ["x" * 49] * 8,
    ],
)
def test_many_rare_or_long_texts_are_sentences(cells: list[str]) -> None:
    assert components(action=cells) == (Language("action"),)
    assert components(text=WORDS * 100) == (Language("text"),)


def test_a_language_takes_what_is_longest() -> None:
    assert components(text=["x" * 1000, "y"]) == (Language("text", 1000),)


def test_several_choices_of_words_have_a_language_each() -> None:
    verb, noun = ["open", "close"] * 4, ["door", "box"] * 4
    assert components(action__verb=verb, action__noun=noun, text=["a"] * 8)[-2:] == (
        Language("noun_text", describes="noun"),
        Language("verb_text", describes="verb"),
    )


def test_given_labels_are_taken_for_the_one_column_that_has_choices_or_axes() -> None:
    choice = (Discrete("action", ("up", "down")), Language("text", describes="action"))
    assert components(("up", "down"), action=[1, 0]) == choice
    assert components(("up", "down"), action=["down"]) == choice
    assert components(("x", "y"), action=[[0.5, 1]]) == (Continuous("action", (0.5, 1.0), (0.5, 1.0), ("x", "y")),)
    assert components(("w", "s"), action=[[True, False]]) == (Keyboard("action", ("w", "s")),)
    with pytest.raises(DatasetError, match="2 labels were given for vectors of 3 numbers"):
        components(("x", "y"), action=[[0.5, 1, 2]])
    with pytest.raises(DatasetError, match=r"labels name .* there are \['action.a', 'action.b'\]"):
        components(("x", "y"), action__a=[1], action__b=[1])


def test_the_spec_does_not_depend_on_the_order_of_the_tables() -> None:
    tables: list[dict[str, Any]] = [
        {"action": ["b", "c"] * 4, "action.x": [1]},
        {"action": ["a"] * 6, "action.x": [-1.5]},
        {"action": [3, 4], "action.x": [None]},
    ]
    specs = set()
    for order in itertools.permutations(tables):
        inference = Inference()
        for table in order:
            inference.add(table)
        specs.add(inference.actions().spec)
    assert len(specs) == 1
    assert specs.pop().components[:2] == (
        Discrete("action", ("a", "b", "c")),
        Continuous("action_2", (-1.5,), (1.0,), ("x",)),
    )


def test_where_tables_disagree_most_are_right_and_the_others_are_refused() -> None:
    inference = Inference()
    for table in ({"action": [0.5]}, {"action": ["fast"]}, {"action": [0.25, 1.0]}, {"action": [[1, 2]]}):
        inference.add(table)
    actions = inference.actions()
    assert actions.spec.components == (Continuous("action", (0.25,), (1.0,)),)
    assert actions.columns({"action": [0.5, None]}, 2)["action"].tolist()[0] == [0.5]
    with pytest.raises(DatasetError, match="action: holds text, where the source's other tables have numbers"):
        actions.columns({"action": ["fast"]}, 1)
    with pytest.raises(DatasetError, match="action: holds vectors of 2, where"):
        actions.columns({"action": [[1, 2]]}, 1)


def test_a_table_that_is_refused_counts_for_nothing() -> None:
    inference = Inference()
    inference.add({"action": [1]})
    with pytest.raises(DatasetError):
        inference.add({"action": [5], "text": [{}]})
    assert inference.actions().spec.components == (Discrete("action", ("0", "1")),)


def test_rows_become_the_columns_of_the_spec_and_missing_ones_are_null() -> None:
    raw = {
        "action": ["left", None, "right"] * 4,
        "action.x": [0.5, None, 2] * 4,
        "action.y": [-1, -2, None] * 4,
        "action.jump": [True, None, False] * 4,
        "action.slot": [3, 0, None] * 4,
        "action.arm": [[0.5, 1], None, [2, 3]] * 4,
    }
    inference = Inference()
    inference.add(raw)
    actions = inference.actions()
    columns = actions.columns({name: cells[:3] for name, cells in raw.items()}, 3)
    assert columns["action"].tolist() == [0, -1, 1]
    assert columns["text"].tolist() == ["left", "", "right"]
    assert columns["keys"].tolist() == [[1], [-1], [0]]
    assert columns["slot"].tolist() == [3, 0, -1]
    np.testing.assert_array_equal(columns["arm"], np.array([[0.5, 1], [np.nan] * 2, [2, 3]], np.float32))
    np.testing.assert_array_equal(columns["action_2"], np.array([[0.5, -1], [np.nan, -2], [2, np.nan]], np.float32))
    alone = actions.columns({"action.slot": [1]}, 1)
    assert alone["slot"].tolist() == [1]
    assert alone["action"].tolist() == [-1]
    assert np.isnan(alone["arm"]).all()
    nothing = actions.columns({}, 2)
    assert nothing["keys"].tolist() == [[-1], [-1]]


def test_values_outside_the_labels_are_refused() -> None:
    inference = Inference(("up", "down"))
    inference.add({"action": ["up", "down"]})
    with pytest.raises(DatasetError, match=r"action: 'sideways' is none of the labels \['up', 'down'\]"):
        inference.actions().columns({"action": ["sideways"]}, 1)
    numbers = Inference()
    numbers.add({"action": [0, 1]})
    for wrong in (2, -1, 0.5):
        with pytest.raises(DatasetError, match=rf"action: {wrong}, expected a whole number from 0 to 1"):
            numbers.actions().columns({"action": [wrong]}, 1)


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ([0.5, float("nan")], "row 1 holds nan; expected a number within"),
        ([float("inf")], "row 0 holds inf"),
        ([1e300], "row 0 holds 1e.300"),
        ([10**400], "too large"),
        ([[0, 1], [0, float("nan")]], "row 1 holds nan"),
        (["a", 1], "holds int, str; expected numbers, text, or lists of numbers"),
        ([{"x": 1}], "holds dict"),
        ([[1], [1, 2]], r"lists of \[1, 2\] numbers; expected equally many"),
        ([[]], r"lists of \[0\] numbers"),
        ([["a"]], "lists of str"),
        ([[[1]]], "lists of list"),
        ([[0.0] * (MOST_AXES + 1)], "lists of 513 numbers; at most 512"),
        (["x" * 5000], "row 0 has 5000 characters; at most 4096"),
        (["\ud800"], "row 0 holds characters that are no text"),
        (["a\0b"], "row 0 holds characters that are no text"),
    ],
)
def test_cells_that_are_no_actions_are_refused(cells: list[Any], message: str) -> None:
    with pytest.raises(DatasetError, match=f"^action: .*{message}"):
        read_cells("action", cells)


def test_white_space_in_text_is_one_space() -> None:
    words = read_cells("text", [" turn\n left ", None]).words
    assert words is not None
    assert words.tolist() == ["turn left", ""]


def test_columns_without_a_value_and_too_many_columns_are_refused() -> None:
    with pytest.raises(DatasetError, match="no column of actions has a value"):
        spec_of({"action": [None, None], "text": [""]})
    with pytest.raises(DatasetError, match="too many for one action spec"):
        spec_of({f"action.{k}": [0.123456789] for k in range(2000)})


def test_names_of_components_can_be_keys_in_a_file() -> None:
    assert [component.name for component in components(**{"action.a/b": [1], "action.": [1], "action...": [1]})] == [
        "action",
        "__",
        "a_b",
    ]
