from __future__ import annotations

import numpy as np
import pytest

from slowfast.datasets.ingest.timeline import Span, over_actions

TIMES = np.arange(6) / 10  # five steps, their middles at 0.05, 0.15, ...


@pytest.mark.parametrize(
    ("spans", "expected"),
    [
        ([], ["", "", "", "", ""]),
        ([Span(0.1, 0.3, "a")], ["", "a", "a", "", ""]),
        ([Span(0.04, 0.16, "a")], ["a", "a", "", "", ""]),
        ([Span(0.06, 0.14, "a")], ["", "", "", "", ""]),
        ([Span(-5, 50, "a")], ["a"] * 5),
        ([Span(0.2, 0.2, "a"), Span(0.4, 0.1, "b"), Span(7, 9, "c")], [""] * 5),
    ],
)
def test_a_step_has_the_value_of_the_span_in_which_its_middle_lies(spans: list[Span], expected: list[str]) -> None:
    assert over_actions(TIMES, spans) == expected


def test_of_several_spans_the_one_that_began_last_is_heard_and_of_those_the_shortest() -> None:
    long, within, short = Span(0, 0.5, "long"), Span(0.1, 0.4, "within"), Span(0.1, 0.2, "short")
    expected = ["long", "short", "within", "within", "long"]
    assert over_actions(TIMES, [long, within, short]) == expected
    assert over_actions(TIMES, [short, within, long]) == expected


def test_times_need_not_be_even_and_missing_may_be_anything() -> None:
    assert over_actions(np.array([0, 1, 5, 5.5]), [Span(2, 4, 7)], None) == [None, 7, None]
