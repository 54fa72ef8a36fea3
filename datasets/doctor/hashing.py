"""Pictures as 64 bits: near-copies differ in few, unrelated pictures in about half.

The bits are sides of random planes in the space in which this data set's pictures differ (their principal components,
each brought to the same scale). A hash that is fitted to no data set would give one and the same number to all pictures
of a fixed camera.
"""

from __future__ import annotations

import numpy as np

BITS = 64
BANDS = 4
"""Pictures are compared whose bits agree on a quarter at least: certain for up to 3 differing bits (pigeonhole)."""
COMPONENTS = 24
LEAST_DEVIATION = 1.0
"""Grey levels (of the norm over 256 pixels) below which a component is rounding and noise."""
LEAST_COMPONENTS = 2
SEED = 0


class Moments:
    """Running mean and covariance of thumbnails ``uint8 [n, 256]``."""

    def __init__(self, size: int) -> None:
        self.count, self._sum, self._square = 0, np.zeros(size), np.zeros((size, size))

    def add(self, thumbs: np.ndarray) -> None:
        values = thumbs.astype(np.float64)
        self.count += len(values)
        self._sum += values.sum(0)
        self._square += values.T @ values

    def hasher(self) -> Hasher | None:
        """None where all pictures are the same."""
        if not self.count:
            return None
        mean = self._sum / self.count
        variances, axes = np.linalg.eigh(self._square / self.count - np.outer(mean, mean))
        best = np.argsort(-variances)[:COMPONENTS]
        best = best[variances[best] > LEAST_DEVIATION**2]
        if len(best) < LEAST_COMPONENTS:
            return None
        planes = np.random.default_rng(SEED).normal(size=(len(best), BITS))
        return Hasher(mean, axes[:, best] / np.sqrt(variances[best]) @ planes)


class Hasher:
    def __init__(self, mean: np.ndarray, planes: np.ndarray) -> None:
        self._mean, self._planes = mean, planes

    def bands(self, thumbs: np.ndarray) -> np.ndarray:
        """``uint8 [n, 256]`` to ``uint16 [n, 4]``."""
        bits = (thumbs - self._mean) @ self._planes > 0
        return np.ascontiguousarray(np.packbits(bits, axis=1)).view(np.uint16)


class Index:
    """Frames by their bands; looked up without comparing all with all."""

    def __init__(self, bands: np.ndarray) -> None:
        """``uint16 [n, 4]``."""
        self._orders = [np.argsort(bands[:, band], kind="stable") for band in range(BANDS)]
        self._sorted = [bands[order, band] for band, order in enumerate(self._orders)]
        self.crowded = max(64, len(bands) // 1000)
        """Frames of one band's value from which it says nothing."""

    def near(self, bands: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Rows of ``bands`` ``[m, 4]`` and of the index that agree on a band, each pair once, ``int64 [k]`` both."""
        rows, found = [], []
        for band in range(BANDS):
            start = np.searchsorted(self._sorted[band], bands[:, band], "left")
            count = np.searchsorted(self._sorted[band], bands[:, band], "right") - start
            count = np.where(count > self.crowded, 0, count)
            rows.append(np.repeat(np.arange(len(bands)), count))
            within = np.arange(count.sum()) - np.repeat(count.cumsum() - count, count)
            found.append(self._orders[band][np.repeat(start, count) + within])
        pairs = np.unique(np.stack([np.concatenate(rows), np.concatenate(found)], 1), axis=0)
        return pairs[:, 0], pairs[:, 1]
