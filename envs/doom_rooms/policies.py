"""A policy that explores DoomRooms with purpose: it looks around, walks through doorways, and comes back.

It plans on the world's layout (its privilege as a collector of data) and decides every action from the present pose,
so it also works from a restored state or in the middle of an episode.
"""

from __future__ import annotations

import math
from collections import deque
from typing import Any

import numpy as np

from slowfast.envs.doom_rooms.env import DoomRoomsEnv
from slowfast.envs.doom_rooms.layout import CIRCLE
from slowfast.envs.doom_rooms.motion import (
    BACKWARD,
    FORWARD,
    STAY,
    STRAFE_LEFT,
    STRAFE_RIGHT,
    TURN_LEFT,
    TURN_RIGHT,
    Pose,
)
from slowfast.envs.doom_rooms.navigation import Navigator, Point, angle_between, bearing, turns_for

BEHAVIOURS = {"look around": 0.09, "glance": 0.07, "roam": 0.1, "leave": 0.17, "revisit": 0.17, "fidget": 0.4}
REMEMBERED_STEPS = 120
PATIENCE = 60
"""Steps after which a walk that did not arrive is given up."""


class ExploringPolicy:
    """Explores any DoomRooms environment, discrete or continuous; all choices come from ``rng``.

    Behaviours, drawn by weight: a full turn or more; a glance to a side and back; a walk within the room; a walk into
    another room; a walk back to where it was some steps ago, ending with the view it had there; and some steps aside,
    back or none at all. Raises ``TypeError`` on an environment that is not DoomRooms.
    """

    def __init__(self, env: Any, rng: np.random.Generator):
        if not isinstance(env.unwrapped, DoomRoomsEnv):
            raise TypeError(f"the policy 'explore' is for slowfast/DoomRooms-v0, got {type(env.unwrapped).__name__}")
        self.env: DoomRoomsEnv = env.unwrapped
        self.rng = rng
        self.reset({})

    def reset(self, info: dict[str, Any]) -> None:
        self._queue: deque[int] = deque()
        self._route: Navigator | None = None
        self._final_angle: int | None = None
        self._patience = 0
        self._last_behaviour = ""
        self._visited: deque[Pose] = deque(maxlen=REMEMBERED_STEPS)
        if self.rng.random() < 0.5:
            self._look_around()
            self._last_behaviour = "look around"

    def act(self, observation: Any, info: dict[str, Any]) -> Any:
        self._visited.append(self.env.position)
        move = self._next_move()
        while move is None:
            self._choose_behaviour()
            move = self._next_move()
        return self._motion(move) if self.env.continuous else move

    def _next_move(self) -> int | None:
        if self._queue:
            return self._queue.popleft()
        if self._route is not None:
            move = self._follow_route(self._route)
            if move is not None:
                return move
            self._route = None
        if self._final_angle is not None:
            turns = turns_for(angle_between(self.env.position[2], self._final_angle), self.env.motion)
            if turns:
                return TURN_LEFT if turns > 0 else TURN_RIGHT
            self._final_angle = None
        return None

    def _choose_behaviour(self) -> None:
        names = [name for name in BEHAVIOURS if name != self._last_behaviour]
        weights = np.array([BEHAVIOURS[name] for name in names])
        name = names[int(self.rng.choice(len(names), p=weights / weights.sum()))]
        self._last_behaviour = name
        {
            "look around": self._look_around,
            "glance": self._glance,
            "roam": self._roam,
            "leave": self._leave,
            "revisit": self._revisit,
            "fidget": self._fidget,
        }[name]()

    def _look_around(self) -> None:
        circle = max(round(360 / self.env.motion.turn_degrees), 1)
        count = int(self.rng.choice((circle, circle // 2, circle + circle // 4), p=(0.6, 0.3, 0.1)))
        self._queue.extend([self._either(TURN_LEFT, TURN_RIGHT)] * count)

    def _glance(self) -> None:
        first = self._either(TURN_LEFT, TURN_RIGHT)
        back = TURN_LEFT + TURN_RIGHT - first
        count = int(self.rng.integers(1, 5))
        pause = [STAY] * int(self.rng.integers(0, 3))
        self._queue.extend([first] * count + pause + [back] * count)

    def _fidget(self) -> None:
        move = int(self.rng.choice((BACKWARD, STRAFE_LEFT, STRAFE_RIGHT, STAY), p=(0.28, 0.27, 0.27, 0.18)))
        self._queue.extend([move] * int(self.rng.integers(2, 6)))

    def _roam(self) -> None:
        x, y, _ = self.env.position
        self._set_out(self._point_in(self.env.world.room_at(x, y)))

    def _leave(self) -> None:
        x, y, _ = self.env.position
        here = self.env.world.room_at(x, y)
        others = [room for room in range(len(self.env.world.rooms)) if room != here]
        self._set_out(self._point_in(int(self.rng.choice(others)) if others else here))

    def _revisit(self) -> None:
        x, y, _ = self.env.position
        far = [p for p in self._visited if math.hypot(p[0] - x, p[1] - y) > 2 * self.env.motion.step_units]
        if not far:
            return self._look_around()
        target = far[int(self.rng.integers(len(far)))]
        self._set_out((target[0], target[1]), final_angle=target[2])

    def _point_in(self, room: int) -> Point:
        area = self.env.world.free[room].grown(-16, -16)
        return float(self.rng.uniform(area.left, area.right)), float(self.rng.uniform(area.bottom, area.top))

    def _set_out(self, target: Point, final_angle: int | None = None) -> None:
        self._route = Navigator(self.env.world, self.env.motion, self.env.position[:2], target)
        self._final_angle = final_angle
        self._patience = PATIENCE

    def _follow_route(self, route: Navigator) -> int | None:
        """The route's next move, or a step aside; None once it is done or given up. At a wall it pushes on or backs
        off for a moment and chooses anew."""
        self._patience -= 1
        move = route.next_move(self.env.position)
        if move is None or self._patience <= 0:
            return None
        if move != FORWARD:
            return move if self.env.continuous else self._step_aside(route.remaining[0], move)
        if self._is_blocked():
            self._route = None
            self._queue.extend([self._either(FORWARD, BACKWARD)] * 2)
        return FORWARD

    def _step_aside(self, waypoint: Point, turn: int) -> int:
        """Instead of a turn, sometimes, a strafe or a step back to a near waypoint that lies squarely there."""
        x, y, angle = self.env.position
        if math.dist(waypoint, (x, y)) < 3 * self.env.motion.step_units and self.rng.random() < 0.3:
            degrees = angle_between(angle, bearing((x, y), waypoint)) * 360 / CIRCLE
            if abs(abs(degrees) - 90) < 30:
                return STRAFE_LEFT if degrees > 0 else STRAFE_RIGHT
            if abs(degrees) > 150:
                return BACKWARD
        return turn

    def _is_blocked(self) -> bool:
        pose = self.env.position
        return self.env.motion.move(self.env.world, pose, FORWARD) == pose

    def _either(self, first: int, second: int) -> int:
        return first if self.rng.random() < 0.5 else second

    def _motion(self, move: int) -> np.ndarray:
        """A move as (degrees, units). Walks vary in length; there is no strafe, so that becomes a bent walk."""
        turn, step = self.env.motion.turn_degrees, self.env.motion.step_units
        scale = float(self.rng.uniform(0.5, 1.0))
        motions = {
            TURN_LEFT: (turn, 0.0),
            TURN_RIGHT: (-turn, 0.0),
            FORWARD: (0.0, step * scale),
            BACKWARD: (0.0, -step * scale),
            STRAFE_LEFT: (turn * scale / 2, step * scale),
            STRAFE_RIGHT: (-turn * scale / 2, step * scale),
            STAY: (0.0, 0.0),
        }
        return np.array(motions[move], np.float32)
