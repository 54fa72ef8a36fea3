"""What a seed decides: where things lie, which colours they have, the table's tone and the light."""

from __future__ import annotations

import colorsys
from dataclasses import dataclass

import numpy as np

from slowfast.envs.tabletop.scene import CUBES

COLOURS = {
    "red": (0.85, 0.08, 0.08),
    "green": (0.1, 0.65, 0.12),
    "blue": (0.1, 0.2, 0.9),
    "yellow": (0.95, 0.85, 0.1),
}
"""Of cubes; far apart, and from every table, whose tones are nearly grey."""
SPREAD = 0.16
"""Cubes and gripper start within this distance of the middle, each way, in metres."""
CUBES_APART = 0.12
GRIPPER_APART = 0.09


@dataclass(frozen=True, eq=False)
class Arrangement:
    """``cubes`` float64 [CUBES, 3] (x, y in metres, angle in radians), ``gripper`` float64 [2] in metres; ``colours``
    by cube, names of :data:`COLOURS`; RGB of the parts from 0 to 1; the direction in which the lamp shines."""

    seed: int
    cubes: np.ndarray
    gripper: np.ndarray
    colours: tuple[str, ...]
    table: tuple[float, float, float]
    rim: tuple[float, float, float]
    floor: tuple[float, float, float]
    lamp: np.ndarray
    brightness: float


def arrange(seed: int) -> Arrangement:
    """The arrangement of a seed."""
    rng = np.random.default_rng(np.random.SeedSequence((seed, 0)))
    names = list(COLOURS)
    colours = tuple(names[index] for index in rng.permutation(len(names))[:CUBES])
    places = _places(rng)
    hue, saturation, value = rng.random(), rng.uniform(0.0, 0.22), rng.uniform(0.42, 0.72)
    around, slant = rng.uniform(0, 2 * np.pi), rng.uniform(0.25, 0.7)
    return Arrangement(
        seed=seed,
        cubes=np.column_stack([places[:CUBES], rng.uniform(-np.pi / 4, np.pi / 4, CUBES)]),
        gripper=places[CUBES],
        colours=colours,
        table=colorsys.hsv_to_rgb(hue, saturation, value),
        rim=colorsys.hsv_to_rgb(hue, saturation, 0.55 * value),
        floor=colorsys.hsv_to_rgb(rng.random(), 0.15, rng.uniform(0.12, 0.25)),
        lamp=np.array([slant * np.cos(around), slant * np.sin(around), -1.0]),
        brightness=float(rng.uniform(0.4, 0.65)),
    )


def _places(rng: np.random.Generator) -> np.ndarray:
    """Cubes, then gripper, ``float64 [CUBES + 1, 2]``, none too near another: drawn anew until it is so."""
    apart = np.full((CUBES + 1, CUBES + 1), CUBES_APART)
    apart[-1] = apart[:, -1] = GRIPPER_APART
    np.fill_diagonal(apart, 0.0)
    while True:
        places = rng.uniform(-SPREAD, SPREAD, (CUBES + 1, 2))
        if (np.linalg.norm(places[:, None] - places[None], axis=-1) >= apart).all():
            return places
