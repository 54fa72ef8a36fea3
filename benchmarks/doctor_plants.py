"""Faults to plant into a clean set of DoomRooms, one kind a function, and where each was planted.

A function takes an opened copy of the set and a generator, spoils it, and says what the doctor has to find: an episode
and, where the fault has one, its first frame; or the set as a whole.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from doctor_copies import AXES, TRAIN, VALIDATION, Copy, Planted, as_vector, moved, slipped, with_frames

from slowfast.actions import ActionSpec, Continuous
from slowfast.datasets.episode import Episode

AT_ONCE = 4
"""Episodes of one set that are spoiled alike, where each is found by itself."""
HELD = 16
"""Frames for which a recording hangs."""


Plant = Callable[[Copy, np.random.Generator], list[Planted]]


@dataclass(frozen=True)
class Fault:
    """``check``: the one that has to find it. ``vectors``: planted where the action is a vector and no choice."""

    check: str
    what: str
    plant: Plant
    vectors: bool = False


def _some(copy: Copy, random: np.random.Generator, count: int = AT_ONCE, split: str = TRAIN) -> list[int]:
    return sorted(random.choice(copy.count(split), count, replace=False).tolist())


def _each(spoil: Callable[[Episode, np.random.Generator], tuple[Episode, int | None]], at_once: int = AT_ONCE) -> Plant:
    """Spoils some episodes of the training split one by one."""

    def plant(copy: Copy, random: np.random.Generator) -> list[Planted]:
        places = []
        for number in _some(copy, random, at_once):
            episode, frame = spoil(copy.read(TRAIN, number), random)
            copy.write(TRAIN, number, episode)
            places.append(Planted(TRAIN, f"{number:06d}", frame))
        return places

    return plant


def _whole(spoil: Callable[[np.random.Generator], Callable[[Episode], Episode]]) -> Plant:
    """Spoils all episodes alike."""

    def plant(copy: Copy, random: np.random.Generator) -> list[Planted]:
        copy.change_all(spoil(random))
        return [Planted()]

    return plant


def _cut_off_files(copy: Copy, random: np.random.Generator) -> list[Planted]:
    numbers = _some(copy, random)
    for number in numbers:
        path = copy.path(TRAIN, number)
        data = path.read_bytes()
        path.unlink()
        path.write_bytes(data[: int(len(data) * random.uniform(0.05, 0.95))])
    return [Planted(TRAIN, f"{number:06d}") for number in numbers]


def _missing(episode: Episode, random: np.random.Generator) -> tuple[Episode, int]:
    start, count = int(random.integers(len(episode) - 8)), int(random.integers(1, 9))
    moves = episode.actions["move"].copy()
    moves[start : start + count] = -1
    return moved(episode, moves), start


def _no_number(episode: Episode, random: np.random.Generator) -> tuple[Episode, int]:
    values, start = episode.actions["go"].copy(), int(random.integers(len(episode)))
    values[start, random.integers(3)] = random.choice([np.nan, np.inf])
    return replace(episode, actions={"go": values}), start


def _stuck(episode: Episode, random: np.random.Generator) -> tuple[Episode, int]:
    return moved(episode, np.full(len(episode), random.integers(len(episode.spec["move"].labels)))), 0


def _beyond(episode: Episode, random: np.random.Generator) -> tuple[Episode, int]:
    values, start = episode.actions["go"].copy(), int(random.integers(len(episode)))
    values[start, random.integers(3)] = random.choice([-1, 1]) * random.uniform(1.1, 100)
    return replace(episode, actions={"go": values}), start


def _slipped_whole(episode: Episode, random: np.random.Generator) -> tuple[Episode, None]:
    return moved(episode, slipped(episode.actions["move"], int(random.choice([-1, 1])))), None


def _slipped_within(episode: Episode, random: np.random.Generator) -> tuple[Episode, None]:
    start = int(random.integers(len(episode) // 4, len(episode) // 2))
    return moved(episode, slipped(episode.actions["move"], int(random.choice([-1, 1])), start)), None


def _hung(episode: Episode, random: np.random.Generator) -> tuple[Episode, None]:
    """Anywhere: before a wall or while waiting a picture stands still rightly."""
    return _held(episode, int(random.integers(1, len(episode) - HELD))), None


def _hung_turning(episode: Episode, random: np.random.Generator) -> tuple[Episode, int]:
    """Where a turn begins, through as many turns as there are; these change the picture everywhere."""
    turns = episode.actions["move"] < 2
    ahead = np.convolve(turns, np.ones(HELD - 1, int))[HELD - 2 :][: len(episode) - HELD]
    ahead = np.where(turns[: len(ahead)], ahead, 0)
    start = int(random.choice(np.flatnonzero(ahead >= min(ahead.max(), 6))))
    return _held(episode, start), start


def _held(episode: Episode, start: int) -> Episode:
    frames = episode.frames["camera"].copy()
    frames[start : start + HELD] = frames[start]
    return with_frames(episode, frames)


def _beat(episode: Episode, random: np.random.Generator) -> tuple[Episode, None]:
    """24 frames a second, written as 30."""
    return with_frames(episode, episode.frames["camera"][np.arange(len(episode) + 1) * 4 // 5]), None


def _black(episode: Episode, random: np.random.Generator) -> tuple[Episode, int]:
    frames, start = episode.frames["camera"].copy(), int(random.integers(len(episode) - 8))
    frames[start : start + random.integers(1, 9)] = random.choice([0, 120])
    return with_frames(episode, frames), start


def _spliced_scenes(copy: Copy, random: np.random.Generator) -> list[Planted]:
    """From some frame on, what another episode saw; both are of other worlds."""
    places = []
    numbers = _some(copy, random)
    others = [number for number in range(copy.count(TRAIN)) if number not in numbers]
    for number, other in zip(numbers, random.choice(others, AT_ONCE, replace=False).tolist(), strict=True):
        episode, second = copy.read(TRAIN, number), copy.read(TRAIN, other)
        frames, cut = episode.frames["camera"].copy(), int(random.integers(8, len(episode) - 8))
        frames[cut:] = second.frames["camera"][:-cut]
        copy.write(TRAIN, number, with_frames(episode, frames))
        places.append(Planted(TRAIN, f"{number:06d}", cut))
    return places


def _other_rate(episode: Episode, random: np.random.Generator) -> tuple[Episode, int]:
    return replace(episode, fps=episode.fps * float(random.choice([0.5, 2, 3.75]))), 0


def _other_size(episode: Episode, random: np.random.Generator) -> tuple[Episode, int]:
    step = int(random.integers(2, 4))
    return with_frames(episode, np.ascontiguousarray(episode.frames["camera"][:, ::step, ::step])), 0


def _instructed(copy: Copy, random: np.random.Generator) -> list[Planted]:
    """Every episode has an instruction, but one."""
    (empty,) = _some(copy, random, 1)
    for split in (TRAIN, VALIDATION):
        for number in range(copy.count(split)):
            said = "" if (split, number) == (TRAIN, empty) else f"look for door {number} of {split}"
            copy.write(split, number, _with_instruction(copy.read(split, number), said))
    return [Planted(TRAIN, f"{empty:06d}")]


def _with_instruction(episode: Episode, said: str) -> Episode:
    return replace(episode, metadata={**episode.metadata, "instruction": said})


def _copies(split: str) -> Plant:
    """An episode that is another one, encoded anew and without its first frames: in ``split``, from training."""

    def plant(copy: Copy, random: np.random.Generator) -> list[Planted]:
        count = copy.count(TRAIN)
        sources = random.choice(count // 2, AT_ONCE, replace=False).tolist()
        targets = _some(copy, random, split=split)
        if split == TRAIN:
            targets = (count // 2 + random.choice(count // 2, AT_ONCE, replace=False)).tolist()
        for source, target in zip(sources, targets, strict=True):
            copy.write(split, target, _encoded_anew(copy.read(TRAIN, source), random))
        return [Planted(split, f"{target:06d}") for target in targets]

    return plant


def _encoded_anew(episode: Episode, random: np.random.Generator) -> Episode:
    first = int(random.integers(24))
    frames = episode.frames["camera"][first:]
    noisy = np.clip(frames * 0.95 + random.normal(0, 4, frames.shape), 0, 255).astype(np.uint8)
    actions: dict[str, Any] = {name: column[first:] for name, column in episode.actions.items()}
    plain: dict[str, Any] = {"rewards": None, "terminations": None, "truncations": None, "infos": {}}
    return replace(episode, frames={"camera": noisy}, actions=actions, **plain)


def _all_slipped(random: np.random.Generator) -> Callable[[Episode], Episode]:
    late = int(random.choice([-3, -2, -1, 1, 2, 3]))
    return lambda one: moved(one, slipped(one.actions["move"], late))


def _never_varies(random: np.random.Generator) -> Callable[[Episode], Episode]:
    code = int(random.integers(7))
    return lambda one: moved(one, np.full(len(one), code))


def _nearly_always(random: np.random.Generator) -> Callable[[Episode], Episode]:
    code, share = int(random.integers(7)), random.uniform(0.85, 0.97)
    return lambda one: moved(one, np.where(random.random(len(one)) < share, code, one.actions["move"]))


def _wide_bounds(random: np.random.Generator) -> Callable[[Episode], Episode]:
    """Radians where degrees are declared, or something as small."""
    bound = float(random.choice([180 / np.pi, 1000.0])) * 2
    spec = ActionSpec((Continuous("go", (-bound,) * 3, (bound,) * 3, AXES),))
    return lambda one: replace(one, spec=spec)


def _barred(random: np.random.Generator) -> Callable[[Episode], Episode]:
    top, bottom = random.integers(2, 13, 2)
    sideways = bool(random.integers(2))

    def change(episode: Episode) -> Episode:
        frames = episode.frames["camera"].copy()
        seen = frames.transpose(0, 2, 1, 3) if sideways else frames
        seen[:, :top], seen[:, -bottom:] = 0, 0
        return with_frames(episode, frames)

    return change


def _other_unit(copy: Copy, random: np.random.Generator) -> list[Planted]:
    """Nothing is said of bounds, and one episode is in degrees where the others are in radians, or the other way."""
    (number,) = _some(copy, random, 1)
    spec = ActionSpec((Continuous("go", (-np.inf,) * 3, (np.inf,) * 3, AXES),))
    copy.change_all(lambda one: replace(one, spec=spec))
    factor = np.float32(random.choice([180 / np.pi, np.pi / 180]))
    copy.change(TRAIN, number, lambda one: replace(one, actions={"go": one.actions["go"] * factor}))
    return [Planted(TRAIN, f"{number:06d}")]


def _validation_differs(copy: Copy, random: np.random.Generator) -> list[Planted]:
    kind = int(random.integers(3))
    for number in range(copy.count(VALIDATION)):
        episode = copy.read(VALIDATION, number)
        if kind == 0:
            copy.write(VALIDATION, number, replace(episode, fps=episode.fps * 2))
        elif kind == 1:
            copy.write(VALIDATION, number, with_frames(episode, episode.frames["camera"][:, ::2].copy()))
        else:
            copy.write(VALIDATION, number, as_vector(episode))
    return [Planted(VALIDATION)]


FAULTS = (
    Fault("readable", "a file is cut off", _cut_off_files),
    Fault("missing-actions", "1 to 8 actions are missing", _each(_missing)),
    Fault("missing-actions", "an axis is NaN or infinite once", _each(_no_number), vectors=True),
    Fault("constant-actions", "one action through an episode", _each(_stuck)),
    Fault("constant-actions", "one action through the whole set", _whole(_never_varies)),
    Fault("action-scale", "a value outside its bounds", _each(_beyond), vectors=True),
    Fault("action-scale", "an episode in degrees among radians, or the reverse", _other_unit, vectors=True),
    Fault("action-scale", "bounds of which 2 % or less is used", _whole(_wide_bounds), vectors=True),
    Fault("action-balance", "one action in 85 to 97 % of the steps", _whole(_nearly_always)),
    Fault("alignment", "all actions 1 to 3 rows early or late", _whole(_all_slipped)),
    Fault("alignment", "an episode's actions a row early or late", _each(_slipped_whole, 1)),
    Fault("alignment", "the same, from within the episode on", _each(_slipped_within, 1)),
    Fault("frozen-frames", "the picture hangs for 16 frames, through turns", _each(_hung_turning, 1)),
    Fault("frozen-frames", "the same in four episodes of a set", _each(_hung_turning)),
    Fault("frozen-frames", "the picture hangs for 16 frames, anywhere", _each(_hung, 1)),
    Fault("repeated-frames", "24 frames a second, written as 30", _each(_beat)),
    Fault("flat-frames", "1 to 8 frames of one colour", _each(_black)),
    Fault("black-bars", "bars of 2 to 12 pixels on two sides", _whole(_barred)),
    Fault("scene-cuts", "another world from some frame on", _spliced_scenes),
    Fault("frame-rate", "an episode of another rate", _each(_other_rate, 1)),
    Fault("resolution", "an episode of another size", _each(_other_size, 1)),
    Fault("language", "an episode without its instruction", _instructed),
    Fault("splits-agree", "validation of another rate, size or action", _validation_differs),
    Fault("copies", "an episode twice, encoded anew and cut", _copies(TRAIN)),
    Fault("copies", "the same from training in validation", _copies(VALIDATION)),
)
