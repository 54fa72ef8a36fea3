"""The starting points that a trained world ships with, drawn from episodes that it was not trained on."""

from __future__ import annotations

import numpy as np

from slowfast.starts import Starts
from slowfast.training.random import numpy_generator
from slowfast.training.splits import Subset


def draw_starts(part: Subset, count: int, frames: int, seed: int) -> Starts:
    """``count`` contexts of ``frames`` frames, as evenly over the episodes of ``part`` (frames) as can be.

    Poses are NaN where the episodes carry none. Raises ValueError when no episode is long enough.
    """
    long_enough = np.flatnonzero(np.asarray(part.lengths) + 1 >= frames)
    if not len(long_enough):
        raise ValueError(f"no validation episode has the {frames} frames that a start takes")
    random = numpy_generator(seed, 20)
    rounds = -(-count // len(long_enough))
    chosen = np.concatenate([random.permutation(long_enough) for _ in range(rounds)])[:count]
    pictures, columns, poses, seeds = [], [], [], []
    for episode in chosen:
        begin = int(random.integers(int(part.lengths[episode]) + 2 - frames))
        pictures.append(part.read(int(episode), begin, begin + frames))
        columns.append(part.spec.select(part.actions(int(episode)), slice(begin, begin + frames - 1)))
        poses.append(part.info(int(episode), "pose", begin, begin + frames))
        seeds.append(int(part.metadata(int(episode)).get("seed") or 0))
    unknown = np.full((frames, 3), np.nan, np.float32)
    return Starts(
        np.stack(pictures),
        part.spec.stack(columns),
        np.stack([unknown if pose is None else pose for pose in poses]),
        np.array(seeds, np.int64),
    )
