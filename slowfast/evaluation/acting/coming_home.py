"""The task of coming home: somebody walked away from the first view, and has to come back to it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from slowfast.envs.doom_rooms.env import DoomRoomsEnv
from slowfast.envs.doom_rooms.motion import STAY, Motion, Pose
from slowfast.envs.doom_rooms.navigation import angle_between
from slowfast.envs.doom_rooms.snapshot import Snapshot
from slowfast.envs.policies import make_policy
from slowfast.planning.objectives import ImageGoal
from slowfast.world_model import WorldModel

NEAR_STEPS = 1.5
"""How many steps away from the first position still count as home; the view may be off by one turn."""


@dataclass(frozen=True)
class Outing:
    """One world: ``frames`` ``uint8 [T + 1, H, W, 3]`` from the first view on, the ``moves`` ``int64 [T]`` between
    them, and the simulator's state at the first frame (``home``) and at the last (``away``)."""

    frames: np.ndarray
    moves: np.ndarray
    home: Snapshot
    away: Snapshot


class ComingHome:
    """A :class:`~slowfast.evaluation.acting.task.Task`: from the end of each outing back to its first view."""

    idle = STAY
    done_is = "came home"
    left_is = "left, map units"

    def __init__(self, env: DoomRoomsEnv, away: Sequence[Outing], goal: dict[str, Any] | None = None) -> None:
        self.env, self.states = env, [outing.away for outing in away]
        self.frames = np.stack([outing.frames for outing in away])
        self.moves = np.stack([outing.moves for outing in away])
        self.homes = [pose(outing.home) for outing in away]
        self.worlds = [outing.home.world for outing in away]
        self._goal_settings = goal or {}

    def goal(self, world: WorldModel) -> ImageGoal:
        return ImageGoal.of(world, self.frames[:, 0], **self._goal_settings)

    def done(self, number: int, state: Snapshot) -> bool:
        return is_home(pose(state), self.homes[number], self.env.motion)

    def left(self, number: int, state: Snapshot) -> float:
        return distance(pose(state), self.homes[number])


def outings(env: DoomRoomsEnv, seeds: Iterable[int], count: int, steps: int) -> list[Outing]:
    """Of ``seeds``, the first ``count`` worlds in which the restless policy is not at home after ``steps`` steps.

    Raises ValueError when there are not enough.
    """
    found: list[Outing] = []
    for seed in seeds:
        if len(found) == count:
            break
        observation, info = env.reset(seed=seed)
        policy = make_policy("restless", env, np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(1,))))
        policy.reset(info)
        home, frames, moves = env.snapshot(), [observation], []
        for _ in range(steps):
            moves.append(int(policy.act(observation, info)))
            observation, _, _, _, info = env.step(moves[-1])
            frames.append(observation)
        away = env.snapshot()
        if not is_home(pose(away), pose(home), env.motion):
            found.append(Outing(np.stack(frames), np.array(moves), home, away))
    if len(found) < count:
        raise ValueError(f"only {len(found)} of the given worlds led away within {steps} steps, {count} were asked for")
    return found


def pose(snapshot: Snapshot) -> Pose:
    return snapshot.x, snapshot.y, snapshot.angle


def is_home(now: Pose, home: Pose, motion: Motion) -> bool:
    """Near the first position, and looking where the first view looked, within one turn."""
    return distance(now, home) <= NEAR_STEPS * motion.step_units and abs(angle_between(now[2], home[2])) <= motion.turn


def distance(one: Pose, other: Pose) -> float:
    """In map units."""
    return math.dist(one[:2], other[:2])
