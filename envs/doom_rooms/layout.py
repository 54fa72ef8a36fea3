"""What a world is before the engine sees it: rooms, doorways, walls with their textures, light, a start pose.

Everything is in whole map units (Doom's), axis-aligned, x to the east, y to the north. Angles are Doom's 16-bit binary
angles: 65536 to a circle, 0 east, counter-clockwise. A world is a pure function of its seed and its set of textures.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from slowfast.envs.doom_rooms.textures import Texture, catalogue

PLAYER_RADIUS = 16
CIRCLE = 65536
START_HEADINGS = 16
"""A start pose looks along one of so many equally spaced directions."""

PITCH = 416
"""Distance between the centres of neighbouring grid cells; a room surrounds its cell's centre."""
GRID = 3
CANDIDATES = 6
ROOM_COUNT_WEIGHTS = (0.25, 0.2, 0.2, 0.15, 0.1, 0.1)
ROOM_REACH = (112, 192)
DOOR_WIDTHS = (96, 128)
DOOR_SHIFT = 40
ROOM_HEIGHTS, DOOR_HEIGHT = (112, 128, 144), 96
LIGHTS = (176, 249)
EXTRA_DOOR_CHANCE = 0.35


@dataclass(frozen=True)
class Rectangle:
    """``left <= x <= right`` and ``bottom <= y <= top``, in map units."""

    left: int
    bottom: int
    right: int
    top: int

    def contains(self, x: int, y: int) -> bool:
        return self.left <= x <= self.right and self.bottom <= y <= self.top

    def grown(self, horizontal: int, vertical: int) -> Rectangle:
        return Rectangle(self.left - horizontal, self.bottom - vertical, self.right + horizontal, self.top + vertical)

    def distance(self, x: float, y: float) -> float:
        """From a point to the nearest point of the rectangle."""
        dx = max(self.left - x, 0, x - self.right)
        dy = max(self.bottom - y, 0, y - self.top)
        return float(np.hypot(dx, dy))

    @property
    def center(self) -> tuple[int, int]:
        return (self.left + self.right) // 2, (self.bottom + self.top) // 2


@dataclass(frozen=True)
class Space:
    """A room or a doorway's passage: one Doom sector."""

    area: Rectangle
    floor: str
    ceiling: str
    height: int
    light: int


@dataclass(frozen=True)
class Doorway:
    """A passage between two rooms. ``axis`` 0 runs east (first to second room), 1 runs north. ``texture`` covers its
    two sides and the lintels above its ends."""

    rooms: tuple[int, int]
    axis: int
    space: Space
    texture: str


@dataclass(frozen=True)
class Wall:
    """A solid stretch of a room's side. The room lies to the right of start → end."""

    room: int
    start: tuple[int, int]
    end: tuple[int, int]
    texture: str

    @property
    def area(self) -> Rectangle:
        (x1, y1), (x2, y2) = self.start, self.end
        return Rectangle(min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2))


@dataclass(frozen=True)
class World:
    """A finished world. ``start`` is x, y, angle (binary). No wall texture occurs twice in a world, unless the largest
    ones have more walls than the held-out set has textures."""

    seed: int
    rooms: tuple[Space, ...]
    doorways: tuple[Doorway, ...]
    walls: tuple[Wall, ...]
    start: tuple[int, int, int]

    @cached_property
    def free(self) -> tuple[Rectangle, ...]:
        """Where the centre of the player's 32x32 box may be, as overlapping rectangles: rooms first, then doorways."""
        rooms = [room.area.grown(-PLAYER_RADIUS, -PLAYER_RADIUS) for room in self.rooms]
        doors = []
        for door in self.doorways:
            along, across = PLAYER_RADIUS, -PLAYER_RADIUS
            doors.append(door.space.area.grown(*((along, across) if door.axis == 0 else (across, along))))
        return (*rooms, *doors)

    def is_free(self, x: int, y: int) -> bool:
        return any(area.contains(x, y) for area in self.free)

    def walk(self, x: int, y: int, dx: int, dy: int) -> tuple[int, int]:
        """Where a straight move of (dx, dy) from a free point ends: at its end, or where it first meets a wall."""
        if any(area.contains(x, y) and area.contains(x + dx, y + dy) for area in self.free):
            return x + dx, y + dy
        steps = max(abs(dx), abs(dy))
        reached = (x, y)
        for step in range(1, steps + 1):
            point = (x + round(dx * step / steps), y + round(dy * step / steps))
            if not self.is_free(*point):
                break
            reached = point
        return reached

    def room_at(self, x: float, y: float) -> int:
        """The room at a point; within a doorway, the nearer of its two rooms."""
        return int(np.argmin([room.area.distance(x, y) for room in self.rooms]))


