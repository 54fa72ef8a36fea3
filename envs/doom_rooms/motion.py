"""How actions move a pose: exactly, in whole map units and binary angles, with walls but without momentum."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from slowfast.envs.doom_rooms.layout import CIRCLE, World

MOVES = ("turn left", "turn right", "forward", "backward", "strafe left", "strafe right", "stay")
TURN_LEFT, TURN_RIGHT, FORWARD, BACKWARD, STRAFE_LEFT, STRAFE_RIGHT, STAY = range(len(MOVES))

Pose = tuple[int, int, int]
"""x and y in map units, angle in 1/65536 of a circle."""


@dataclass(frozen=True)
class Motion:
    """The size of one action: degrees a turn (rounded to 1/65536 of a circle) and map units a step (a displacement is
    rounded to whole units east and north, symmetrically, so that opposite moves cancel)."""

    turn_degrees: float
    step_units: float

    @property
    def turn(self) -> int:
        """One turn in binary angle."""
        return round(self.turn_degrees * CIRCLE / 360)

    def displacement(self, angle: int, units: float | None = None) -> tuple[int, int]:
        """(dx, dy) of ``units`` (default: one step) in direction ``angle``."""
        radians = angle % CIRCLE * math.tau / CIRCLE
        length = self.step_units if units is None else units
        return round(length * math.cos(radians)), round(length * math.sin(radians))

    def move(self, world: World, pose: Pose, action: int) -> Pose:
        """The pose after an action of :data:`MOVES`. Raises ``ValueError`` on an index that is none."""
        if not 0 <= action < len(MOVES):
            raise ValueError(f"action {action} is not in 0..{len(MOVES) - 1}: {MOVES}")
        x, y, angle = pose
        if action in (TURN_LEFT, TURN_RIGHT):
            return x, y, (angle + (self.turn if action == TURN_LEFT else -self.turn)) % CIRCLE
        if action == STAY:
            return pose
        dx, dy = self.displacement(angle if action in (FORWARD, BACKWARD) else angle + CIRCLE // 4)
        if action in (BACKWARD, STRAFE_RIGHT):
            dx, dy = -dx, -dy
        return *world.walk(x, y, dx, dy), angle

    def glide(self, world: World, pose: Pose, action: np.ndarray) -> Pose:
        """The pose after a continuous action [degrees, units], clipped to one turn and one step each way; the turn
        comes first. Raises ``ValueError`` on anything but two finite numbers."""
        if action.shape != (2,) or not np.isfinite(action).all():
            raise ValueError(f"a continuous action is two finite numbers (degrees, units), got {action!r}")
        x, y, angle = pose
        degrees = float(np.clip(action[0], -self.turn_degrees, self.turn_degrees))
        units = float(np.clip(action[1], -self.step_units, self.step_units))
        angle = (angle + round(degrees * CIRCLE / 360)) % CIRCLE
        return *world.walk(x, y, *self.displacement(angle, units)), angle
