"""How well words were followed over many worlds, with bootstrap intervals over them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from slowfast.envs.doom_rooms.motion import MOVES
from slowfast.evaluation.follow.walks import Walk, Walks
from slowfast.evaluation.intervals import drawn, mean


def summary(walks: Mapping[str, Walks], reference: str | None = None, seed: int = 0) -> dict[str, Any]:
    """For each follower, with intervals over worlds: ``obeyed``, the share of steps at which what was done was said;
    ``left`` and ``off_the_way`` in map units and ``turned_off`` in degrees (:class:`~.walks.Walk`); plain shares by the
    ``place`` of a step in its plan and by what was said; ``against``, paired: how much more it obeyed and how much
    further from its end it was left than ``reference``.

    Raises ValueError when there are no worlds, or a world was told nothing.
    """
    count = len(next(iter(walks.values())).walks)
    if not count or any(not len(walk.said) for own in walks.values() for walk in own.walks):
        raise ValueError("there is nothing to sum up: every world needs at least one sub-goal")
    chosen = drawn(count, seed=seed)
    figures = {name: _figures(own.walks) for name, own in walks.items()}
    rows = {}
    for name, own in walks.items():
        row: dict[str, Any] = {figure: vars(mean(values, chosen)) for figure, values in figures[name].items()}
        row |= {"by_place": _by_place(own.walks), "by_word": _by_word(own.walks), "seconds": own.seconds}
        if reference is not None and name != reference:
            row["against"] = {
                figure: vars(mean(figures[name][figure] - figures[reference][figure], chosen))
                for figure in ("obeyed", "left")
            }
        rows[name] = row
    return {"worlds": count, "reference": reference, "followers": rows}


def table(result: Mapping[str, Any]) -> str:
    """The summary for a terminal, and for Markdown."""
    header = ["follower", "did what was said", "left, map units", "turned off, degrees", "off the way, map units"]
    header.append("seconds")
    if result["reference"]:
        header.append(f"left further than: {result['reference']}")
    lines = [f"| {' | '.join(header)} |", f"| --- |{' ---: |' * (len(header) - 1)}"]
    for name, row in result["followers"].items():
        cells = [name, _of(row["obeyed"], 100, " %")]
        cells += [_of(row[figure]) for figure in ("left", "turned_off", "off_the_way")]
        cells.append(f"{row['seconds']:.0f}")
        if result["reference"]:
            cells.append(_of(row["against"]["left"], sign="+") if "against" in row else "")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _figures(walks: tuple[Walk, ...]) -> dict[str, np.ndarray]:
    """One number a world ``float64 [E]``, by figure."""
    return {
        "obeyed": np.array([walk.obeyed.mean() for walk in walks]),
        "left": np.array([walk.left for walk in walks]),
        "turned_off": np.array([walk.turned_off for walk in walks]),
        "off_the_way": np.array([walk.off_the_way for walk in walks]),
    }


def _by_place(walks: tuple[Walk, ...]) -> list[float]:
    places, obeyed = _joined(walks, "places"), _joined(walks, "obeyed")
    return [float(obeyed[places == place].mean()) for place in range(int(places.max()) + 1)]


def _by_word(walks: tuple[Walk, ...]) -> dict[str, dict[str, Any]]:
    """For each move that was said: ``steps``, the share that ``obeyed``, and what was done, as shares."""
    said, moves = _joined(walks, "said"), _joined(walks, "moves")
    rows: dict[str, dict[str, Any]] = {}
    for word in np.unique(said).tolist():
        done = np.bincount(moves[said == word], minlength=len(MOVES))
        shares = {
            MOVES[move]: float(done[move] / done.sum()) for move in np.argsort(-done, kind="stable") if done[move]
        }
        rows[MOVES[word]] = {"steps": int(done.sum()), "obeyed": float(done[word] / done.sum()), "done": shares}
    return rows


def _joined(walks: tuple[Walk, ...], name: str) -> np.ndarray:
    return np.concatenate([getattr(walk, name) for walk in walks])


def _of(interval: Mapping[str, float], scale: float = 1.0, unit: str = "", sign: str = "") -> str:
    value, low, high = (interval[name] * scale for name in ("value", "low", "high"))
    return f"{value:{sign}.0f}{unit} [{low:{sign}.0f}, {high:{sign}.0f}]"
