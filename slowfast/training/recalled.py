"""Windows whose first frames come from elsewhere in their episode, as a memory that keeps frames will show them.

Where the data says from which pose a frame was seen, frames are picked that were seen from near by: the first like the
new frame that comes next, the second like the present one. Otherwise those are picked that show the same. A memory will
not always be right, so some picks are wrong on purpose, and the network learns to weigh what it is shown. Their null
action marks them: every other frame of a window has its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from slowfast.actions import ActionSpec
from slowfast.datasets.sources import EpisodeSource
from slowfast.fast.likeness import likest
from slowfast.heads.poses import PoseScale, motions, nearest, scale_of
from slowfast.slow import SlowLearner
from slowfast.slow.windows import Windows, concat_actions, select_actions
from slowfast.training.splits import Subset

WRONG = 0.15
"""Share of windows that are shown any other frames of their episode in place of those that fit."""
SCALED_BY = 64
"""Episodes from which the size of a step is taken."""


class EpisodePoses:
    """Where each frame of each episode of a data set was seen from."""

    def __init__(self, rows: Sequence[np.ndarray]) -> None:
        self.rows = [torch.from_numpy(np.asarray(own, np.float32)) for own in rows]
        self.scale: PoseScale = scale_of(torch.cat([motions(own) for own in self.rows[:SCALED_BY]]))

    @classmethod
    def of(cls, part: Subset) -> EpisodePoses | None:
        """Of frames with an info ``pose`` (x, y, heading in degrees) in every step, else None."""
        rows = []
        for i in range(len(part)):
            own = part.info(i, "pose", 0, int(part.lengths[i]) + 1)
            if own is None or own.shape[1:] != (3,):
                return None
            rows.append(own)
        return cls(rows)

    def __getitem__(self, i: int) -> torch.Tensor:
        """``float32 [T + 1, 3]``."""
        return self.rows[i]


@dataclass(frozen=True)
class Ahead:
    """``windows`` as they are, and the frames ``shown`` ``[B, k + 1, n, C, h, w]`` that a memory has for each of the
    first k + 1 new frames: the network dreams k of them, and learns those that follow."""

    windows: Windows
    shown: torch.Tensor

    def to(self, device: torch.device | str) -> Ahead:
        return Ahead(self.windows.to(device), self.shown.to(device))


def recalled_frames(
    batch: dict[str, Any],
    source: EpisodeSource,
    count: int,
    random: np.random.Generator,
    ahead: int = 0,
    poses: EpisodePoses | None = None,
) -> torch.Tensor:
    """``float32 [B, ahead + 1, count, C, h, w]``: what is shown before each of the first new frames of a loader's
    ``batch``. Raises ValueError when the prefix is too short to keep a frame of its own."""
    prefix, windows = int(batch["prefix"][0]), torch.from_numpy(batch["latents"])
    if prefix <= count:
        raise ValueError(f"{count} recalled frames need a prefix of {count + 1} frames or more, got {prefix}")
    places = [(int(i), int(start)) for i, start in zip(batch["episodes"], batch["starts"], strict=True)]
    longest = max(int(source.lengths[i]) + 1 for i, _ in places)
    frames = torch.zeros(len(windows), longest, *windows.shape[2:])
    usable = torch.zeros(len(windows), longest, dtype=torch.bool)
    for row, (i, start) in enumerate(places):
        length = int(source.lengths[i]) + 1
        frames[row, :length] = torch.from_numpy(source.read(i, 0, length))
        usable[row, :length] = True
        usable[row, start + count : start + windows.shape[1]] = False
    after = 0 if windows.shape[1] == prefix + 1 else int(random.integers(1, windows.shape[1] - prefix))
    chances = torch.from_numpy(random.random((ahead + 1, *usable.shape))) * usable
    wrong = torch.from_numpy(random.random(len(windows)) < WRONG)
    shown = []
    for step in range(ahead + 1):
        new = prefix + step
        if poses is None:
            asked = windows[:, [new, *[min(new + after, windows.shape[1] - 1)] * (count - 1)]]
            picks, _ = likest(asked, windows[:, count + step : new], frames, usable)
        else:
            picks = _nearby(poses, places, new, count, usable)
        picks = torch.where(wrong[:, None], chances[step].topk(count, 1).indices, picks)
        shown.append(frames[torch.arange(len(windows))[:, None], picks])
    return torch.stack(shown, 1)


def _nearby(
    poses: EpisodePoses, places: Sequence[tuple[int, int]], new: int, count: int, usable: torch.Tensor
) -> torch.Tensor:
    """Frames seen from near the pose of frame ``new`` of each window, the second from near the one before."""
    kept = torch.zeros(*usable.shape, 3)
    for row, (i, _) in enumerate(places):
        kept[row, : len(poses[i])] = poses[i]
    asked = torch.stack([poses[i][[start + new, *[start + new - 1] * (count - 1)]] for i, start in places])
    return nearest(asked, kept, usable, poses.scale)[0]


def put_first(batch: dict[str, Any], shown: torch.Tensor, spec: ActionSpec) -> None:
    """Puts frames ``shown`` ``[B, n, C, h, w]`` in place of the first ones of a ``batch``, and null actions."""
    count = shown.shape[1]
    batch["latents"][:, :count] = shown.numpy()
    batch["actions"] = without_first(batch["actions"], spec, count)


def without_first(actions: dict[str, np.ndarray], spec: ActionSpec, count: int) -> dict[str, np.ndarray]:
    """Actions ``[B, F]`` of which the first ``count`` are null."""
    batch = len(next(iter(actions.values())))
    rest = spec.select(actions, (slice(None), slice(count, None)))
    return spec.concat([spec.null((batch, count)), rest], axis=1)


def dreamed_ahead(slow: SlowLearner, ahead: Ahead, generators: Sequence[torch.Generator]) -> Windows:
    """Windows whose own frames of context are the network's: each made with the frames shown for it."""
    windows, shown = ahead.windows, ahead.shown
    steps, count, prefix = shown.shape[1] - 1, shown.shape[2], windows.prefix
    unknown = {
        name: own.to(windows.latents.device) for name, own in slow.null_actions(len(windows.latents), count).items()
    }
    near = windows.latents[:, count:prefix]
    for step in range(steps):
        led = select_actions(windows.actions, (slice(None), slice(count + step, prefix + step + 1)))
        known = torch.cat([shown[:, step], near], 1)
        made = slow.generate(known, concat_actions([unknown, led]), 1, generators)
        near = torch.cat([near, made], 1)[:, 1:]
    latents = torch.cat([shown[:, steps], near, windows.latents[:, prefix + steps :]], 1)
    led = select_actions(windows.actions, (slice(None), slice(count + steps, None)))
    return Windows(latents, concat_actions([unknown, led]), prefix)
