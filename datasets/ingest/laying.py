"""Annotations laid on a clip's frames: one value for each step between two of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from slowfast.datasets.episode import DatasetError
from slowfast.datasets.ingest.annotations import STATE, Annotations
from slowfast.datasets.ingest.cells import read_cells
from slowfast.datasets.ingest.timeline import Span, over_actions


def laid(parts: Sequence[Annotations], times: np.ndarray, name: str) -> dict[str, dict[str, Any]]:
    """The parts of one clip, laid on its frames at ``times`` ``[N]``: raw columns of ``actions``, one value for each of
    the N-1 steps; ``outcomes`` ``[N-1]``; ``states`` ``float32 [N, d]``.

    Raises :class:`DatasetError` where rows and frames do not match, or two tables say the same.
    """
    made: dict[str, dict[str, Any]] = {"actions": {}, "outcomes": {}, "states": {}}
    for part in parts:
        found: dict[str, dict[str, Any]] = {"actions": _steps(part, times, name), "outcomes": {}, "states": {}}
        for key, cells in part.outcomes.items():
            kind = np.float32 if key == "rewards" else np.bool_
            found["outcomes"][key] = _numbers(part, key, _between(part, cells, len(times), name))[:, 0].astype(kind)
        for key, cells in part.states.items():
            if len(cells) != len(times):
                said = f"{STATE}{key} in {part.where} needs a row for each, got {len(cells)}"
                raise DatasetError(f"{name}: has {len(times)} frames; {said}")
            found["states"][key] = _numbers(part, STATE + key, cells).astype(np.float32)
        for group, columns in found.items():
            twice = sorted(made[group].keys() & columns.keys())
            if twice:
                raise DatasetError(f"{name}: {twice[0]} stands in {part.where} and in another of its files")
            made[group] |= columns
    return made


def _steps(part: Annotations, times: np.ndarray, name: str) -> dict[str, list[Any]]:
    """One value for each step, of each raw column."""
    count = len(times)
    if part.shape == "clip":
        return {key: cells * (count - 1) for key, cells in part.actions.items()}
    if part.shape == "frames":
        return {key: _between(part, cells, count, name) for key, cells in part.actions.items()}
    starts, stops = np.array(part.starts), np.array(part.stops)
    last = float(count - 1 if part.in_frames else times[-1] - times[0])
    if starts.max() >= last:
        unit = "frames" if part.in_frames else "seconds"
        raise DatasetError(f"{name}: ends after {last:g} {unit}; a span in {part.where} begins at {starts.max():g}")
    if part.in_frames:
        edges = np.append(times, np.inf)  # a span may go up to the end: frame N, which is not there
        starts, stops = (edges[np.minimum(frames, count).astype(int)] for frames in (starts, stops))
    else:
        starts, stops = starts + times[0], stops + times[0]
    spans = list(zip(starts.tolist(), stops.tolist(), strict=True))
    return {
        key: over_actions(times, (Span(*span, value) for span, value in zip(spans, cells, strict=True)), None)
        for key, cells in part.actions.items()
    }


def _between(part: Annotations, cells: list[Any], count: int, name: str) -> list[Any]:
    if len(cells) not in (count, count - 1):
        raise DatasetError(
            f"{name}: has {count} frames; expected {count} or {count - 1} rows in {part.where}, got {len(cells)}"
        )
    return cells[: count - 1]


def _numbers(part: Annotations, column: str, cells: list[Any]) -> np.ndarray:
    read = read_cells(f"{part.where}: column {column}", cells)
    if read.numbers is None or np.isnan(read.numbers).any():
        raise DatasetError(f"{part.where}: column {column}: expected a number in every row")
    return read.numbers