def build_world(seed: int, textures: str = "train") -> World:
    """The world of ``seed`` (an integer from 0) in textures of the ``"train"`` or ``"held_out"`` set."""
    rng = np.random.default_rng(np.random.SeedSequence(seed))
    picker = _TexturePicker(textures, rng)
    cells = _connected_cells(rng)
    areas = [_room_area(cell, rng) for cell in cells]
    rooms = tuple(
        Space(
            area,
            floor=picker.flat(),
            ceiling=picker.flat(),
            height=int(rng.choice(ROOM_HEIGHTS)),
            light=int(rng.integers(*LIGHTS)),
        )
        for area in areas
    )
    doorways = tuple(_doorway(pair, cells, rooms, picker, rng) for pair in _connections(cells, rng))
    walls = []
    for index, area in enumerate(areas):
        picker.enter_room()
        openings = [door for door in doorways if index in door.rooms]
        walls += [Wall(index, start, end, picker.wall()) for start, end in _wall_stretches(area, openings)]
    return World(seed, rooms, doorways, tuple(walls), _start(areas, rng))


class _TexturePicker:
    """Draws textures without repeats; of a few, the one whose colour is farthest from the room's others."""

    def __init__(self, textures: str, rng: np.random.Generator):
        self.catalogue = catalogue(textures)
        self.rng = rng
        self.walls: list[Texture] = []
        self.flats = [self.catalogue.flats[i] for i in rng.permutation(len(self.catalogue.flats))]
        self.colors: list[tuple[float, float, float]] = []

    def enter_room(self) -> None:
        self.colors = []

    def flat(self) -> str:
        return self.flats.pop().name

    def wall(self) -> str:
        if not self.walls:
            self.walls = [self.catalogue.walls[i] for i in self.rng.permutation(len(self.catalogue.walls))]
        candidates = self.walls[-CANDIDATES:]
        best = max(range(len(candidates)), key=lambda i: self._novelty(candidates[i]))
        texture = candidates[best]
        self.walls.remove(texture)
        self.colors.append(texture.color)
        return texture.name

    def _novelty(self, texture: Texture) -> float:
        if not self.colors:
            return texture.chroma
        return float(np.linalg.norm(np.array(self.colors) - np.array(texture.color), axis=1).min())


def _connected_cells(rng: np.random.Generator) -> list[tuple[int, int]]:
    """1 to 6 distinct cells of the grid, each next to an earlier one."""
    count = 1 + int(rng.choice(len(ROOM_COUNT_WEIGHTS), p=ROOM_COUNT_WEIGHTS))
    cells = [(int(rng.integers(GRID)), int(rng.integers(GRID)))]
    while len(cells) < count:
        edge = sorted({near for cell in cells for near in _neighbours(cell)} - set(cells))
        cells.append(edge[int(rng.integers(len(edge)))])
    return cells


def _neighbours(cell: tuple[int, int]) -> list[tuple[int, int]]:
    column, row = cell
    near = [(column + 1, row), (column - 1, row), (column, row + 1), (column, row - 1)]
    return [(c, r) for c, r in near if 0 <= c < GRID and 0 <= r < GRID]


