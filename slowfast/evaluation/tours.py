"""Scripted tours through the real DoomRooms, recorded in worlds that a model has never seen.

All tours of a recording have the same actions, so that their worlds can be dreamed side by side in one batch.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import gymnasium
import numpy as np

from slowfast.actions import ActionSpec, Columns
from slowfast.envs.doom_rooms.env import DoomRoomsEnv
from slowfast.envs.doom_rooms.motion import TURN_LEFT, TURN_RIGHT
from slowfast.envs.doom_rooms.splits import split_env_kwargs
from slowfast.envs.doom_rooms.tours import clear_steps, full_turn, out_and_back
from slowfast.world_model import WorldModel

NEVER = -1


@dataclass(frozen=True)
class Stage:
    """A part of a tour: the frames ``start .. stop - 1`` of those that its actions lead to, counted from 0."""

    name: str
    start: int
    stop: int


@dataclass(frozen=True)
class Tours:
    """N walks of T actions: ``frames`` ``uint8 [N, T + 1, H, W, 3]``, ``actions`` columns ``[N, T]`` (t leads from
    frame t to t + 1), ``poses`` ``float32 [N, T + 1, 3]`` (x, y in map units, angle in degrees), ``seeds``: the worlds.
    """

    frames: np.ndarray
    actions: Columns
    poses: np.ndarray
    seeds: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.frames)

    def part(self, rows: slice) -> Tours:
        """Some of the walks."""
        actions = {name: column[rows] for name, column in self.actions.items()}
        return Tours(self.frames[rows], actions, self.poses[rows], self.seeds[rows])

    def frames_since_seen(self, last_seen: int) -> np.ndarray:
        """``int64 [N, T - last_seen]``: for each frame after ``last_seen``, how many frames ago its pose was last held
        at or before ``last_seen``; :data:`NEVER` if it was not."""
        seen, later = self.poses[:, : last_seen + 1], self.poses[:, last_seen + 1 :]
        same = (seen[:, None] == later[:, :, None]).all(-1)  # [N, later, seen]
        latest = np.where(same, np.arange(last_seen + 1), NEVER).max(-1)
        present = last_seen + 1 + np.arange(later.shape[1])
        return np.where(latest == NEVER, NEVER, present - latest)


def lap(turn_degrees: float, steps: int) -> tuple[list[int], list[Stage]]:
    """Look around, walk ``steps`` off, come back: it ends in the pose it began in. With 0 steps only look around."""
    look = full_turn(turn_degrees)
    half = len(look) // 2
    lengths = [("look around", len(look))]
    if steps:
        lengths += [("walk off", steps), ("turn round", half), ("walk back", steps), ("turn round", half)]
    stages, start = [], 0
    for name, length in lengths:
        stages.append(Stage(name, start, start + length))
        start += length
    return look + (out_and_back(steps, turn_degrees) if steps else []), stages


def turn_and_return(turns: int) -> list[int]:
    """``turns`` to the left and the same to the right: frame 2 * turns - i shows what frame i showed."""
    return [TURN_LEFT] * turns + [TURN_RIGHT] * turns


def rooms(env_id: str, size: tuple[int, int], spec: ActionSpec, arguments: Mapping[str, Any]) -> gymnasium.Env:
    """The environment ``env_id`` with pictures of ``size`` (H, W).

    Raises ValueError when it is not DoomRooms (tours are scripted for it alone) or its actions are not ``spec``.
    """
    given = {**arguments, "size": size}
    try:
        env = gymnasium.make(env_id, **given)
    except TypeError as error:
        raise ValueError(f"{env_id} is not made with {', '.join(given)}, as DoomRooms is: {error}") from error
    problem = None
    if not isinstance(env.unwrapped, DoomRoomsEnv):
        problem = "tours are scripted for slowfast/DoomRooms-v0 alone"
    elif env.unwrapped.continuous or env.unwrapped.action_spec != spec:
        problem = f"tours need its seven moves, and the world takes {spec}"
    if problem:
        env.close()
        raise ValueError(f"{env_id}: {problem}")
    return env


def known_rooms(world: WorldModel, split: str, env_id: str = "slowfast/DoomRooms-v0") -> gymnasium.Env:
    """:func:`rooms` as ``world`` knows them, in the textures of a split."""
    known = (world.config.environment or {}).get("kwargs", {})
    return rooms(env_id, world.config.frame_size, world.action_spec, {**known, **split_env_kwargs(split)})


def record(env: gymnasium.Env, seeds: Iterable[int], count: int, moves: Sequence[int], steps: int) -> Tours:
    """The first ``count`` worlds of ``seeds`` that have room for ``steps`` steps, each walked with ``moves``; see
    :func:`record_branches`."""
    return record_branches(env, seeds, count, moves, [()], steps)[0]


def record_branches(
    env: gymnasium.Env,
    seeds: Iterable[int],
    count: int,
    moves: Sequence[int],
    branches: Sequence[Sequence[int]],
    steps: int,
) -> list[Tours]:
    """One recording a branch: ``moves``, and from the state they lead to, that branch's own moves.

    Of ``seeds``, the first ``count`` worlds that have room for ``steps`` steps are walked. A tour begins at the world's
    start, turned to where the free way is longest; these turns are not recorded. Raises ValueError when there are not
    enough such worlds.
    """
    rooms = cast(DoomRoomsEnv, env.unwrapped)
    walked: list[list[_Walked]] = [[] for _ in branches]
    used: list[int] = []
    for seed in seeds:
        if len(used) == count:
            break
        observation, info = env.reset(seed=seed)
        turns = _to_the_open(rooms, steps)
        if turns is None:
            continue
        for turn in turns:
            observation, *_, info = rooms.step(turn)
        stem = _walk(rooms, moves, [observation], [info["pose"]])
        fork = rooms.snapshot()
        for tours, branch in zip(walked, branches, strict=True):
            rooms.restore(fork)
            tours.append(_walk(rooms, branch, *stem))
        used.append(seed)
    if len(used) < count:
        raise ValueError(f"only {len(used)} of {count} worlds have room for {steps} steps: ask for fewer")
    return [
        Tours(
            np.stack([frames for frames, _ in tours]),
            rooms.action_spec.columns([[*moves, *branch]] * count),
            np.stack([poses for _, poses in tours]),
            tuple(used),
        )
        for tours, branch in zip(walked, branches, strict=True)
    ]


_Walked = tuple[list[np.ndarray], list[np.ndarray]]
"""Frames and poses of one tour."""


def _walk(env: DoomRoomsEnv, moves: Sequence[int], frames: list[np.ndarray], poses: list[np.ndarray]) -> _Walked:
    """What is seen so far, and then on the way of ``moves``."""
    frames, poses = [*frames], [*poses]
    for move in moves:
        observation, *_, info = env.step(move)
        frames.append(observation)
        poses.append(info["pose"])
    return frames, poses


def _to_the_open(env: DoomRoomsEnv, steps: int) -> list[int] | None:
    """The turns to the direction with the longest free way, or None when it is shorter than ``steps``."""
    x, y, angle = env.position
    circle = len(full_turn(env.motion.turn_degrees))
    turns = sorted(range(-circle // 2 + 1, circle // 2 + 1), key=abs)
    free = [clear_steps(env.world, env.motion, (x, y, angle + count * env.motion.turn)) for count in turns]
    best = int(np.argmax(free))
    if free[best] < steps:
        return None
    return [TURN_LEFT if turns[best] > 0 else TURN_RIGHT] * abs(turns[best])
