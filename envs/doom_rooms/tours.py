"""Scripted tours, as lists of action indices, for the demo and for measuring recall.

Because moves are exact, a tour that returns shows the very same pictures again; :func:`revisits` finds them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from slowfast.envs.doom_rooms.env import DoomRoomsEnv
from slowfast.envs.doom_rooms.layout import World
from slowfast.envs.doom_rooms.motion import FORWARD, TURN_LEFT, TURN_RIGHT, Motion, Pose
from slowfast.envs.doom_rooms.navigation import Navigator

LONGEST_WALK = 80


def full_turn(turn_degrees: float = 22.5, direction: str = "left") -> list[int]:
    """Once around on the spot, 360 / ``turn_degrees`` actions; ``direction`` is "left" or "right". Raises
    ``ValueError`` unless the turns fit into a circle a whole number of times."""
    return _turns(360.0, turn_degrees, direction)


def out_and_back(steps: int, turn_degrees: float = 22.5, direction: str = "left") -> list[int]:
    """``steps`` forward, half a turn, ``steps`` forward, half a turn: the start pose again if nothing was in the way
    (see :func:`clear_steps`). Raises ``ValueError`` unless the turns fit into half a circle."""
    around = _turns(180.0, turn_degrees, direction)
    walk = [FORWARD] * steps
    return [*walk, *around, *walk, *around]


def look_leave_return(env: DoomRoomsEnv, look_there: bool = True, direction: str = "left") -> list[int]:
    """Look around, leave for another room (in a world of one room: walk off), come back the same way, look around.

    Planned from the present pose of ``env`` (its ``unwrapped``), which is not stepped. The last turn ends in the
    start pose, and shows the first turn's pictures again in the same order. With ``look_there`` it also looks around
    at the far end. Raises ``ValueError`` unless the turns fit into half a circle, or if there is no room to walk.
    """
    motion = env.motion
    around = full_turn(motion.turn_degrees, direction)
    half = _turns(180.0, motion.turn_degrees, direction)
    out = _way_out(env.world, motion, env.position)
    mirrored = {FORWARD: FORWARD, TURN_LEFT: TURN_RIGHT, TURN_RIGHT: TURN_LEFT}
    back = [mirrored[move] for move in reversed(out)]
    return [*around, *out, *(around if look_there else []), *half, *back, *half, *around]


def clear_steps(world: World, motion: Motion, pose: Pose, limit: int = LONGEST_WALK) -> int:
    """How many whole steps forward nothing is in the way of, at most ``limit``."""
    for steps in range(limit):
        after = motion.move(world, pose, FORWARD)
        if not _is_whole_step(motion, pose, after):
            return steps
        pose = after
    return limit


def revisits(poses: Sequence[Sequence[float]], gap: int = 8) -> list[tuple[int, int]]:
    """Pairs (earlier, later) of frames with the same pose, at least ``gap`` frames apart, the earliest for each later
    one. ``poses`` is [T, 3], e.g. the ``pose`` of each step's info."""
    first_seen: dict[tuple[float, ...], int] = {}
    pairs = []
    for index, pose in enumerate(poses):
        key = tuple(float(value) for value in pose)
        earlier = first_seen.setdefault(key, index)
        if index - earlier >= gap:
            pairs.append((earlier, index))
    return pairs


def _turns(degrees: float, turn_degrees: float, direction: str) -> list[int]:
    if direction not in ("left", "right"):
        raise ValueError(f"direction={direction!r} is not 'left' or 'right'")
    count = round(degrees / turn_degrees)
    if count < 1 or abs(count * turn_degrees - degrees) > 1e-6:
        raise ValueError(f"turns of {turn_degrees} degrees do not add up to {degrees:g}; choose a divisor of 180")
    return [TURN_LEFT if direction == "left" else TURN_RIGHT] * count


def _way_out(world: World, motion: Motion, pose: Pose) -> list[int]:
    """Turns and whole steps into another room, the farthest that can be walked to; else straight on in this one."""
    x, y, _ = pose
    here = world.room_at(x, y)
    targets = [room.area.center for index, room in enumerate(world.rooms) if index != here]
    targets.sort(key=lambda point: -float(np.hypot(point[0] - x, point[1] - y)))
    for target in targets:
        moves = _walk_to(world, motion, pose, target)
        if moves:
            return moves
    return _longest_walk(world, motion, pose)


def _walk_to(world: World, motion: Motion, pose: Pose, target: tuple[float, float]) -> list[int]:
    """The moves that lead to ``target``, or none if a wall is in the way of one or they take too long."""
    navigator = Navigator(world, motion, pose[:2], target)
    moves: list[int] = []
    while len(moves) <= LONGEST_WALK:
        move = navigator.next_move(pose)
        if move is None:
            return moves
        after = motion.move(world, pose, move)
        if move == FORWARD and not _is_whole_step(motion, pose, after):
            return []
        pose = after
        moves.append(move)
    return []


def _longest_walk(world: World, motion: Motion, pose: Pose) -> list[int]:
    """Turn to the direction with most whole steps (at most 8 are taken) and walk; the nearest such direction."""
    x, y, angle = pose
    half_circle = round(180 / motion.turn_degrees)
    turns = sorted(range(-half_circle + 1, half_circle + 1), key=abs)
    steps = [clear_steps(world, motion, (x, y, angle + count * motion.turn), 8) for count in turns]
    best = int(np.argmax(steps))
    if steps[best] == 0:
        raise ValueError(f"there is no room for a step of {motion.step_units} map units at ({x}, {y})")
    turn = TURN_LEFT if turns[best] > 0 else TURN_RIGHT
    return [turn] * abs(turns[best]) + [FORWARD] * steps[best]


def _is_whole_step(motion: Motion, before: Pose, after: Pose) -> bool:
    return (after[0] - before[0], after[1] - before[1]) == motion.displacement(before[2])
