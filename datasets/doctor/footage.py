"""What the doctor examines, whatever it lies in: episodes of a folder or recordings of a source, one after another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from slowfast.actions import ActionSpec, Columns
from slowfast.datasets.doctor.look import Look


@dataclass(frozen=True)
class Timing:
    """Frames a second of the recording that an episode was made from; ``shortest`` and ``longest`` seconds between two
    of its frames, if they are known."""

    fps: float
    shortest: float | None = None
    longest: float | None = None


@dataclass(frozen=True)
class Clip:
    """What checks see of an episode of T actions. ``actions``: a column per component of ``spec``, ``[T, ...]``.

    ``number``: its place among the clips examined, ``name``: what findings call it. ``looks``: camera → what was
    measured of its T+1 frames. ``timing``: of what it was made from, None if it was recorded as it is.
    """

    number: int
    name: str
    split: str | None
    spec: ActionSpec
    actions: Columns
    fps: float
    metadata: dict[str, Any]
    looks: dict[str, Look]
    timing: Timing | None = None

    def __len__(self) -> int:
        """T, the number of actions."""
        return len(next(iter(self.actions.values())))


class Take(Protocol):
    """An opened episode: what is known without its frames, and its frames in order."""

    @property
    def actions(self) -> Columns: ...

    @property
    def fps(self) -> float: ...

    @property
    def metadata(self) -> dict[str, Any]: ...

    @property
    def timing(self) -> Timing | None: ...

    def frames(self) -> Iterator[dict[str, np.ndarray]]:
        """Camera → ``uint8 [n, H, W, 3]``, n frames at a time, all T+1 in order. Raises ``DatasetError``."""


class Footage(Protocol):
    """The episodes of a folder or source. ``spec`` is the action spec that they share."""

    spec: ActionSpec

    def __len__(self) -> int: ...

    def name(self, i: int) -> str:
        """What findings call episode ``i``."""

    def path(self, i: int) -> Path | None:
        """Its file, where it has one."""

    def take(self, i: int) -> Take:
        """Raises ``DatasetError`` for an episode that cannot be read; the others are not touched by it."""

    def pictures(self, i: int, camera: str, numbers: Sequence[int]) -> dict[int, np.ndarray]:
        """The wanted frames of one camera, ``uint8 [H, W, 3]`` each; those that cannot be read are left out."""
