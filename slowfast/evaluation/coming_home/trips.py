"""Walking home for real, and how well it went over many worlds."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from slowfast.envs.doom_rooms.env import DoomRoomsEnv
from slowfast.envs.doom_rooms.motion import STAY
from slowfast.evaluation.coming_home.agents import Agent
from slowfast.evaluation.coming_home.outings import Outing, distance, is_home, pose
from slowfast.evaluation.intervals import drawn, mean


@dataclass(frozen=True)
class Trips:
    """Of E worlds: ``home`` ``bool [E]``; ``steps`` ``int64 [E]`` that were taken (the limit where it was not reached);
    ``left``: how far from home it ended, in map units; ``seconds`` for all of them together."""

    home: np.ndarray
    steps: np.ndarray
    left: np.ndarray
    seconds: float


def come_home(
    env: DoomRoomsEnv,
    away: Sequence[Outing],
    agent: Agent,
    limit: int,
    progress: Callable[[int, int], None] | None = None,
) -> Trips:
    """Lets ``agent`` walk until it is home, at most ``limit`` steps; who is home stands still."""
    states, began = [outing.away for outing in away], time.perf_counter()
    homes = [pose(outing.home) for outing in away]
    home, steps = np.zeros(len(away), bool), np.full(len(away), limit)
    for step in range(1, limit + 1):
        moves = np.where(home, STAY, agent.act(states, ~home))
        frames = []
        for number, move in enumerate(moves):
            env.restore(states[number])
            frames.append(env.step(int(move))[0])
            states[number] = env.snapshot()
        agent.see(np.stack(frames), moves)
        arrived = np.array([is_home(pose(state), goal, env.motion) for state, goal in zip(states, homes, strict=True)])
        steps[arrived & ~home] = step
        home |= arrived
        if progress:
            progress(step, limit)
        if home.all():
            break
    left = np.array([distance(pose(state), goal) for state, goal in zip(states, homes, strict=True)])
    return Trips(home, steps, left, time.perf_counter() - began)


def summary(trips: Mapping[str, Trips], reference: str | None = None, seed: int = 0) -> dict[str, Any]:
    """For each agent the share of worlds in which it came home, mean steps and distance left, with 95 % bootstrap
    intervals over worlds; and, paired, how much more often each came home than ``reference``."""
    count = len(next(iter(trips.values())).home)
    chosen = drawn(count, seed=seed)

    def over_worlds(values: np.ndarray) -> dict[str, float]:
        return vars(mean(values, chosen))

    rows = {}
    for name, own in trips.items():
        row: dict[str, Any] = {
            "home": over_worlds(own.home.astype(float)),
            "steps": over_worlds(own.steps.astype(float)),
        }
        row |= {"left": over_worlds(own.left), "seconds": own.seconds}
        if reference is not None and name != reference:
            row["more_often"] = over_worlds(own.home.astype(float) - trips[reference].home)
        rows[name] = row
    return {"worlds": count, "reference": reference, "agents": rows}


def table(result: Mapping[str, Any]) -> str:
    """The summary for a terminal, and for Markdown."""
    header = ["agent", "came home", "steps", "left, map units", "seconds"]
    if result["reference"]:
        header.append(f"came home more often than: {result['reference']}")
    lines = [f"| {' | '.join(header)} |", f"| --- |{' ---: |' * (len(header) - 1)}"]
    for name, row in result["agents"].items():
        cells = [name, _of(row["home"], 100, " %"), _of(row["steps"]), _of(row["left"]), f"{row['seconds']:.0f}"]
        if result["reference"]:
            cells.append(_of(row["more_often"], 100, " %", "+") if "more_often" in row else "")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _of(interval: Mapping[str, float], scale: float = 1.0, unit: str = "", sign: str = "") -> str:
    value, low, high = (interval[name] * scale for name in ("value", "low", "high"))
    return f"{value:{sign}.0f}{unit} [{low:{sign}.0f}, {high:{sign}.0f}]"
