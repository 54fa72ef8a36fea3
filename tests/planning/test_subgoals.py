"""Sub-goals from a list, and what a world knows in words."""

from __future__ import annotations

import pytest

from slowfast.actions import ActionSpec, Continuous, Discrete, Language
from slowfast.planning.subgoals import ListedSubGoals, checked_words, known_words

MOVE = Discrete("move", ("turn left", "turn right"))


def test_a_list_is_given_in_order_and_then_ends() -> None:
    listed = ListedSubGoals(("turn left", "turn left", "turn right"))
    done: list[str] = []
    while (subgoal := listed.next("look around", done)) is not None:
        done.append(subgoal)
    assert done == ["turn left", "turn left", "turn right"]
    assert listed.next("look around", ["turn left"]) == "turn left", "it holds nothing of how far an episode is"


def test_what_says_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="sub-goal 1 has to be words, got ' '"):
        ListedSubGoals(("turn left", " "))
    with pytest.raises(ValueError, match="got the words 'turn left' alone"):
        ListedSubGoals("turn left")  # type: ignore[arg-type]


def test_a_world_knows_the_labels_that_its_words_describe() -> None:
    assert known_words(ActionSpec((MOVE, Language("text", describes="move")))) == MOVE.labels
    assert known_words(ActionSpec((MOVE, Language("text")))) is None
    speed = Continuous("speed", (0.0,), (1.0,))
    assert known_words(ActionSpec((speed, Language("text", describes="speed")))) is None
    with pytest.raises(ValueError, match=r"no language component beside \['move'\]"):
        known_words(ActionSpec((MOVE,)))


def test_unknown_words_are_named_with_their_nearest() -> None:
    assert checked_words(("turn right",), MOVE.labels) == ("turn right",)
    with pytest.raises(ValueError, match="'turn lef'; did you mean 'turn left'"):
        checked_words(("turn right", "turn lef"), MOVE.labels)
