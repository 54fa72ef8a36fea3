"""Doing a task for real, and how well it went over many worlds."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from slowfast.evaluation.acting.agents import Agent
from slowfast.evaluation.acting.task import Task
from slowfast.evaluation.intervals import drawn, mean


@dataclass(frozen=True)
class Trips:
    """Of E worlds: ``success`` ``bool [E]``; ``steps`` ``int64 [E]`` that were taken (the limit where it was not
    reached); ``left``: how far from done it ended, in the task's unit; ``seconds`` for all of them together."""

    success: np.ndarray
    steps: np.ndarray
    left: np.ndarray
    seconds: float


def act_out(task: Task, agent: Agent, limit: int, progress: Callable[[int, int], None] | None = None) -> Trips:
    """Lets ``agent`` act until all is done, at most ``limit`` steps; where it is done, nothing more happens."""
    states, began, count = list(task.states), time.perf_counter(), len(task.states)
    success, steps = np.zeros(count, bool), np.full(count, limit)
    for step in range(1, limit + 1):
        moves = np.where(success, task.idle, agent.act(states, ~success))
        frames = []
        for number, move in enumerate(moves):
            task.env.restore(states[number])
            frames.append(task.env.step(int(move))[0])
            states[number] = task.env.snapshot()
        agent.see(np.stack(frames), moves)
        arrived = np.array([task.done(number, state) for number, state in enumerate(states)])
        steps[arrived & ~success] = step
        success |= arrived
        if progress:
            progress(step, limit)
        if success.all():
            break
    left = np.array([task.left(number, state) for number, state in enumerate(states)])
    return Trips(success, steps, left, time.perf_counter() - began)


def summary(task: Task, trips: Mapping[str, Trips], reference: str | None = None, seed: int = 0) -> dict[str, Any]:
    """For each agent the share of worlds in which it succeeded, mean steps and distance left, with 95 % bootstrap
    intervals over worlds; and, paired, how much more often each succeeded than ``reference``."""
    count = len(next(iter(trips.values())).success)
    chosen = drawn(count, seed=seed)

    def over_worlds(values: np.ndarray) -> dict[str, float]:
        return vars(mean(values, chosen))

    rows = {}
    for name, own in trips.items():
        row: dict[str, Any] = {
            "success": over_worlds(own.success.astype(float)),
            "steps": over_worlds(own.steps.astype(float)),
        }
        row |= {"left": over_worlds(own.left), "seconds": own.seconds}
        if reference is not None and name != reference:
            row["more_often"] = over_worlds(own.success.astype(float) - trips[reference].success)
        rows[name] = row
    called = {"done": task.done_is, "left": task.left_is}
    return {"worlds": count, "called": called, "reference": reference, "agents": rows}


def table(result: Mapping[str, Any]) -> str:
    """The summary for a terminal, and for Markdown."""
    done, left = (result["called"][name] for name in ("done", "left"))
    header = ["agent", done, "steps", left, "seconds"]
    if result["reference"]:
        header.append(f"{done} more often than: {result['reference']}")
    lines = [f"| {' | '.join(header)} |", f"| --- |{' ---: |' * (len(header) - 1)}"]
    for name, row in result["agents"].items():
        cells = [name, _of(row["success"], 100, " %"), _of(row["steps"]), _of(row["left"]), f"{row['seconds']:.0f}"]
        if result["reference"]:
            cells.append(_of(row["more_often"], 100, " %", "+") if "more_often" in row else "")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _of(interval: Mapping[str, float], scale: float = 1.0, unit: str = "", sign: str = "") -> str:
    value, low, high = (interval[name] * scale for name in ("value", "low", "high"))
    return f"{value:{sign}.0f}{unit} [{low:{sign}.0f}, {high:{sign}.0f}]"
