"""Rows beside a clip as its actions, whatever shape they have: a row a frame, a row a time span, or one for the clip.

``actions[t]`` leads from frame t to t+1. So N frames go with N-1 rows; of N rows the last leads nowhere and is left
out. Rows with ``start`` and ``stop`` (seconds from the first frame) or ``start_frame`` and ``stop_frame`` are spans. A
single row of text is the clip's, as is a json object; lists in a json object are columns.

Columns are told apart by their names, which docs/clips.md lists.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from slowfast.datasets.episode import DatasetError
from slowfast.datasets.ingest.cells import MOST_AXES, read_cells
from slowfast.datasets.ingest.infer import SENTENCE
from slowfast.datasets.ingest.tables import NOTES, Row, columns_of

SENTENCES = ("text", "caption", "instruction", "sentence", "narration")
ACTIONS = ("action", "actions")
LABELS = ("label", "class")
KEY = "key"
"""What is held at a frame or for a time; of a whole clip it is its name in a shard."""
COUNTERS = ("frame", "frame_index")
CLOCKS = ("index", "step", "time", "timestamp", "episode", "episode_index")
STARTS, STOPS = ("start", "start_frame"), ("stop", "end", "stop_frame", "end_frame")
OUTCOMES = {
    "reward": "rewards",
    "terminated": "terminations",
    "truncated": "truncations",
    "rewards": "rewards",
    "terminations": "terminations",
    "truncations": "truncations",
    "done": "terminations",
}
STATE = "state."

Shape = Literal["frames", "spans", "clip"]


@dataclass(frozen=True)
class Annotations:
    """What one table says of one clip, before its frames are known.

    ``actions``: raw columns, as :class:`~slowfast.datasets.ingest.infer.Inference` takes them. ``outcomes`` by the
    recording's names; ``states`` without the prefix. ``starts``, ``stops`` of spans, ``in_frames`` rather than seconds.
    ``unread``: columns that nothing was made of.
    """

    where: str
    shape: Shape
    actions: Mapping[str, list[Any]]
    outcomes: Mapping[str, list[Any]] = field(default_factory=dict)
    states: Mapping[str, list[Any]] = field(default_factory=dict)
    starts: tuple[float, ...] = ()
    stops: tuple[float, ...] = ()
    in_frames: bool = False
    unread: tuple[str, ...] = ()


def annotations_of(
    rows: Sequence[Row], where: str, action: str | None = None, whole: bool = False, suffix: str = ""
) -> list[Annotations]:
    """What rows say of one clip. ``where`` names the table in messages; ``action`` the column of the actions, where
    names do not tell; ``whole``: a single row is the clip's, whatever it holds; ``suffix`` of a file for this clip
    alone. Raises :class:`DatasetError` for rows that fit no shape."""
    if not rows:
        raise DatasetError(f"{where}: has no rows; expected one a frame, a time span or a clip")
    if suffix == ".json" and len(rows) == 1:
        lists = {name: cell for name, cell in rows[0].items() if isinstance(cell, list)}
        rest = {name: [cell] for name, cell in rows[0].items() if name not in lists}
        named = _sorted_out(lists, where, action, "frames", others=False)
        clip = _sorted_out(rest, where, action, "clip", others=False)
        return [named, clip]
    whole = whole or suffix in NOTES
    columns = columns_of(rows)
    start, stop = (next((name for name in names if name in columns), None) for names in (STARTS, STOPS))
    if start or stop:
        return [_spans(columns, where, action, start, stop)]
    shape: Shape = "clip" if len(rows) == 1 and (whole or _words_only(columns, action)) else "frames"
    return [_sorted_out(columns, where, action, shape, others=shape == "frames" and not action)]


def _words_only(columns: Mapping[str, list[Any]], action: str | None) -> bool:
    said = _action_columns(columns, action, "clip") + [name for name in SENTENCES if name in columns]
    return bool(said) and all(isinstance(columns[name][0], str) for name in said)


def check_some(parts: Sequence[Annotations], where: str, action: str | None) -> None:
    """Raises :class:`DatasetError` where nothing says what is done in a clip."""
    if not any(part.actions for part in parts):
        names = sorted({name for part in parts for name in part.unread} - {action})
        expected = f"a column {action}" if action else "a column action, action.NAME, label or text"
        raise DatasetError(f"{where}: expected {expected}; there are {', '.join(names) or 'none'}")


def _sorted_out(
    columns: Mapping[str, list[Any]], where: str, action: str | None, shape: Shape, others: bool
) -> Annotations:
    """Which columns are what; ``others``: numbers of any name are actions where no column has an action's name."""
    named = _action_columns(columns, action, shape)
    actions = {name: columns[name] for name in named}
    outcomes, states, rest = {}, {}, {}
    for name, cells in columns.items():
        if name in actions or (shape == "frames" and name in CLOCKS):
            continue
        if shape == "frames" and name in COUNTERS:
            _check_counter(name, cells, where)
        elif name in SENTENCES and SENTENCE not in actions:
            actions[SENTENCE] = cells
        elif shape == "frames" and name in OUTCOMES and OUTCOMES[name] not in outcomes:
            outcomes[OUTCOMES[name]] = cells
        elif shape == "frames" and name.startswith(STATE):
            states[_state_name(name, where)] = cells
        else:
            rest[name] = cells
    if others and not named:
        taken = {name: cells for name, cells in rest.items() if _plain_numbers(cells)}
        if len(taken) > MOST_AXES:
            raise DatasetError(f"{where}: {len(taken)} columns of numbers; name that of the actions (--options.action)")
        actions |= {f"{ACTIONS[0]}.{name}": cells for name, cells in taken.items()}
        rest = {name: cells for name, cells in rest.items() if name not in taken}
    return Annotations(where, shape, actions, outcomes, states, unread=tuple(rest))


