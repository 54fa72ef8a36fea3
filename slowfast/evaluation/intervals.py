"""How sure a comparison over few worlds is: paired bootstrap intervals, worlds drawn with replacement."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

LEVEL = 0.95
DRAWS = 4000


@dataclass(frozen=True)
class Interval:
    """A figure and the bounds between which it lies in :data:`LEVEL` of the bootstrap's draws."""

    value: float
    low: float
    high: float

    @property
    def sign(self) -> int:
        """1 or -1 when the whole interval lies above or below 0, else 0 (also when a bound is not a number)."""
        return 1 if self.low > 0 else -1 if self.high < 0 else 0


@dataclass(frozen=True)
class Comparison:
    """One arm against a reference, over the same worlds.

    ``reduction``: how much lower its squared error is, as a share of the reference's (0.25: a quarter lower; negative:
    higher). ``decibels``: the same as a gain of PSNR.
    """

    reduction: Interval
    decibels: Interval


def drawn(count: int, draws: int = DRAWS, seed: int = 0) -> np.ndarray:
    """Which of ``count`` worlds each draw holds, with replacement, ``int64 [draws, count]``."""
    return np.random.default_rng(np.random.SeedSequence(seed)).integers(count, size=(draws, count))


def interval(value: float, means: np.ndarray) -> Interval:
    """``value`` with the bounds of :data:`LEVEL` of what the draws gave in its place, ``[draws]``."""
    tail = 50 * (1 - LEVEL)
    low, high = np.percentile(means, [tail, 100 - tail])
    return Interval(value, float(low), float(high))


def mean(values: np.ndarray, chosen: np.ndarray) -> Interval:
    """Of one value a world ``[W]``; ``chosen``: see :func:`drawn`. The same draws make figures paired."""
    return interval(float(values.mean()), values[chosen].mean(1))


def compare(errors: np.ndarray, reference: np.ndarray, draws: int = DRAWS, seed: int = 0) -> Comparison:
    """Squared errors of each world, ``[W]`` both and paired; they are averaged over worlds before they are divided.

    Raises ValueError for anything but two equally long vectors.
    """
    if errors.shape != reference.shape or errors.ndim != 1 or not len(errors):
        raise ValueError(f"a comparison takes one error a world from both, got {errors.shape} and {reference.shape}")
    chosen, tiny = drawn(len(errors), draws, seed), 1e-12
    ratio = float(errors.mean() / max(reference.mean(), tiny))
    found = interval(ratio, errors[chosen].mean(1) / np.maximum(reference[chosen].mean(1), tiny))
    low, high = found.low, found.high
    gain, least, most = (float(-10 * np.log10(max(value, tiny))) for value in (ratio, high, low))
    return Comparison(Interval(1 - ratio, 1 - high, 1 - low), Interval(gain, least, most))
