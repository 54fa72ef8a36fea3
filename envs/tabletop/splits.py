"""Which seeds belong to which split. Tables of different splits never coincide: the ranges are disjoint."""

from __future__ import annotations

from slowfast.envs.seed_ranges import seeds_of

SEED_RANGES = {
    "train": range(0, 1_000_000),
    "validation": range(1_000_000, 1_100_000),
    "test": range(2_000_000, 2_100_000),
}


def world_seeds(split: str, count: int) -> list[int]:
    """The first ``count`` seeds of a split. Raises ``ValueError`` on an unknown split or more seeds than it has."""
    return seeds_of(SEED_RANGES, split, count)