def _action_columns(columns: Mapping[str, list[Any]], action: str | None, shape: Shape) -> list[str]:
    labels = LABELS if shape == "clip" else (*LABELS, KEY)
    for words in ((action,) if action else ACTIONS, () if action else labels):
        found = [name for name in columns if any(name == word or name.startswith(f"{word}.") for word in words)]
        if found:
            return found
    return []


def _plain_numbers(cells: list[Any]) -> bool:
    types = set(map(type, cells)) - {type(None)}
    return bool(types) and types <= {bool, int, float}


def _state_name(column: str, where: str) -> str:
    name = column.removeprefix(STATE)
    if not re.fullmatch(r"[\w\- .]*[\w\- ][\w\- .]*", name):
        raise DatasetError(f"{where}: column {column!r}: expected letters, digits, '_', '-' and dots behind {STATE}")
    return name


def _check_counter(name: str, cells: list[Any], where: str) -> None:
    """Frames have to come in order and without gaps, whatever the first is called."""
    for row, (cell, following) in enumerate(itertools.pairwise(cells)):
        if not isinstance(cell, int) or following != cell + 1:
            raise DatasetError(
                f"{where}: column {name} goes from {cell} to {following} in row {row + 1}; expected a row for each "
                "frame, in order (or start_frame and stop_frame for what lasts longer)"
            )


def _spans(
    columns: dict[str, list[Any]], where: str, action: str | None, start: str | None, stop: str | None
) -> Annotations:
    in_frames = "start_frame" in (start, stop) or (stop or "").endswith("_frame")
    if not start or not stop or start.endswith("_frame") != stop.endswith("_frame"):
        there = start or stop
        raise DatasetError(f"{where}: there is {there}; a span has start and stop (seconds) or start_frame, stop_frame")
    bounds = []
    for name in (start, stop):
        cells = read_cells(f"{where}: column {name}", columns[name])
        if cells.kind != "numbers" or cells.numbers is None or cells.known < len(columns[name]):
            raise DatasetError(f"{where}: column {name}: expected a number in every row")
        bounds.append(tuple(cells.numbers[:, 0].tolist()))
    for row, (first, last) in enumerate(zip(*bounds, strict=True)):
        if not 0 <= first < last:
            raise DatasetError(f"{where}: row {row} lasts from {first:g} to {last:g}; expected 0 <= {start} < {stop}")
    values = {name: cells for name, cells in columns.items() if name not in (start, stop)}
    found = _sorted_out(values, where, action, "spans", others=False)
    return Annotations(where, "spans", found.actions, {}, {}, bounds[0], bounds[1], in_frames, found.unread)
