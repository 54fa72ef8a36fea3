"""What ``slowfast recall`` found, as Markdown: views that left the context, beside controls, rivals and the ceiling."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from report import NOT_MEASURED, markdown_table

from slowfast.evaluation.recall import returning
from slowfast.evaluation.recall.places import BEYOND
from slowfast.evaluation.recall.summary import table

Result = dict[str, Any]


def recall_beyond(result: Result | None) -> str:
    """Views that left the context."""
    return NOT_MEASURED if result is None else _places(result, [BEYOND])


def recall_all(result: Result | None) -> str:
    """All places, and dreams out and back where there are any."""
    if result is None:
        return NOT_MEASURED
    text = _places(result, list(result["places"]))
    return text if result.get("return") is None else f"{text}\n\n{_returns(result)}"


def _returns(result: Result) -> str:
    """Dreams out and back: how alike a place is when it is dreamed again."""
    shown = returning.table(result["return"])
    turns, worlds = result["return"]["turns"], len(result["return"]["seeds"])
    rows = markdown_table(list(shown.header), [list(row) for row in shown.rows])
    return f"**Dreamed out and back**, {turns} turns each way in {worlds} worlds:\n\n{rows}"


def _places(result: Result, names: Sequence[str]) -> str:
    worlds = len(next(iter(result["seeds"].values())))
    parts = []
    for name in (name for name in names if name in result["places"]):
        place = result["places"][name]
        shown = table(place)
        parts.append(
            f"**{name[0].upper()}{name[1:]}**, {place['frames']:.0f} frames in each of {worlds} worlds (a view picked "
            f"at random is right in {100 * place['chance']:.1f} %):\n\n"
            + markdown_table(list(shown.header), [list(row) for row in shown.rows])
        )
    seen = ", ".join(f"*{walk}*: {count} real steps" for walk, count in result["seen"].items())
    parts.append(f"{worlds} worlds of the {result['split']} seeds; {seen}. Features: {result['extractor']}.")
    return "\n\n".join(parts)
