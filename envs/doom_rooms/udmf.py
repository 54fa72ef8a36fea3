"""A world as UDMF text, the map format that the engine reads as it is (it builds the nodes itself)."""

from __future__ import annotations

from slowfast.envs.doom_rooms.layout import Doorway, World

Point = tuple[int, int]


def world_to_udmf(world: World) -> str:
    """The TEXTMAP lump of ``world``. Sectors are the rooms, then the doorways; light and textures never change."""
    text = _Text()
    for space in (*world.rooms, *(door.space for door in world.doorways)):
        text.block(
            "sector",
            heightfloor=0,
            heightceiling=space.height,
            texturefloor=space.floor,
            textureceiling=space.ceiling,
            lightlevel=space.light,
        )
    for wall in world.walls:
        text.wall(wall.start, wall.end, wall.room, wall.texture)
    for index, door in enumerate(world.doorways):
        _add_doorway(text, door, len(world.rooms) + index)
    x, y = world.rooms[0].area.center
    skills = {f"skill{level}": True for level in range(1, 6)}
    text.block("thing", x=float(x), y=float(y), angle=0, type=1, single=True, **skills)
    return "".join(text.parts)


def _add_doorway(text: _Text, door: Doorway, sector: int) -> None:
    """Two solid sides, and at each end an open line with a lintel above it on the room's side."""
    area = door.space.area
    north_west, north_east = (area.left, area.top), (area.right, area.top)
    south_east, south_west = (area.right, area.bottom), (area.left, area.bottom)
    sides = [(north_west, north_east), (south_east, south_west)]
    ends = [(south_west, north_west), (north_east, south_east)]
    if door.axis == 1:
        sides, ends = ends, [(south_east, south_west), (north_west, north_east)]
    for start, end in sides:
        text.wall(start, end, sector, door.texture)
    for (start, end), room in zip(ends, door.rooms, strict=True):
        text.opening(start, end, sector, room, door.texture)


class _Text:
    """UDMF blocks, with vertices shared by position."""

    def __init__(self) -> None:
        self.parts = ['namespace = "zdoom";\n']
        self.vertices: dict[Point, int] = {}
        self.sides = 0

    def block(self, kind: str, **fields: object) -> None:
        self.parts.append(f"{kind} {{ {' '.join(f'{key} = {_value(value)};' for key, value in fields.items())} }}\n")

    def vertex(self, point: Point) -> int:
        if point not in self.vertices:
            self.vertices[point] = len(self.vertices)
            self.block("vertex", x=float(point[0]), y=float(point[1]))
        return self.vertices[point]

    def side(self, sector: int, **textures: str) -> int:
        self.block("sidedef", sector=sector, **textures)
        self.sides += 1
        return self.sides - 1

    def wall(self, start: Point, end: Point, sector: int, texture: str) -> None:
        """A solid line whose visible side is to the right of start → end."""
        front = self.side(sector, texturemiddle=texture)
        self.block("linedef", v1=self.vertex(start), v2=self.vertex(end), sidefront=front, blocking=True)

    def opening(self, start: Point, end: Point, front_sector: int, back_sector: int, lintel: str) -> None:
        front, back = self.side(front_sector), self.side(back_sector, texturetop=lintel)
        first, second = self.vertex(start), self.vertex(end)
        self.block("linedef", v1=first, v2=second, sidefront=front, sideback=back, twosided=True)


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return f'"{value}"' if isinstance(value, str) else str(value)
