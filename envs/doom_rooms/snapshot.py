"""A moment of a DoomRooms environment, to come back to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Snapshot:
    """World (its seed and set of textures), pose (map units, 1/65536 of a circle), goal texture if there is a task,
    and the observation ``uint8 [H, W, 3]`` of that moment. Plain data; a step after a restore is exact to the bit,
    because a picture depends on world and pose alone."""

    world: int
    textures: str
    x: int
    y: int
    angle: int
    goal: str | None
    observation: np.ndarray

    def check_fits(self, textures: str, shape: tuple[int, int, int], has_task: bool) -> None:
        """Raises ``ValueError`` if an environment with these properties cannot be in this state."""
        if self.textures != textures:
            raise ValueError(f"the snapshot is of textures={self.textures!r}, the environment has {textures!r}")
        if self.observation.shape != shape:
            raise ValueError(f"the snapshot's observation is {self.observation.shape}, the environment's {shape}")
        if (self.goal is not None) != has_task:
            raise ValueError("the snapshot and the environment have to agree on having a task='reach' or none")
