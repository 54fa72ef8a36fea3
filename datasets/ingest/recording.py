"""What a reader gives: one continuous recording, its annotations in memory and its frames still to be decoded."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from slowfast.actions import ActionSpec, Columns, Language
from slowfast.datasets.episode import DatasetError

Frames = Callable[[], Iterator[np.ndarray]]
"""Opens a camera anew and gives its N frames in order, ``uint8 [H, W, 3]`` each. What cannot be decoded raises
:class:`DatasetError` when it is reached; a stream that ends early is found by who counts."""


@dataclass(frozen=True)
class Recording:
    """N frames at ``times`` and what was recorded between and beside them, on the source's own frames.

    ``name``: what errors and reports call it, unique in its source (``episode 12``, ``kitchen/P01_01.mp4``).
    ``times``: seconds, ``float64 [N]``, N >= 2, strictly rising. ``frames``: camera name → :data:`Frames`.
    ``actions``: a column per component of ``spec``, ``[N-1, ...]``; ``actions[t]`` leads from frame t to t+1.
    ``rewards``, ``terminations``, ``truncations``: ``[N-1]``; ``states``, ``infos``: name → ``[N, ...]``.
    ``metadata``: JSON-compatible. Raises :class:`DatasetError` naming what does not fit.
    """

    name: str
    times: np.ndarray
    frames: Mapping[str, Frames]
    actions: Columns
    spec: ActionSpec
    rewards: np.ndarray | None = None
    terminations: np.ndarray | None = None
    truncations: np.ndarray | None = None
    states: Mapping[str, np.ndarray] = field(default_factory=dict)
    infos: Mapping[str, np.ndarray] = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        times = np.asarray(self.times, np.float64)
        object.__setattr__(self, "times", times)
        count = len(times) if times.ndim == 1 else 0
        if count < 2 or not np.isfinite(times).all() or not (np.diff(times) > 0).all():
            raise DatasetError(f"{self.name}: expected the times of at least 2 frames, each later than the one before")
        if not self.frames:
            raise DatasetError(f"{self.name}: no camera")
        rows: dict[str, tuple[Any, int]] = {f"actions/{key}": (rows, count - 1) for key, rows in self.actions.items()}
        for key in ("rewards", "terminations", "truncations"):
            if getattr(self, key) is not None:
                rows[key] = (getattr(self, key), count - 1)
        for group in ("states", "infos"):
            rows |= {f"{group}/{key}": (value, count) for key, value in getattr(self, group).items()}
        for key, (value, expected) in rows.items():
            if len(value) != expected:
                raise DatasetError(f"{self.name}: {key} has {len(value)} rows, {count} frames need {expected}")
        self._check_text()

    def _check_text(self) -> None:
        """Text of damaged files holds what HDF5 cannot: zero bytes, and halves of a pair of UTF-16."""
        components = [component.name for component in self.spec.components]
        for name in (*components, *self.frames, *self.states, *self.infos):
            if not _storable(name) or not name.strip("./"):
                raise DatasetError(f"{self.name}: a column is called {name!r:.100}, which cannot be a name in a file")
        for name in components:
            inner = [other for other in components if other.startswith(f"{name}/")]
            if inner:
                said = f"{self.name}: actions are called {name!r:.100} and {inner[0]!r:.100}"
                raise DatasetError(f"{said}; one cannot lie in the other, rename one")
        for component in self.spec.components:
            if isinstance(component, Language) and component.name in self.actions:
                for text in set(np.asarray(self.actions[component.name], object).ravel().tolist()):
                    if isinstance(text, str) and not _storable(text):
                        said = f"{self.name}: actions/{component.name} says {text!r:.100}"
                        raise DatasetError(f"{said}, which is no text; the annotations are damaged")

    @property
    def fps(self) -> float:
        """Frames a second, by the median distance of two frames; without the noise of sums of binary fractions."""
        return float(f"{1 / np.median(np.diff(self.times)):.9g}")

    @property
    def steady(self) -> bool:
        """Whether all distances of frames are within 20 % of the median (mp4 rounds times; that is no jitter)."""
        return all(abs(distance * self.fps - 1) <= 0.2 for distance in self.intervals)

    @property
    def intervals(self) -> tuple[float, float]:
        """Seconds between two frames: the fewest and the most."""
        distances = np.diff(self.times)
        return float(distances.min()), float(distances.max())


def _storable(text: str) -> bool:
    try:
        return b"\0" not in text.encode()
    except UnicodeEncodeError:
        return False


class Reader(Protocol):
    """An opened source; ``Reader(source, options)`` in the registry's terms. It travels to worker processes.

    Opening reads tables and headers, not frames, and raises :class:`DatasetError` where the source as a whole cannot
    be read. ``spec`` is the action spec that all its recordings share.
    """

    spec: ActionSpec

    def __len__(self) -> int: ...

    def name(self, i: int) -> str:
        """What reports call recording ``i``; known without reading it, and the same on every opening."""

    def read(self, i: int) -> Recording:
        """Raises :class:`DatasetError` for a recording that cannot be read; the others are not touched by it."""

    def facts(self) -> dict[str, Any]:
        """What was found, for people: JSON-compatible, short (versions, cameras, licence, counts)."""
