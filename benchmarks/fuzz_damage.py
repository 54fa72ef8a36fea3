"""Ways to damage a file: each is a function of its bytes, those of another file of the set, and a generator."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np

NEAR = 2048
"""Bytes at each end of a file in which half of the damage lies."""
FIGURES = (b"0", b"-1", b"7", b"0.5", b"4294967296", b"99999999999999999999", b"1e308", b"NaN", b"null", b'"x"', b"[]")
"""What a number that is written in digits is replaced by."""


def damage(folder: Path, random: np.random.Generator) -> str:
    """Damages one file below ``folder`` and says how."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    path = files[random.integers(len(files))]
    kind = list(KINDS)[random.integers(len(KINDS))]
    data = np.frombuffer(path.read_bytes(), np.uint8).copy()
    if kind == "removed":
        path.unlink()
    elif len(data):
        other = np.frombuffer(files[random.integers(len(files))].read_bytes() if kind == "spliced" else b"", np.uint8)
        path.write_bytes(KINDS[kind](data, other, random).tobytes())
    return f"{path.relative_to(folder)} {kind}"


def _place(size: int, random: np.random.Generator) -> int:
    if random.random() < 0.5 or size <= 2 * NEAR:
        return int(random.integers(size))
    near = int(random.integers(2 * NEAR))
    return near if near < NEAR else size - 1 - (near - NEAR)


def _changed(data: np.ndarray, other: np.ndarray, random: np.random.Generator) -> np.ndarray:
    for _ in range(random.integers(1, 9)):
        data[_place(len(data), random)] = (0, 255, random.integers(256))[random.integers(3)]
    return data


def _zeroed(data: np.ndarray, other: np.ndarray, random: np.random.Generator) -> np.ndarray:
    start = _place(len(data), random)
    data[start : start + _length(len(data), random)] = 0
    return data


def _cut_off(data: np.ndarray, other: np.ndarray, random: np.random.Generator) -> np.ndarray:
    return data[: _place(len(data), random)]


def _spliced(data: np.ndarray, other: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """In the place of what was there, or between it."""
    start, length = _place(len(data), random), _length(max(len(other), 1), random)
    first = int(random.integers(max(len(other) - length, 0) + 1))
    piece = other[first : first + length]
    replaced = len(piece) * int(random.integers(2))
    return np.concatenate([data[:start], piece, data[start + replaced :]])


def _length(size: int, random: np.random.Generator) -> int:
    """Of any order of magnitude."""
    return int(2 ** random.uniform(0, np.log2(max(size, 2))))


def _emptied(data: np.ndarray, other: np.ndarray, random: np.random.Generator) -> np.ndarray:
    return data[:0]


def _other_figure(data: np.ndarray, other: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """One number that is written in digits becomes another; as in JSON, csv or the header of a tar."""
    runs = list(re.finditer(rb"-?\d+(\.\d+)?", data.tobytes()))
    if not runs:
        return _changed(data, other, random)
    run = runs[random.integers(len(runs))]
    figure = FIGURES[random.integers(len(FIGURES))]
    return np.concatenate([data[: run.start()], np.frombuffer(figure, np.uint8), data[run.end() :]])


KINDS: dict[str, Callable[[np.ndarray, np.ndarray, np.random.Generator], np.ndarray]] = {
    "changed": _changed,
    "zeroed": _zeroed,
    "cut off": _cut_off,
    "spliced": _spliced,
    "another figure": _other_figure,
    "emptied": _emptied,
    "removed": _emptied,
}
