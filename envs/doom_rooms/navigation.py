"""Finding the way through a world's doorways, with turns of a fixed size."""

from __future__ import annotations

import math
from collections import deque

from slowfast.envs.doom_rooms.layout import CIRCLE, World
from slowfast.envs.doom_rooms.motion import FORWARD, TURN_LEFT, TURN_RIGHT, Motion, Pose

Point = tuple[float, float]
DOOR_CLEARANCE = 32.0
"""How far before and behind a doorway its waypoints lie, in map units."""


class Navigator:
    """Steers along a route, one move at a time. ``remaining`` holds the waypoints not reached yet.

    While it walks it lets the heading err by up to 0.9 of a turn before it corrects it: correcting at half a turn
    would make it sway at every step.
    """

    def __init__(self, world: World, motion: Motion, start: Point, target: Point):
        self.world, self.motion = world, motion
        self.remaining = [*waypoints(world, start, target), target]
        self._walking = False

    def next_move(self, pose: Pose) -> int | None:
        """A turn or a step forward; None when the route is done."""
        x, y, angle = pose
        near = max(0.6 * self.motion.step_units, 12.0)
        while self.remaining and math.dist(self.remaining[0], (x, y)) <= near:
            self.remaining.pop(0)
        if not self.remaining:
            return None
        error = angle_between(angle, bearing((x, y), self.remaining[0]))
        turns = turns_for(error, self.motion)
        if self._walking and abs(error) < 0.9 * self.motion.turn:
            turns = 0
        self._walking = turns == 0
        if turns:
            return TURN_LEFT if turns > 0 else TURN_RIGHT
        return FORWARD


def bearing(start: Point, end: Point) -> int:
    """The direction from one point to another, in binary angle."""
    return round(math.atan2(end[1] - start[1], end[0] - start[0]) * CIRCLE / math.tau) % CIRCLE


def angle_between(angle: int, target: int) -> int:
    """From ``angle`` to ``target`` the short way, in binary angle, positive to the left."""
    return (target - angle + CIRCLE // 2) % CIRCLE - CIRCLE // 2


def turns_for(error: int, motion: Motion) -> int:
    """How many turns, positive to the left, bring an angle's error nearest to 0."""
    return round(error / motion.turn * 0.999)


def waypoints(world: World, start: Point, target: Point) -> list[Point]:
    """The points before and behind each doorway on the way between two points that has the fewest doorways."""
    first, room = world.room_at(*start), world.room_at(*target)
    came_from = _search(world, first)
    points: list[Point] = []
    while room != first:
        room, index = came_from[room]
        door = world.doorways[index]
        middle_x, middle_y = door.space.area.center
        area = door.space.area.grown(int(DOOR_CLEARANCE), int(DOOR_CLEARANCE))
        if door.axis == 0:
            ends = [(float(area.left), float(middle_y)), (float(area.right), float(middle_y))]
        else:
            ends = [(float(middle_x), float(area.bottom)), (float(middle_x), float(area.top))]
        points = (ends if door.rooms[0] == room else ends[::-1]) + points
    return points


def _search(world: World, first: int) -> dict[int, tuple[int, int]]:
    """Breadth first: for each room but the first, the room before it on the way and the doorway between."""
    came_from: dict[int, tuple[int, int]] = {}
    frontier = deque([first])
    while frontier:
        room = frontier.popleft()
        for index, door in enumerate(world.doorways):
            if room in door.rooms:
                other = sum(door.rooms) - room
                if other != first and other not in came_from:
                    came_from[other] = (room, index)
                    frontier.append(other)
    return came_from
