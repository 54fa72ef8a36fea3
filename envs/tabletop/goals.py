"""Goals in words: a cube to a side of the table, or to another cube."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

SIDES = {"left": (-1.0, 0.0), "right": (1.0, 0.0), "far": (0.0, 1.0), "near": (0.0, -1.0)}
AT_SIDE = 0.12
"""A cube whose centre is this many metres off the middle line is at that side."""
TOGETHER = 0.09
"""Cubes whose centres are this near, in metres, have come together: an edge and two centimetres."""
FAR_ENOUGH = 0.06
"""What a goal that a seed draws asks for at least, in metres."""


@dataclass(frozen=True)
class Goal:
    """``cube`` (index) has to come to a side of :data:`SIDES`, or to the cube ``other``; ``text`` says so."""

    text: str
    cube: int
    side: str | None = None
    other: int | None = None

    def way(self, cubes: np.ndarray) -> np.ndarray:
        """Direction and metres that the cube has yet to go, ``float64 [2]``; zeros where the goal is reached.
        ``cubes`` is ``[N, 2 or more]``: x, y in metres."""
        here = cubes[self.cube, :2]
        if self.side is not None:
            direction = np.array(SIDES[self.side])
            return max(AT_SIDE - float(here @ direction), 0.0) * direction
        gap = cubes[self.other, :2] - here
        distance = float(np.linalg.norm(gap))
        return gap * (max(distance - TOGETHER, 0.0) / max(distance, 1e-9))

    def distance(self, cubes: np.ndarray) -> float:
        """Metres that the cube has yet to go; 0 once the goal is reached."""
        return float(np.linalg.norm(self.way(cubes)))


def goals_of(colours: Sequence[str]) -> dict[str, Goal]:
    """Every goal on a table with cubes of these colours, by its text."""
    goals = []
    for cube, colour in enumerate(colours):
        goals += [Goal(f"push the {colour} cube to the {side} side", cube, side=side) for side in SIDES]
        goals += [
            Goal(f"bring the {colour} cube to the {name} cube", cube, other=other)
            for other, name in enumerate(colours)
            if other != cube
        ]
    return {goal.text: goal for goal in goals}


def find_goal(text: str, colours: Sequence[str]) -> Goal:
    """The goal with that text. Raises ``ValueError`` that lists the table's goals if there is none."""
    goals = goals_of(colours)
    if text not in goals:
        raise ValueError(f"no goal of this table is {text!r}; its goals are {sorted(goals)}")
    return goals[text]


def draw_goal(rng: np.random.Generator, cubes: np.ndarray, colours: Sequence[str]) -> Goal:
    """One of those that ask for something, as things lie."""
    goals = list(goals_of(colours).values())
    asking = [goal for goal in goals if goal.distance(cubes) >= FAR_ENOUGH]
    return asking[int(rng.integers(len(asking)))]
