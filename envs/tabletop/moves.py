"""The gripper's actions: seven moves, or a motion of so many metres; both become one command to the simulator."""

from __future__ import annotations

import numpy as np

from slowfast.actions import ActionSpec, Continuous, Discrete, Language

MOVES = ("move left", "move right", "move away", "move near", "grip", "release", "stay")
LEFT, RIGHT, AWAY, NEAR, GRIP, RELEASE, STAY = range(len(MOVES))
DIRECTIONS = {LEFT: (-1.0, 0.0), RIGHT: (1.0, 0.0), AWAY: (0.0, 1.0), NEAR: (0.0, -1.0)}

Command = tuple[float, float, bool]
"""Metres to the right, metres away from the camera, whether to grip."""


def action_spec(continuous: bool, step_metres: float) -> ActionSpec:
    """The actions of Tabletop as data: the moves or motions, and the same in words."""
    if not continuous:
        return ActionSpec((Discrete("move", MOVES), Language("text", describes="move")))
    low, high = (-step_metres, -step_metres, -1.0), (step_metres, step_metres, 1.0)
    motion = Continuous("motion", low, high, labels=("right_metres", "away_metres", "grip"))
    return ActionSpec((motion, Language("text", describes="motion")))


def move_command(move: int, step_metres: float, gripping: bool) -> Command:
    """The command of one of :data:`MOVES`; all but grip and release leave the grip as it is. Raises ``ValueError``."""
    if not 0 <= move < len(MOVES):
        raise ValueError(f"action {move} is not in 0..{len(MOVES) - 1}: {MOVES}")
    right, away = DIRECTIONS.get(move, (0.0, 0.0))
    return right * step_metres, away * step_metres, move == GRIP or (gripping and move != RELEASE)


def motion_command(motion: np.ndarray, step_metres: float) -> Command:
    """The command of a continuous action [metres to the right, metres away, grip if above 0], clipped to one step
    each way. Raises ``ValueError`` on anything but three finite numbers."""
    if motion.shape != (3,) or not np.isfinite(motion).all():
        raise ValueError(f"a continuous action is three finite numbers (metres, metres, grip), got {motion!r}")
    right, away = np.clip(motion[:2], -step_metres, step_metres)
    return float(right), float(away), bool(motion[2] > 0)
