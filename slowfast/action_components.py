"""The kinds of action component: how one value of each is checked, and what stands for a missing one.

A new kind is one class here, one line in ``KINDS`` and one embedding in ``slowfast/conditioning/encoder.py``.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np


class ActionError(ValueError):
    """An action or an action spec that does not fit; the message says which component and what was expected."""


@dataclass(frozen=True)
class Discrete:
    """One of ``len(labels)`` choices. Column: ``int64 [..., ]`` in ``0..n-1``, null -1."""

    name: str
    labels: tuple[str, ...]
    kind: ClassVar[str] = "discrete"

    def null(self, shape: tuple[int, ...]) -> np.ndarray:
        return np.full(shape, -1, np.int64)

    def parse(self, value: Any) -> np.ndarray:
        if isinstance(value, str):
            if value not in self.labels:
                near = difflib.get_close_matches(value, self.labels, 1)
                hint = f"; did you mean {near[0]!r}?" if near else ""
                raise ActionError(
                    f"action component {self.name!r} has no label {value!r}{hint} (labels: {self.labels})"
                )
            return np.asarray(self.labels.index(value), np.int64)
        array = np.asarray(value)
        if array.dtype.kind not in "iub" or array.ndim:
            raise ActionError(
                f"action component {self.name!r} takes an integer below {len(self.labels)}, got {value!r}"
            )
        if not -1 <= int(array) < len(self.labels):
            raise ActionError(f"action component {self.name!r} takes 0..{len(self.labels) - 1}, got {int(array)}")
        return array.astype(np.int64)


@dataclass(frozen=True)
class Continuous:
    """A vector within bounds. Column: ``float32 [..., d]``, null NaN. ``labels`` name its axes (with units)."""

    name: str
    low: tuple[float, ...]
    high: tuple[float, ...]
    labels: tuple[str, ...] = ()
    kind: ClassVar[str] = "continuous"

    @property
    def size(self) -> int:
        return len(self.low)

    def null(self, shape: tuple[int, ...]) -> np.ndarray:
        return np.full((*shape, self.size), np.nan, np.float32)

    def parse(self, value: Any) -> np.ndarray:
        try:
            array = np.asarray(value, np.float32)
        except (TypeError, ValueError):
            raise ActionError(f"action component {self.name!r} takes {self.size} numbers, got {value!r}") from None
        if array.ndim == 0 and self.size == 1:
            array = array[None]
        if array.shape != (self.size,):
            raise ActionError(f"action component {self.name!r} takes {self.size} numbers, got shape {array.shape}")
        return array


@dataclass(frozen=True)
class Keyboard:
    """Keys held or not (multi-binary). Column: ``int64 [..., k]`` of 0 and 1, null -1."""

    name: str
    keys: tuple[str, ...]
    kind: ClassVar[str] = "keyboard"

    def null(self, shape: tuple[int, ...]) -> np.ndarray:
        return np.full((*shape, len(self.keys)), -1, np.int64)

    def parse(self, value: Any) -> np.ndarray:
        array = np.asarray(value)
        if array.shape != (len(self.keys),) or array.dtype.kind not in "iub" or not np.isin(array, (-1, 0, 1)).all():
            raise ActionError(f"action component {self.name!r} takes {len(self.keys)} zeros and ones, got {value!r}")
        return array.astype(np.int64)


@dataclass(frozen=True)
class Language:
    """Free text. Column: ``object [...]`` of ``str``, null "". ``describes`` names the component it puts in words."""

    name: str
    max_length: int = 256
    describes: str | None = None
    kind: ClassVar[str] = "language"

    def null(self, shape: tuple[int, ...]) -> np.ndarray:
        return np.full(shape, "", object)

    def parse(self, value: Any) -> np.ndarray:
        if not isinstance(value, str):
            raise ActionError(f"action component {self.name!r} takes a string, got {type(value).__name__}")
        if len(value) > self.max_length:
            raise ActionError(
                f"action component {self.name!r} takes at most {self.max_length} characters, got {len(value)}"
            )
        out = np.empty((), object)
        out[()] = value
        return out


Component = Discrete | Continuous | Keyboard | Language
KINDS: dict[str, type] = {kind.kind: kind for kind in (Discrete, Continuous, Keyboard, Language)}
