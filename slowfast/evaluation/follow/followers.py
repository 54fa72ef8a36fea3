"""Who follows words: by video plans; by the words themselves (the upper bound); by reading the true video of them (the
ceiling of the reading); by luck."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from typing import Protocol

import numpy as np

from slowfast.dream import Dream
from slowfast.envs.doom_rooms.env import DoomRoomsEnv
from slowfast.envs.doom_rooms.motion import MOVES
from slowfast.envs.doom_rooms.snapshot import Snapshot
from slowfast.evaluation.acting.coming_home import Outing
from slowfast.evaluation.anothers_memory import reading_anothers
from slowfast.evaluation.follow.starts import moves_said
from slowfast.fast import MemoryRule
from slowfast.fast.generators import episode_generator
from slowfast.planning.video_plan import VideoPlanner
from slowfast.world_model import WorldModel


class Follower(Protocol):
    """Carries out words in real worlds; ``episodes`` of E' of them, in ascending order, are told something."""

    def decide(
        self, subgoals: Sequence[str], steps: int, episodes: Sequence[int], states: Sequence[Snapshot]
    ) -> np.ndarray:
        """The next moves ``int64 [E', n]``, 1 <= n <= steps, for one sub-goal each that has ``steps`` left. ``states``
        are the real ones: only an upper bound may look."""
        ...

    def see(self, frames: np.ndarray, moves: np.ndarray, episodes: Sequence[int]) -> None:
        """The real frames ``uint8 [E', n, H, W, 3]`` that the moves led to."""
        ...


class Told:
    """Does what the words name."""

    def decide(
        self, subgoals: Sequence[str], steps: int, episodes: Sequence[int], states: Sequence[Snapshot]
    ) -> np.ndarray:
        return np.repeat(np.array(moves_said(subgoals))[:, None], steps, 1)

    def see(self, frames: np.ndarray, moves: np.ndarray, episodes: Sequence[int]) -> None:
        pass


class Chance:
    """Uniform moves; each of ``count`` episodes draws its own."""

    def __init__(self, count: int, seed: int = 0) -> None:
        self.generators = [np.random.default_rng(own) for own in np.random.SeedSequence(seed).spawn(count)]

    def decide(
        self, subgoals: Sequence[str], steps: int, episodes: Sequence[int], states: Sequence[Snapshot]
    ) -> np.ndarray:
        return np.stack([self.generators[episode].integers(len(MOVES), size=steps) for episode in episodes])

    def see(self, frames: np.ndarray, moves: np.ndarray, episodes: Sequence[int]) -> None:
        pass


class TrueVideo:
    """Reads its moves from the frames that the words really lead to. What it gets wrong, the reading does."""

    def __init__(self, world: WorldModel, env: DoomRoomsEnv) -> None:
        self.world, self.env = world, env

    def decide(
        self, subgoals: Sequence[str], steps: int, episodes: Sequence[int], states: Sequence[Snapshot]
    ) -> np.ndarray:
        videos = []
        for move, state in zip(moves_said(subgoals), states, strict=True):
            first, _ = self.env.restore(state)
            videos.append(np.stack([first, *(self.env.step(move)[0] for _ in range(steps))]))
        return self.world.read_actions(np.stack(videos))["move"]

    def see(self, frames: np.ndarray, moves: np.ndarray, episodes: Sequence[int]) -> None:
        pass


class Dreamt:
    """Makes video plans in a dream that was shown how the start was come to, executes what is read from them, and shows
    the dream what came of it.

    ``execute``: moves of a plan that are done before the next one is made (default: all). ``rule``: of the dream's
    memory, None for none. ``seed``: of the noise of plans; the memory's is the next one. ``anothers``: plans read the
    memory of another world, a control.
    """

    def __init__(
        self,
        world: WorldModel,
        starts: Sequence[Outing],
        rule: MemoryRule | None = None,
        execute: int | None = None,
        seed: int = 0,
        anothers: bool = False,
    ) -> None:
        count = len(starts)
        memory = None if rule is None else world.new_memory(count, seed + 1, rule)
        self.dream, self.execute, self.anothers = Dream(world, count, memory, seed), execute, anothers
        self.planner = VideoPlanner(self.dream)
        self.generators = [episode_generator(seed, episode) for episode in range(count)]
        self.dream.start(np.stack([start.frames for start in starts]), [start.moves.tolist() for start in starts])

    def decide(
        self, subgoals: Sequence[str], steps: int, episodes: Sequence[int], states: Sequence[Snapshot]
    ) -> np.ndarray:
        generators = [self.generators[episode] for episode in episodes]
        with reading_anothers(self.dream) if self.anothers else nullcontext():
            plan = self.planner.plan(subgoals, generators, episodes, min(steps, self.planner.frames))
        return plan.actions["move"][:, : self.execute]

    def see(self, frames: np.ndarray, moves: np.ndarray, episodes: Sequence[int]) -> None:
        self.dream.observe(frames, moves.tolist(), episodes)