def _room_area(cell: tuple[int, int], rng: np.random.Generator) -> Rectangle:
    low, high = ROOM_REACH
    west, south, east, north = (int(value) for value in rng.integers(low // 16, high // 16 + 1, 4) * 16)
    x, y = cell[0] * PITCH, cell[1] * PITCH
    return Rectangle(x - west, y - south, x + east, y + north)


def _connections(cells: list[tuple[int, int]], rng: np.random.Generator) -> list[tuple[int, int]]:
    """A random spanning tree over neighbouring cells and a few doors more. Pairs run east or north."""
    pairs = [
        (first, second)
        for first, (column, row) in enumerate(cells)
        for second, cell in enumerate(cells)
        if cell in ((column + 1, row), (column, row + 1))
    ]
    group = list(range(len(cells)))
    chosen = []
    for index in rng.permutation(len(pairs)):
        first, second = pairs[index]
        separate = group[first] != group[second]
        if separate:
            group = [group[first] if g == group[second] else g for g in group]
        if separate or rng.random() < EXTRA_DOOR_CHANCE:
            chosen.append((first, second))
    return chosen


def _doorway(
    pair: tuple[int, int],
    cells: list[tuple[int, int]],
    rooms: tuple[Space, ...],
    picker: _TexturePicker,
    rng: np.random.Generator,
) -> Doorway:
    """A passage with the first room's floor and the second's ceiling."""
    first, second = pair
    here, there = rooms[first].area, rooms[second].area
    axis = 0 if cells[first][1] == cells[second][1] else 1
    width = int(rng.choice(DOOR_WIDTHS))
    shift = int(rng.integers(-DOOR_SHIFT // 8, DOOR_SHIFT // 8 + 1)) * 8
    middle = cells[first][1 - axis] * PITCH + shift
    low, high = middle - width // 2, middle + width // 2
    ends = (here.right, low, there.left, high) if axis == 0 else (low, here.top, high, there.bottom)
    light = int(rng.integers(*LIGHTS))
    space = Space(Rectangle(*ends), rooms[first].floor, rooms[second].ceiling, DOOR_HEIGHT, light)
    return Doorway(pair, axis, space, picker.wall())


def _wall_stretches(area: Rectangle, openings: list[Doorway]) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """The solid stretches of a room's four sides, clockwise from the north-west corner, left out where doors are."""
    corners = [(area.left, area.top), (area.right, area.top), (area.right, area.bottom), (area.left, area.bottom)]
    stretches = []
    for start, end in zip(corners, corners[1:] + corners[:1], strict=True):
        points = [start]
        for door in openings:
            points += _door_on_side(door.space.area, door.axis, start, end)
        points = sorted([*points, end], key=lambda point: abs(point[0] - start[0]) + abs(point[1] - start[1]))
        stretches += [(points[i], points[i + 1]) for i in range(0, len(points), 2)]
    return stretches


def _door_on_side(door: Rectangle, axis: int, start: tuple[int, int], end: tuple[int, int]) -> list[tuple[int, int]]:
    """The two points at which a doorway opens in the side start → end, or none."""
    if axis == 0 and start[0] == end[0] and start[0] in (door.left, door.right):
        return [(start[0], door.bottom), (start[0], door.top)]
    if axis == 1 and start[1] == end[1] and start[1] in (door.bottom, door.top):
        return [(door.left, start[1]), (door.right, start[1])]
    return []


def _start(areas: list[Rectangle], rng: np.random.Generator) -> tuple[int, int, int]:
    room = areas[int(rng.integers(len(areas)))].grown(-3 * PLAYER_RADIUS, -3 * PLAYER_RADIUS)
    x, y = int(rng.integers(room.left, room.right + 1)), int(rng.integers(room.bottom, room.top + 1))
    return x, y, int(rng.integers(START_HEADINGS)) * (CIRCLE // START_HEADINGS)
