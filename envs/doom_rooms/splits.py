"""Which seeds belong to which split. Worlds of different splits never coincide: the ranges are disjoint."""

from __future__ import annotations

from typing import Any

from slowfast.envs.seed_ranges import seeds_of

SEED_RANGES = {
    "train": range(0, 1_000_000),
    "validation": range(1_000_000, 1_100_000),
    "test": range(2_000_000, 2_100_000),
    "held_out": range(3_000_000, 3_100_000),
}
"""``held_out`` is for worlds in textures that no other split shows."""


def world_seeds(split: str, count: int) -> list[int]:
    """The first ``count`` seeds of a split. Raises ``ValueError`` on an unknown split or more seeds than it has."""
    return seeds_of(SEED_RANGES, split, count)


def split_textures(split: str) -> str:
    """The ``textures=`` argument of the environment for a split: ``"train"`` or ``"held_out"``."""
    world_seeds(split, 0)
    return "held_out" if split == "held_out" else "train"


def split_env_kwargs(split: str) -> dict[str, Any]:
    """What ``gymnasium.make("slowfast/DoomRooms-v0", …)`` needs to show a split's worlds."""
    return {"textures": split_textures(split)}
