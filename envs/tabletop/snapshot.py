"""A moment of a Tabletop environment, to come back to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Snapshot:
    """World (its seed), goal (its text), the simulator's whole state ``float64 [n]``, and the observation
    ``uint8 [H, W, 3]`` of that moment. Plain data; what follows a restore is exact to the bit."""

    world: int
    goal: str
    state: np.ndarray
    observation: np.ndarray
