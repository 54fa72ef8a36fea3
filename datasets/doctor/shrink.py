"""Pictures averaged down to a fixed small size, many at a time."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

LUMA = np.array([0.299, 0.587, 0.114], np.float32)


def shrunk(frames: np.ndarray, side: int) -> np.ndarray:
    """``float32 [N, H, W, 3]`` averaged over areas to ``float32 [N, side, side, 3]``, whatever the shape."""
    count, height, width, _ = frames.shape
    rows = (area_weights(height, side) @ frames.reshape(count, height, width * 3)).reshape(count, side, width, 3)
    columns_last = np.ascontiguousarray(rows.transpose(0, 1, 3, 2))
    return np.ascontiguousarray((columns_last @ area_weights(width, side).T).transpose(0, 1, 3, 2))


@lru_cache(maxsize=64)
def area_weights(size: int, side: int) -> np.ndarray:
    """``float32 [side, size]``: which part of each pixel each of ``side`` equal areas averages."""
    edges = np.linspace(0, size, side + 1)
    covered = np.minimum(edges[1:, None], np.arange(1, size + 1)) - np.maximum(edges[:-1, None], np.arange(size))
    return (np.clip(covered, 0, None) * side / size).astype(np.float32)
