"""By how long ago a view was last seen: in the context still, just left it, far away; and the curve over the gap."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

IN_CONTEXT, JUST_BEYOND, FAR = "in the context", "just beyond", "far beyond"
BEYOND = "beyond the context"
JUST = 16
"""Frames since a view was seen, up to which it has "just" left the context: twice the window of the small world."""
EDGES = (8, 16, 32, 48, 64)
"""Upper edges of the gap's bins, for the curve."""


@dataclass(frozen=True)
class Place:
    """Frames that share a distance to what was seen: ``frames`` ``bool [W, n]`` over all queries of all walks."""

    name: str
    frames: np.ndarray

    def by_world(self, values: np.ndarray) -> np.ndarray:
        """Mean over this place's frames in each world, ``[W]``."""
        chosen = np.where(self.frames, values, 0.0).sum(1)
        return chosen / np.maximum(self.frames.sum(1), 1)


def places(gaps: np.ndarray, in_context: np.ndarray) -> list[Place]:
    """From gaps ``int64 [W, n]`` and whether the context held the answer ``bool [W, n]``; empty ones are left out."""
    beyond = ~in_context
    found = [
        Place(IN_CONTEXT, in_context),
        Place(JUST_BEYOND, beyond & (gaps <= JUST)),
        Place(FAR, beyond & (gaps > JUST)),
        Place(BEYOND, beyond),
    ]
    return [place for place in found if place.frames.any(1).all()]


def curve(gaps: np.ndarray, in_context: np.ndarray) -> list[Place]:
    """Bins of the gap: the context first, then those of :data:`EDGES` and what lies above."""
    lower = (0, *EDGES)
    upper = (*EDGES, np.iinfo(np.int64).max)
    bins = [Place(IN_CONTEXT, in_context)]
    for low, high in zip(lower, upper, strict=True):
        name = f"{low + 1} to {high}" if high in EDGES else f"over {low}"
        bins.append(Place(name, ~in_context & (gaps > low) & (gaps <= high)))
    return [place for place in bins if place.frames.any(1).all()]
