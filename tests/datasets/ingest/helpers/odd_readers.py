"""Readers that go wrong on purpose; ``--format odd_readers:NAME`` in tests. The source is a number of recordings."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
from clips import counting

from slowfast.actions import ActionSpec, Discrete
from slowfast.datasets.ingest.formats import SourceOptions
from slowfast.datasets.ingest.recording import Recording

FRAMES = 7


class Plain:
    """``source`` recordings; recording i shows the numbers 10 i, 10 i + 1, ... in ``FRAMES`` frames."""

    def __init__(self, source: str, options: SourceOptions) -> None:
        self.count = int(source)
        self.spec = ActionSpec((Discrete("move", ("a", "b")),))

    def __len__(self) -> int:
        return self.count

    def name(self, i: int) -> str:
        return f"recording {i}"

    def frames(self, i: int) -> Iterator[np.ndarray]:
        yield from counting(FRAMES, first=10 * i)

    def read(self, i: int) -> Recording:
        moves = np.arange(FRAMES - 1) % 2
        times = np.arange(FRAMES) / 10
        frames = {"camera": partial(self.frames, i)}
        return Recording(self.name(i), times, frames, {"move": moves}, self.spec, metadata={"process": os.getpid()})

    def facts(self) -> dict[str, Any]:
        return {"recordings": self.count}


class Deadly(Plain):
    """Takes its process down amid recording 2, as a decoder does that runs wild."""

    def frames(self, i: int) -> Iterator[np.ndarray]:
        for k, frame in enumerate(super().frames(i)):
            if i == 2 and k == 5:
                os._exit(3)
            yield frame


class Unforeseen(Plain):
    """Meets in recording 1 what nobody thought of, before its frames, and in recording 3 among them."""

    def read(self, i: int) -> Recording:
        return {}["key"] if i == 1 else super().read(i)

    def frames(self, i: int) -> Iterator[np.ndarray]:
        for k, frame in enumerate(super().frames(i)):
            if i == 3 and k == 5:
                raise MemoryError
            yield frame


class Long(Plain):
    """Recording 1 has 4001 frames, and takes 20 s for them."""

    def read(self, i: int) -> Recording:
        count = 4001 if i == 1 else FRAMES
        frames = {"camera": partial(self.slowly, count)}
        return Recording(self.name(i), np.arange(count) / 10, frames, self.spec.null((count - 1,)), self.spec)

    def slowly(self, count: int) -> Iterator[np.ndarray]:
        for _ in range(count):
            time.sleep(0.005)
            yield np.zeros((8, 8, 3), np.uint8)


class Homebound(Plain):
    """Cannot be sent to another process."""

    def __init__(self, source: str, options: SourceOptions) -> None:
        super().__init__(source, options)
        self.held = open(os.devnull)  # noqa: SIM115

    def __del__(self) -> None:
        self.held.close()
