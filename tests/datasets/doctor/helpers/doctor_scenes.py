"""Moving scenes to examine: a window that actions move over a large picture, another one in every episode."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from slowfast.actions import ActionSpec, Continuous, Discrete
from slowfast.datasets.doctor.examine import Examination, examine, footage
from slowfast.datasets.doctor.finding import Finding
from slowfast.datasets.episode import Episode
from slowfast.datasets.store import write_episode

MOVES = ("left", "right", "up", "down", "stay")
STEPS = np.array([(0, -4), (0, 4), (-4, 0), (4, 0), (0, 0)])
DISCRETE = ActionSpec((Discrete("move", MOVES),))
CONTINUOUS = ActionSpec((Continuous("pan", (-8.0, -8.0), (8.0, 8.0), ("down", "right")),))
SIZE = (48, 64)
WORLD = 600

Edit = Callable[[Episode], Episode]


def picture(random: np.random.Generator, height: int = WORLD, width: int = WORLD) -> np.ndarray:
    """Coloured rectangles of all sizes over one another, ``uint8 [H, W, 3]``."""
    world = np.full((height, width, 3), random.integers(60, 200, 3), np.uint8)
    for _ in range(900):
        tall, wide = random.integers(4, 60, 2)
        top, left = random.integers(0, height), random.integers(0, width)
        world[top : top + tall, left : left + wide] = random.integers(20, 255, 3)
    return world


def walked(random: np.random.Generator, shifts: np.ndarray, size: tuple[int, int] = SIZE) -> np.ndarray:
    """What a window sees that starts in the middle and moves by ``shifts`` [T, 2] pixels, ``uint8 [T+1, H, W, 3]``."""
    world = picture(random)
    middle = (WORLD - np.array(size)) // 2
    places = middle + np.concatenate([np.zeros((1, 2)), shifts.cumsum(0)])
    places = np.clip(places.round().astype(int), 0, WORLD - np.array(size))
    return np.stack([world[y : y + size[0], x : x + size[1]] for y, x in places])


def moving(seed: int, steps: int = 60, size: tuple[int, int] = SIZE, **fields: Any) -> Episode:
    """Discrete moves of four pixels."""
    random = np.random.default_rng((seed, 1))
    moves = random.integers(0, len(MOVES), steps)
    frames = walked(random, STEPS[moves], size)
    return Episode({"camera": frames}, {"move": moves}, DISCRETE, **{"fps": 10.0, **fields})


def panning(seed: int, steps: int = 60, **fields: Any) -> Episode:
    """Continuous shifts of up to six pixels."""
    random = np.random.default_rng((seed, 2))
    shifts = random.uniform(-6, 6, (steps, 2))
    actions = {"pan": shifts.astype(np.float32)}
    return Episode({"camera": walked(random, shifts)}, actions, CONTINUOUS, **{"fps": 10.0, **fields})


def written(folder: Path, episodes: Iterable[Episode]) -> Path:
    """A data set of ``episodes``."""
    for number, episode in enumerate(episodes):
        write_episode(folder, episode, number=number, index=False)
    return folder


def edited(episode: Episode, **changes: Any) -> Episode:
    """A copy with other ``actions``, ``metadata`` ...; ``frames`` are those of the one camera."""
    if "frames" in changes:
        changes["frames"] = {"camera": changes["frames"]}
    if "spec" in changes and "actions" not in changes:
        raise ValueError("another spec needs its actions")
    return replace(episode, rewards=None, terminations=None, truncations=None, **changes)


def found(folder: Path, check: str | None = None, **options: Any) -> list[Finding]:
    """What the doctor finds in a folder, of one check or of all."""
    findings = examined(folder, **options).findings
    return findings if check is None else [finding for finding in findings if finding.check == check]


def examined(folder: Path, **options: Any) -> Examination:
    name, splits = footage(folder)
    return examine(splits, format=name, **options)


def alarms(findings: list[Finding]) -> list[Finding]:
    """All but notes."""
    return [finding for finding in findings if finding.severity != "note"]
