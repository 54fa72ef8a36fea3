"""Seeds by split: what the ``splits`` module of an environment is made of."""

from __future__ import annotations

from collections.abc import Mapping


def seeds_of(ranges: Mapping[str, range], split: str, count: int) -> list[int]:
    """The first ``count`` seeds of a split. Raises ``ValueError`` on an unknown split or more seeds than it has."""
    if split not in ranges:
        raise ValueError(f"split {split!r} is not one of {tuple(ranges)}")
    if not 0 <= count <= len(ranges[split]):
        raise ValueError(f"split {split!r} has {len(ranges[split])} seeds, {count} were asked for")
    return list(ranges[split][:count])
