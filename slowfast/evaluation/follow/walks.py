"""Following sub-goals for real: plan, execute, observe, go on, in many worlds side by side."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from slowfast.envs.doom_rooms.env import DoomRoomsEnv
from slowfast.envs.doom_rooms.motion import CIRCLE
from slowfast.envs.doom_rooms.navigation import angle_between
from slowfast.evaluation.acting.coming_home import Outing, pose
from slowfast.evaluation.follow.followers import Follower
from slowfast.evaluation.follow.starts import meant_poses, moves_said
from slowfast.planning.subgoals import SubGoals


@dataclass(frozen=True)
class Walk:
    """One world. ``subgoals``: that were given; ``said`` and ``moves`` ``int64 [S]``: the move that was named and the
    one that was done at each step; ``places`` ``int64 [S]``: how many steps of the same plan came before it; ``poses``
    and ``meant`` ``int64 [S + 1, 3]``: where it led, and where what was said would have led."""

    subgoals: tuple[str, ...]
    said: np.ndarray
    moves: np.ndarray
    places: np.ndarray
    poses: np.ndarray
    meant: np.ndarray

    @property
    def obeyed(self) -> np.ndarray:
        """``bool [S]``: whether what was done was said."""
        return self.said == self.moves

    @property
    def left(self) -> float:
        """How far it ended from where the words lead, in map units. On a way back that is the first pose."""
        return float(np.linalg.norm(self.poses[-1, :2] - self.meant[-1, :2]))

    @property
    def turned_off(self) -> float:
        """Degrees between the views of the two ends."""
        return abs(angle_between(int(self.poses[-1, 2]), int(self.meant[-1, 2]))) * 360 / CIRCLE

    @property
    def off_the_way(self) -> float:
        """How near it came to the places on the way that was meant, in map units, mean over them (the paper's distance
        to waypoints)."""
        apart = np.linalg.norm(self.meant[1:, None, :2] - self.poses[None, :, :2], axis=-1)
        return float(apart.min(1).mean()) if len(apart) else 0.0


@dataclass(frozen=True)
class Walks:
    """One walk a world, and the ``seconds`` that they took together."""

    walks: tuple[Walk, ...]
    seconds: float


def follow(
    env: DoomRoomsEnv,
    starts: Sequence[Outing],
    follower: Follower,
    source: SubGoals,
    steps: int,
    task: str = "",
    progress: Callable[[int, None], None] | None = None,
) -> Walks:
    """Gives each world one sub-goal of ``source`` after the other until none is left, ``steps`` moves each.

    ``progress``: called with the number of sub-goals so far, and None. Raises ValueError for words that name no move.
    """
    began, rounds = time.perf_counter(), 0
    records = [_Record([], [], [], [], [pose(start.away)]) for start in starts]
    states, active = [start.away for start in starts], list(range(len(starts)))
    while True:
        given = {e: source.next(task, records[e].subgoals, states[e].observation) for e in active}
        told = {e: subgoal for e, subgoal in given.items() if subgoal is not None}
        if not told:
            break
        active, subgoals, said, left = list(told), list(told.values()), moves_said(list(told.values())), steps
        while left:
            moves = follower.decide(subgoals, left, active, [states[e] for e in active])
            frames = []
            for episode, own, own_said in zip(active, moves.tolist(), said, strict=True):
                env.restore(states[episode])
                seen = []
                for place, move in enumerate(own):
                    seen.append(env.step(move)[0])
                    records[episode].add(own_said, move, place, env.position)
                states[episode] = env.snapshot()
                frames.append(np.stack(seen))
            follower.see(np.stack(frames), moves, active)
            left -= moves.shape[1]
        for episode, subgoal in told.items():
            records[episode].subgoals.append(subgoal)
        rounds += 1
        if progress:
            progress(rounds, None)
    seconds = time.perf_counter() - began
    return Walks(tuple(_walk(env, *both) for both in zip(starts, records, strict=True)), seconds)


@dataclass
class _Record:
    """A walk as it grows."""

    subgoals: list[str]
    said: list[int]
    moves: list[int]
    places: list[int]
    poses: list[tuple[int, int, int]]

    def add(self, said: int, move: int, place: int, now: tuple[int, int, int]) -> None:
        self.said.append(said)
        self.moves.append(move)
        self.places.append(place)
        self.poses.append(now)


def _walk(env: DoomRoomsEnv, start: Outing, record: _Record) -> Walk:
    env.restore(start.away)
    said, moves, places = (np.array(part, np.int64) for part in (record.said, record.moves, record.places))
    meant = meant_poses(env, pose(start.away), record.said)
    return Walk(tuple(record.subgoals), said, moves, places, np.array(record.poses), meant)
