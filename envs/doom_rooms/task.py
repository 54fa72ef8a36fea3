"""The task "reach": go to the wall that wears a given texture."""

from __future__ import annotations

import numpy as np

from slowfast.envs.doom_rooms.layout import Rectangle, World

REACH_UNITS = 64.0
"""How near the centre of the player has to come to the wall, in map units."""


class ReachTask:
    """Knows the goal of the present world; ``goal`` is its texture's name."""

    def __init__(self) -> None:
        self.goal = ""
        self._areas: list[Rectangle] = []

    def reset(self, world: World, goal: str | None) -> None:
        """Take ``goal``, or draw one from the world's seed: the texture of a wall that is not reached at the start,
        in another room than the start's if there is one. Raises ``ValueError`` if no wall of the world wears it."""
        self.goal = _draw_goal(world) if goal is None else goal
        self._areas = [wall.area for wall in world.walls if wall.texture == self.goal]
        if not self._areas:
            textures = sorted({wall.texture for wall in world.walls})
            raise ValueError(f"no wall of world {world.seed} wears {goal!r}; its walls wear {textures}")

    def is_reached(self, x: int, y: int) -> bool:
        return any(area.distance(x, y) <= REACH_UNITS for area in self._areas)


def _draw_goal(world: World) -> str:
    x, y, _ = world.start
    start_room = world.room_at(x, y)
    away = [wall for wall in world.walls if wall.area.distance(x, y) > REACH_UNITS]
    choices = [wall for wall in away if wall.room != start_room] or away
    rng = np.random.default_rng(np.random.SeedSequence((world.seed, 1)))
    return choices[int(rng.integers(len(choices)))].texture
