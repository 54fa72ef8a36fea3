"""Windows whose first frames come from elsewhere in their episode, as a memory that keeps frames will show them.

The frames are picked by what the window's new frames really are; a memory will have a draft of them to go by. So some
picks are wrong on purpose, and the network learns to weigh what it is shown. Their null action marks them: every other
frame of a window has its own.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from slowfast.actions import ActionSpec
from slowfast.datasets.sources import EpisodeSource
from slowfast.fast.likeness import likest

WRONG = 0.15
"""Share of windows that are shown any other frames of their episode in place of the likest ones."""


def with_recalled(batch: dict[str, Any], source: EpisodeSource, count: int, random: np.random.Generator) -> None:
    """Puts ``count`` frames in place of the first ones of each window of a loader's ``batch``, and null actions.

    Windows keep at least one frame of their own prefix. Raises ValueError when the prefix is too short for that.
    """
    prefix, windows = int(batch["prefix"][0]), torch.from_numpy(batch["latents"])
    if prefix <= count:
        raise ValueError(f"{count} recalled frames need a prefix of {count + 1} frames or more, got {prefix}")
    longest = max(int(source.lengths[i]) + 1 for i in batch["episodes"])
    frames = torch.zeros(len(windows), longest, *windows.shape[2:])
    usable = torch.zeros(len(windows), longest, dtype=torch.bool)
    for row, (i, start) in enumerate(zip(batch["episodes"], batch["starts"], strict=True)):
        length = int(source.lengths[i]) + 1
        frames[row, :length] = torch.from_numpy(source.read(int(i), 0, length))
        usable[row, :length] = True
        usable[row, start + count : start + windows.shape[1]] = False
    new = windows[:, prefix:]
    after = 0 if new.shape[1] == 1 else int(random.integers(1, new.shape[1]))
    asked = new[:, [0, *[after] * (count - 1)]]
    picks, _ = likest(asked, windows[:, count:prefix], frames, usable)
    chances = torch.from_numpy(random.random(usable.shape)) * usable
    others = chances.topk(count, 1).indices
    wrong = torch.from_numpy(random.random(len(windows)) < WRONG)
    picks = torch.where(wrong[:, None], others, picks)
    windows[:, :count] = frames[torch.arange(len(windows))[:, None], picks]
    batch["actions"] = without_first(batch["actions"], source.spec, count)


def without_first(actions: dict[str, np.ndarray], spec: ActionSpec, count: int) -> dict[str, np.ndarray]:
    """Actions ``[B, F]`` of which the first ``count`` are null."""
    batch = len(next(iter(actions.values())))
    rest = spec.select(actions, (slice(None), slice(count, None)))
    return spec.concat([spec.null((batch, count)), rest], axis=1)
