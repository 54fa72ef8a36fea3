"""One episode in memory: T+1 frames and the T actions between them.

``actions[t]`` leads from ``frames[t]`` to ``frames[t+1]``. Everything that is seen (frames, states, infos) has T+1
rows, everything that happens in between (actions, rewards, terminations, truncations) has T.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from slowfast.actions import ActionSpec, Columns


class DatasetError(ValueError):
    """Data that does not fit; the message names the file or field, the key and what was expected."""


@dataclass(frozen=True)
class Episode:
    """A recorded episode of T actions.

    ``frames``: camera name → ``uint8 [T+1, H, W, 3]`` (cameras may differ in size, and H from W).
    ``actions``: a column per component of ``spec``, ``[T, ...]``.
    ``rewards``: ``float32 [T]``; ``terminations`` and ``truncations``: ``bool [T]``; zeros if not given.
    ``states``: name → ``float32 [T+1, ...]``. ``infos``: name → numeric or bool ``[T+1, ...]`` (pose, room).
    ``fps``: frames per second of the recording. ``metadata``: JSON-compatible (environment, seed, instruction,
    source, licence). Raises :class:`DatasetError` naming the field that does not fit.
    """

    frames: dict[str, np.ndarray]
    actions: Columns
    spec: ActionSpec
    fps: float
    rewards: np.ndarray | None = None
    terminations: np.ndarray | None = None
    truncations: np.ndarray | None = None
    states: dict[str, np.ndarray] = field(default_factory=dict)
    infos: dict[str, np.ndarray] = field(default_factory=dict)
    metadata: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.frames:
            raise DatasetError("an episode needs at least one camera in 'frames'")
        length = len(next(iter(self.frames.values()))) - 1
        if length < 1:
            raise DatasetError(f"an episode needs at least 2 frames and 1 action, got {length + 1} frames")
        for name, dtype in (("rewards", np.float32), ("terminations", np.bool_), ("truncations", np.bool_)):
            given = getattr(self, name)
            array = np.zeros(length, dtype) if given is None else np.asarray(given, dtype)
            object.__setattr__(self, name, _shaped(name, array, length))
        object.__setattr__(self, "frames", {key: _camera(key, array, length) for key, array in self.frames.items()})
        object.__setattr__(self, "actions", self.spec.columns(self.actions))
        for name, column in self.actions.items():
            if len(column) != length:
                raise DatasetError(
                    f"actions/{name} has {len(column)} rows, {length + 1} frames go with {length} actions"
                )
        object.__setattr__(self, "states", _rows("states", self.states, length + 1, np.float32))
        object.__setattr__(self, "infos", _rows("infos", self.infos, length + 1, None))
        if not self.fps > 0:
            raise DatasetError(f"fps has to be above 0, got {self.fps}")
        try:
            json.dumps(self.metadata)
        except TypeError as error:
            raise DatasetError(f"metadata has to be JSON-compatible: {error}") from error

    def __len__(self) -> int:
        """T, the number of actions."""
        return len(next(iter(self.frames.values()))) - 1


def check_name(kind: str, name: str) -> str:
    """A name that can be a key in a file: not empty, no slash, not only dots. Raises :class:`DatasetError`."""
    if not name or "/" in name or not name.strip("."):
        raise DatasetError(f"{kind} name {name!r}: expected a name without slashes")
    return name


def _shaped(name: str, array: np.ndarray, length: int) -> np.ndarray:
    if array.shape != (length,):
        raise DatasetError(f"{name} has shape {array.shape}, {length} actions need ({length},)")
    return array


def _camera(name: str, array: np.ndarray, length: int) -> np.ndarray:
    array = np.asarray(array)
    check_name("camera", name)
    if array.dtype != np.uint8 or array.ndim != 4 or array.shape[-1] != 3 or len(array) != length + 1:
        raise DatasetError(f"frames/{name} is {array.dtype} {array.shape}, expected uint8 [{length + 1}, H, W, 3]")
    return array


def _rows(kind: str, arrays: Mapping[str, Any], rows: int, dtype: type | None) -> dict[str, np.ndarray]:
    checked = {check_name(kind, name): np.asarray(array, dtype) for name, array in arrays.items()}
    for name, array in checked.items():
        if array.dtype.kind not in "biuf" or array.ndim < 1 or len(array) != rows:
            raise DatasetError(f"{kind}/{name} is {array.dtype} {array.shape}, expected numbers [{rows}, ...]")
    return checked
