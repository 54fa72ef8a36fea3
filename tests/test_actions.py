"""Actions in every form that users write become the same columns, and errors say what was expected."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from slowfast.actions import ActionError, ActionSpec, Columns, Continuous, Discrete, Keyboard, Language

MOVES = ("turn left", "turn right", "forward", "stay")
ROOMS = ActionSpec((Discrete("move", MOVES), Language("text", describes="move")))
LABELS = ActionSpec((Discrete("move", MOVES),))
MOTION = ActionSpec((Continuous("motion", (-30.0, 0.0), (30.0, 16.0), ("turn_degrees", "forward_units")),))
KEYS = ActionSpec((Keyboard("keys", ("up", "left", "fire")),))
EVERYTHING = ActionSpec(
    (
        Discrete("move", MOVES),
        Continuous("motion", (-1.0, -1.0), (1.0, 1.0)),
        Keyboard("keys", ("up", "left", "fire")),
        Language("text", describes="move"),
    )
)


def same(one: Columns, other: Columns) -> bool:
    assert list(one) == list(other)
    for name in one:
        assert one[name].dtype == other[name].dtype
        np.testing.assert_array_equal(one[name], other[name])
    return True


@pytest.mark.parametrize(
    "actions",
    [
        [0, 1, 3],
        (0, 1, 3),
        np.array([0, 1, 3]),
        np.array([0, 1, 3], np.uint8),
        [np.int64(0), np.array(1), 3],
        [{"move": 0}, {"move": "turn right"}, {"move": 3}],
        {"move": [0, 1, 3]},
        {"move": ["turn left", "turn right", "stay"]},
        {"move": np.array(["turn left", "turn right", "stay"])},
        {"move": np.array([0, 1, 3]), "text": None},
    ],
)
def test_an_index_is_the_same_in_every_form(actions: Any) -> None:
    columns = ROOMS.columns(actions)
    assert columns["move"].dtype == np.int64
    assert columns["move"].tolist() == [0, 1, 3]
    assert columns["text"].tolist() == ["", "", ""]


@pytest.mark.parametrize("form", [list, tuple, np.array, lambda x: np.array(x, object)])
def test_words_go_to_the_language_component_or_else_are_labels(form: Any) -> None:
    words = form(["turn left", "stay"])
    assert ROOMS.columns(words)["text"].tolist() == ["turn left", "stay"]
    assert ROOMS.columns(words)["move"].tolist() == [-1, -1]
    assert LABELS.columns(words)["move"].tolist() == [0, 3]


def test_a_batch_of_words_keeps_both_axes() -> None:
    words = [["turn left", "stay", "forward"], ["stay", "stay", "turn right"]]
    for batch in (words, np.array(words), np.array(words, object), [np.array(row) for row in words]):
        assert ROOMS.columns(batch)["text"].tolist() == words
        assert LABELS.columns(batch)["move"].tolist() == [[0, 3, 2], [3, 3, 1]]


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int32])
def test_vectors_are_single_actions(dtype: type) -> None:
    rows = np.array([[10, 0], [-20, 8], [5, 5]], dtype)
    expected = MOTION.columns(rows)
    assert expected["motion"].dtype == np.float32
    assert expected["motion"].tolist() == rows.tolist()
    assert same(MOTION.columns(list(rows)), expected)
    assert same(MOTION.columns(rows.tolist()), expected)
    batch = np.stack([rows, rows + 1])
    assert MOTION.columns(batch)["motion"].shape == (2, 3, 2)
    assert same(MOTION.columns(batch.tolist()), MOTION.columns(batch))
    assert same(MOTION.columns([rows, rows + 1]), MOTION.columns(batch))


def test_a_single_axis_needs_no_brackets() -> None:
    throttle = ActionSpec((Continuous("throttle", (0.0,), (1.0,)),))
    for actions in ([0.5, 1], [[0.5], [1.0]], np.array([0.5, 1.0]), np.array([[0.5], [1.0]])):
        assert throttle.columns(actions)["throttle"].tolist() == [[0.5], [1.0]]


@pytest.mark.parametrize("dtype", [bool, np.int8, np.int64])
def test_keys_are_zeros_and_ones(dtype: type) -> None:
    rows = np.array([[1, 0, 1], [0, 0, 0]], dtype)
    assert KEYS.columns(rows)["keys"].tolist() == [[1, 0, 1], [0, 0, 0]]
    assert same(KEYS.columns(rows.tolist()), KEYS.columns(rows))
    assert KEYS.columns(np.stack([rows, rows]))["keys"].shape == (2, 2, 3)
    assert KEYS.columns([[True, False, True]])["keys"].tolist() == [[1, 0, 1]]


def test_each_form_finds_its_component_among_several() -> None:
    spec = ActionSpec((Discrete("move", MOVES), Keyboard("keys", ("up", "left")), Language("text")))
    columns = spec.columns([2, [0, 1], "look around", None, {"move": "stay", "keys": [1, 1], "text": None}])
    assert columns["move"].tolist() == [2, -1, -1, -1, 3]
    assert columns["keys"].tolist() == [[-1, -1], [0, 1], [-1, -1], [-1, -1], [1, 1]]
    assert columns["text"].tolist() == ["", "", "look around", "", ""]
    assert same(spec.columns([[0, 1], [1, 1]]), spec.columns(np.array([[0, 1], [1, 1]])))


def test_none_is_null_everywhere() -> None:
    assert same(EVERYTHING.columns([None, None]), EVERYTHING.null((2,)))
    batch = EVERYTHING.columns([[None, 1], [0, None]])
    assert batch["move"].tolist() == [[-1, 1], [0, -1]]
    assert np.isnan(batch["motion"]).all()
    assert same(EVERYTHING.columns([]), EVERYTHING.null((0,)))
    assert same(EVERYTHING.columns([[], []]), EVERYTHING.null((2, 0)))
    assert same(MOTION.columns(np.zeros((3, 0, 2))), MOTION.null((3, 0)))
    assert same(ROOMS.columns(np.zeros(0)), ROOMS.null((0,)))


def test_columns_of_columns_are_themselves() -> None:
    columns = EVERYTHING.columns([1, [0.5, -0.5], "go", {"keys": [1, 0, 1]}, None])
    assert same(EVERYTHING.columns(columns), columns)


@pytest.mark.parametrize(
    ("spec", "actions", "expected"),
    [
        (LABELS, ["turn lft"], "'move' has no label 'turn lft'; did you mean 'turn left'"),
        (LABELS, [4], r"'move' takes 0\.\.3, got 4"),
        (LABELS, [-2], r"'move' takes 0\.\.3, got -2"),
        (LABELS, np.array([0, 9]), r"'move' takes 0\.\.3"),
        (LABELS, np.array([0.0, 1.0]), r"float64 fit no component; there are 'move' \(discrete\)"),
        (LABELS, [0.5], "fit no component"),
        (LABELS, {"mov": [0]}, r"no action component 'mov'; there are \['move'\]"),
        (LABELS, [{"mov": 0}], "no action component 'mov'"),
        (LABELS, {"move": 1}, "'move' holds one action"),
        (LABELS, {"move": [0.5]}, "'move' takes int64 values, got float64"),
        (LABELS, {}, r"at least one of the components \['move'\]"),
        (LABELS, [[0, 1], [0]], r"equally many actions, got \[2, 1\]"),
        (ROOMS, {"move": [0, 1], "text": ["a"]}, r"'text' has \(1,\) actions, 'move' has \(2,\)"),
        (ROOMS, {"text": [1, 2]}, "'text' takes text, got int64"),
        (ROOMS, {"text": ["x" * 257]}, "'text' takes at most 256 characters, got 257"),
        (ROOMS, ["x" * 257], "at most 256 characters"),
        (ROOMS, {"text": np.array([1, "a"], object)}, "'text' takes a string, got int"),
        (MOTION, [[1.0, 2.0, 3.0]], r"'motion' takes 2 numbers, got shape \(3,\)"),
        (MOTION, np.zeros((4, 3)), r"'motion' takes 2 values, got \(4, 3\)"),
        (MOTION, [{"motion": "fast"}], "'motion' takes 2 numbers, got 'fast'"),
        (MOTION, [{"motion": [[1.0], 2.0]}], "'motion' takes 2 numbers"),
        (MOTION, ["left"], "fit no component"),
        (MOTION, np.zeros(2), "holds one action"),
        (KEYS, [[0, 1, 2]], "'keys' takes 3 zeros and ones"),
        (KEYS, np.array([[0, 1, 2]]), r"'keys' takes 0\.\.1"),
        (KEYS, [[0.5, 0.0, 1.0]], "fit no component"),
        (KEYS, np.array([0, 1, 1]), "'keys' holds one action"),
        (EVERYTHING, [[[0.0], [0.0, 1.0]]], "takes 2 numbers|differ in length"),
    ],
)
def test_errors_name_the_component_and_what_it_takes(spec: ActionSpec, actions: Any, expected: str) -> None:
    with pytest.raises(ActionError, match=expected):
        spec.columns(actions)


def test_a_spec_needs_distinct_names_and_a_described_component() -> None:
    with pytest.raises(ActionError, match="distinct names"):
        ActionSpec((Discrete("a", ("x",)), Language("a")))
    with pytest.raises(ActionError, match="distinct names"):
        ActionSpec(())
    with pytest.raises(ActionError, match="'text' describes 'moves'"):
        ActionSpec((Discrete("move", MOVES), Language("text", describes="moves")))
    with pytest.raises(KeyError, match="there are"):
        ROOMS["jump"]


@pytest.mark.parametrize("spec", [ROOMS, MOTION, KEYS, EVERYTHING])
def test_json_brings_back_an_equal_spec(spec: ActionSpec) -> None:
    again = ActionSpec.from_json(spec.to_json())
    assert again == spec
    assert hash(again) == hash(spec)


def test_json_of_an_unbounded_axis() -> None:
    spec = ActionSpec((Continuous("force", (-np.inf, 0.0), (np.inf, 1.0)),))
    assert ActionSpec.from_json(spec.to_json()) == spec


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"components": [{"kind": "dance", "name": "a"}]}', '{"components": [{"name": "a"}]}',
     json.dumps({"components": [{"kind": "discrete", "name": "a", "labels": ["x"], "colour": 1}]})],
)  # fmt: skip
def test_json_that_is_no_spec_is_refused(text: str) -> None:
    with pytest.raises(ActionError, match="not an ActionSpec in JSON"):
        ActionSpec.from_json(text)


@pytest.mark.parametrize(
    "space",
    [
        spaces.Discrete(4),
        spaces.Box(np.float32([-1, 0]), np.float32([1, 2])),
        spaces.MultiBinary(3),
        spaces.Dict([("zoom", spaces.Discrete(2)), ("arm", spaces.Box(-1.0, 1.0, (3,)))]),
    ],
)
def test_spaces_survive_the_round_trip(space: spaces.Space) -> None:
    spec = ActionSpec.from_space(space)
    assert spec.to_space() == space
    assert ActionSpec.from_space(spec.to_space()) == spec
    space.seed(0)
    samples = [space.sample() for _ in range(5)]
    columns = spec.columns(samples)
    assert {len(column) for column in columns.values()} == {5}
    assert not any(np.array_equal(column[0], spec.null(())[name]) for name, column in columns.items())


def test_a_dict_space_keeps_the_order_of_the_spec() -> None:
    spec = ActionSpec((Discrete("zoom", ("0", "1")), Keyboard("arm", ("0",)), Language("text")))
    assert list(spec.to_space().spaces) == ["zoom", "arm"]


def test_an_agent_does_not_act_with_words_unless_there_is_nothing_else() -> None:
    assert ROOMS.to_space() == spaces.Discrete(4)
    talk = ActionSpec((Language("text", 40),))
    space = talk.to_space()
    assert space.contains("Turn left, then stop!")
    assert space.contains("")
    assert not space.contains("x" * 41)
    assert ActionSpec.from_space(space, name="text") == talk


def test_a_space_takes_labels() -> None:
    assert ActionSpec.from_space(spaces.Discrete(4), MOVES, "move") == LABELS
    assert ActionSpec.from_space(spaces.Discrete(2)).components[0] == Discrete("action", ("0", "1"))


@pytest.mark.parametrize(
    "space",
    [
        spaces.Discrete(3, start=1),
        spaces.Box(0, 1, (2, 2)),
        spaces.MultiBinary((2, 2)),
        spaces.Tuple((spaces.Discrete(2),)),
        spaces.Dict(inner=spaces.Dict(a=spaces.Discrete(2), b=spaces.Discrete(2))),
    ],
)
def test_a_space_that_no_component_fits_is_refused(space: spaces.Space) -> None:
    with pytest.raises(ActionError):
        ActionSpec.from_space(space)


@st.composite
def episodes(draw: st.DrawFn, length: int) -> Columns:
    """Columns ``[length]`` of :data:`EVERYTHING`, nulls among them."""
    motion = draw(arrays(np.float32, (length, 2), elements=st.floats(-1, 1, width=32)))
    missing = draw(arrays(bool, length))
    words = draw(st.lists(st.text(max_size=12), min_size=length, max_size=length))
    return EVERYTHING.columns(
        {
            "move": draw(arrays(np.int64, length, elements=st.integers(-1, len(MOVES) - 1))),
            "motion": np.where(missing[:, None], np.float32(np.nan), motion),
            "keys": draw(arrays(np.int64, (length, 3), elements=st.integers(-1, 1))),
            "text": words,
        }
    )


@given(st.data(), st.integers(1, 6), st.integers(0, 6))
def test_concat_select_and_stack_agree(data: st.DataObject, first: int, second: int) -> None:
    one, two = data.draw(episodes(first)), data.draw(episodes(second))
    both = ActionSpec.concat([one, two])
    assert same(ActionSpec.select(both, slice(0, first)), one)
    assert same(ActionSpec.select(both, slice(first, None)), two)
    stacked = ActionSpec.stack([one, one])
    assert same(ActionSpec.select(stacked, 1), one)
    assert same(EVERYTHING.columns(stacked), stacked)
    assert same(ActionSpec.concat([stacked, stacked], 1), ActionSpec.stack([ActionSpec.concat([one, one])] * 2))


@given(st.data(), st.integers(1, 5))
def test_rows_as_mappings_are_the_columns_again(data: st.DataObject, length: int) -> None:
    columns = data.draw(episodes(length))
    rows = [{name: column[i] for name, column in columns.items()} for i in range(length)]
    assert same(EVERYTHING.columns(rows), columns)
