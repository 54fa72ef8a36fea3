"""Episodes of steps as TFDS gives them."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from clips import counting
from PIL import Image

from slowfast.datasets.ingest.readers.rlds import from_steps


def step(t: int, count: int, first: int = 0, **changes: Any) -> dict[str, Any]:
    """As TFDS gives it: the observation at t, and the action that follows from it."""
    return {
        "observation": {"image": counting(1, 16, first + t)[0], "state": np.array([t, first], np.float32)},
        "action": np.array([t / 10, -t / 10], np.float32),
        "reward": np.float32(t),
        "discount": np.float32(1),
        "is_first": np.bool_(t == 0),
        "is_last": np.bool_(t == count - 1),
        "is_terminal": np.bool_(t == count - 1),
        "language_instruction": b"put it down",
        **changes,
    }


def episode(count: int = 6, first: int = 0, **changes: Any) -> dict[str, Any]:
    return {"steps": [step(t, count, first, **changes) for t in range(count)]}


def encoded(picture: np.ndarray, format: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, format, quality=95)
    return buffer.getvalue()


def read(*episodes: dict[str, Any], i: int = 0, **options: Any) -> Any:
    return from_steps(list(episodes), fps=10, **options).read(i)
