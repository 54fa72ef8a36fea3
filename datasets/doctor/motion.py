"""A few numbers that say how one small picture became the next: where it moved to, and where it changed.

They are made so that what an action does is close to linear in them: turning shows in the shift of the whole picture,
walking in the four local shifts that point outwards, a moving hand in the change of some cells, a fade in the colours.
"""

from __future__ import annotations

import numpy as np

from slowfast.datasets.doctor.shrink import LUMA

SIDE = 32
"""Pictures are described at this size."""
WHITENING = 0.7
"""Of the cross spectrum: 1 would be phase correlation, which noise upsets; 0 plain correlation, which is blunt."""
STEADIER = 5.0
"""Added to the squared gradients (grey levels a pixel), so that flat areas report no motion rather than noise."""


def described(small: np.ndarray) -> np.ndarray:
    """``float32 [N, 32, 32, 3]`` (0 to 255) to ``float32 [N-1, 22]``: 2 shifts of the whole, 4 x 2 local shifts, 9
    amounts of change (their logarithms), 3 changes of colour."""
    grey = small @ LUMA
    before, after = grey[:-1], grey[1:]
    change = after - before
    amounts = np.log1p(_cells(np.abs(change), 3))
    colours = np.diff(small.mean((1, 2)), axis=0)
    parts = (_shift(before, after), _local_shifts((before + after) / 2, change), amounts, colours)
    return np.concatenate(parts, axis=1).astype(np.float32)


def _shift(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Where the whole picture moved, in pixels of the small one, ``[N, 2]``: large shifts, found by correlation."""
    window = np.hanning(SIDE + 2)[1:-1].astype(np.float32)
    window = window[:, None] * window
    spectra = [np.fft.rfft2((grey - grey.mean((1, 2), keepdims=True)) * window) for grey in (before, after)]
    crossed = spectra[0].conj() * spectra[1]
    crossed /= np.abs(crossed) ** WHITENING + 1e-6
    surface = np.fft.irfft2(crossed, s=(SIDE, SIDE)).reshape(len(before), -1)
    best = surface.argmax(1)
    shifts = np.stack([best // SIDE, best % SIDE], 1)
    return np.where(shifts >= SIDE // 2, shifts - SIDE, shifts)


def _local_shifts(mean: np.ndarray, change: np.ndarray) -> np.ndarray:
    """Small shifts in the four quarters by least squares on the gradients (Lucas and Kanade), ``[N, 8]``."""
    down, right = np.gradient(mean, axis=(1, 2))
    pairs = ((right, right), (down, down), (right, down), (right, change), (down, change))
    xx, yy, xy, xt, yt = (_cells(a * b, 2) for a, b in pairs)
    xx, yy = xx + STEADIER, yy + STEADIER
    determinant = xx * yy - xy**2
    return np.concatenate([(xy * yt - yy * xt) / determinant, (xy * xt - xx * yt) / determinant], 1)


def _cells(values: np.ndarray, side: int) -> np.ndarray:
    """Means over ``side`` x ``side`` cells of ``[N, 32, 32]``, ``[N, side²]``."""
    edges = np.linspace(0, SIDE, side + 1).round().astype(int)
    sums = np.add.reduceat(np.add.reduceat(values, edges[:-1], axis=1), edges[:-1], axis=2)
    sizes = np.diff(edges)
    return (sums / (sizes[:, None] * sizes)).reshape(len(values), -1)
