"""The next move towards a goal, found from where things lie: around the cubes to the right one, grip it, bring it.

It looks at the simulator's state (its privilege as a collector of data), and at nothing else, so it also works from a
restored state or in the middle of an episode.
"""

from __future__ import annotations

from collections import deque

import numpy as np

from slowfast.envs.tabletop.goals import Goal
from slowfast.envs.tabletop.moves import AWAY, DIRECTIONS, GRIP, LEFT, NEAR, RELEASE, RIGHT, STAY
from slowfast.envs.tabletop.scene import HALF_EDGE, REACH, ROD_RADIUS

TOUCHING = 0.004
"""Metres between rod and cube over which the grip still acts."""
CLEARANCE = 0.008
"""Metres that a way around a cube keeps off it."""


def next_move(gripper: np.ndarray, gripping: bool, cubes: np.ndarray, goal: Goal, step: float) -> int:
    """A move of ``moves.MOVES``. ``gripper`` [2] in metres, ``cubes`` [N, 3] as the simulator says them, ``step`` the
    metres of a move; where the goal is reached: release, then stay."""
    way = goal.way(cubes)
    if not way.any():
        return RELEASE if gripping else STAY
    near = gaps(gripper, cubes)[goal.cube] < TOUCHING and bool(_may_hold(gripper, cubes, goal))
    if gripping:
        return _along(way) if near else RELEASE
    return GRIP if near else _approach(gripper, cubes, goal, step)


def gaps(rods: np.ndarray, cubes: np.ndarray) -> np.ndarray:
    """Metres between the rod's surface and each cube's, negative where they overlap: ``[..., 2]`` places of the rod's
    axis and ``[N, 3]`` cubes to ``[..., N]``."""
    dx, dy = (rods[..., None, axis] - cubes[:, axis] for axis in (0, 1))
    cosine, sine = np.cos(cubes[:, 2]), np.sin(cubes[:, 2])
    beyond = np.abs(np.stack([cosine * dx + sine * dy, cosine * dy - sine * dx])) - HALF_EDGE
    return np.hypot(*np.maximum(beyond, 0)) + np.minimum(beyond.max(0), 0) - ROD_RADIUS


def _may_hold(rods: np.ndarray, cubes: np.ndarray, goal: Goal) -> np.ndarray:
    """Where the rod, ``[..., 2]``, is not between the cube and the cube that it has to come to."""
    if goal.other is None:
        return np.ones(rods.shape[:-1], bool)
    here = cubes[goal.cube, :2]
    towards, held = cubes[goal.other, :2] - here, rods - here
    return held @ towards < 0.5 * np.linalg.norm(towards) * np.linalg.norm(held, axis=-1)


def _along(way: np.ndarray) -> int:
    if abs(way[0]) >= abs(way[1]):
        return RIGHT if way[0] > 0 else LEFT
    return AWAY if way[1] > 0 else NEAR


def _approach(rod: np.ndarray, cubes: np.ndarray, goal: Goal, step: float) -> int:
    """The first move of a shortest way, in whole moves, to where a further move meets the cube; straight at it if there
    is no way around the others."""
    side = int(2 * REACH / step) + 2  # nodes of the lattice each way, so that its edge is out of reach
    lattice = np.stack(np.meshgrid(*2 * [np.arange(-side, side + 1)], indexing="ij"), -1)
    places = rod + step * lattice
    within = np.abs(places).max(-1) < REACH + 1e-6
    may_hold = _may_hold(places, cubes, goal)
    at_end = gaps(places, cubes)
    free, meets = {}, {}
    for move, direction in DIRECTIONS.items():
        on_the_way = np.minimum(at_end, gaps(places - step / 2 * np.array(direction), cubes))
        free[move] = within & (np.delete(on_the_way, goal.cube, -1).min(-1) > CLEARANCE)
        meets[move] = on_the_way[..., goal.cube] < TOUCHING / 2
    first: dict[tuple[int, int], int | None] = {(side, side): None}
    waiting = deque(first)
    while waiting:
        node = waiting.popleft()
        for move, (right, away) in DIRECTIONS.items():
            after = (node[0] + int(right), node[1] + int(away))
            if after in first or not free[move][after]:
                continue
            start = first[node]
            start = move if start is None else start
            if not meets[move][after]:
                first[after] = start
                waiting.append(after)
            elif may_hold[node]:
                return start
    return _along(cubes[goal.cube, :2] - rod)
