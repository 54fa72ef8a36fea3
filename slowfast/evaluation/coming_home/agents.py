"""Who walks home: by luck, by plans made in a dream, or by plans made in the real world itself (the upper bound)."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import torch

from slowfast.dream import Dream
from slowfast.envs.doom_rooms.env import DoomRoomsEnv
from slowfast.envs.doom_rooms.motion import MOVES, STAY
from slowfast.envs.doom_rooms.snapshot import Snapshot
from slowfast.evaluation.anothers_memory import reading_anothers
from slowfast.evaluation.coming_home.outings import Outing
from slowfast.fast import MemoryRule
from slowfast.fast.generators import episode_generator
from slowfast.planning import Plan, Planner
from slowfast.planning.imagination import ImaginedCost
from slowfast.planning.objectives import ImageGoal, Outcome
from slowfast.planning.plan import Actions
from slowfast.world_model import WorldModel


class Agent(Protocol):
    """Walks in E real worlds at once."""

    def act(self, states: Sequence[Snapshot], out: np.ndarray) -> np.ndarray:
        """The next move in each world, ``int64 [E]``; it counts where ``out`` ``bool [E]``, who is not home yet.
        ``states`` are the real ones: only an upper bound may look."""
        ...

    def see(self, frames: np.ndarray, moves: np.ndarray) -> None:
        """The real frames ``uint8 [E, H, W, 3]`` that the moves led to."""
        ...


class Luck:
    """Uniform moves."""

    def __init__(self, episodes: int, seed: int = 0) -> None:
        self.generators = [np.random.default_rng(own) for own in np.random.SeedSequence(seed).spawn(episodes)]

    def act(self, states: Sequence[Snapshot], out: np.ndarray) -> np.ndarray:
        return np.array([generator.integers(len(MOVES)) for generator in self.generators])

    def see(self, frames: np.ndarray, moves: np.ndarray) -> None:
        pass


class Dreamer:
    """Plans in a dream that was shown the outing, does the first move of each plan, and is shown what came of it.

    ``anothers``: plans read the memory of another world, a control.
    """

    def __init__(
        self,
        world: WorldModel,
        away: Sequence[Outing],
        planner: Planner,
        rule: MemoryRule | None,
        seed: int = 0,
        anothers: bool = False,
    ) -> None:
        count, self.anothers = len(away), anothers
        self.planner, self.goal = planner, ImageGoal.of(world, np.stack([outing.frames[0] for outing in away]))
        memory = None if rule is None else world.new_memory(count, seed + 1, rule)
        self.dream = Dream(world, count, memory, seed)
        self.dream.start(np.stack([outing.frames for outing in away]), [outing.moves.tolist() for outing in away])
        self.generators = [episode_generator(seed, episode) for episode in range(count)]
        self.plan: Plan | None = None

    def act(self, states: Sequence[Snapshot], out: np.ndarray) -> np.ndarray:
        warm = None if self.plan is None else self.plan.after(1)
        cost = ImaginedCost(self.dream, self.goal, only=torch.from_numpy(out))
        with reading_anothers(self.dream) if self.anothers else nullcontext():
            self.plan = self.planner.plan(cost, self.generators, warm)
        return self.plan.actions["move"][:, 0].numpy()

    def see(self, frames: np.ndarray, moves: np.ndarray) -> None:
        self.dream.observe(frames[:, None], [[int(move)] for move in moves])


class Simulator:
    """Plans as :class:`Dreamer` does, for the same goal, but tries its candidates in the real world."""

    def __init__(
        self, world: WorldModel, env: DoomRoomsEnv, away: Sequence[Outing], planner: Planner, seed: int = 0
    ) -> None:
        self.world, self.env, self.planner = world, env, planner
        self.goals = [ImageGoal.of(world, outing.frames[0]) for outing in away]
        self.generators = [episode_generator(seed, episode) for episode in range(len(away))]
        self.plans: list[Plan | None] = [None] * len(away)

    def act(self, states: Sequence[Snapshot], out: np.ndarray) -> np.ndarray:
        for number, (state, goal) in enumerate(zip(states, self.goals, strict=True)):
            if not out[number]:
                continue
            before = self.plans[number]
            warm = None if before is None else before.after(1)
            cost = TrueCost(self.world, self.env, state, goal)
            self.plans[number] = self.planner.plan(cost, self.generators[number : number + 1], warm)
        return np.array([STAY if plan is None else int(plan.actions["move"][0, 0]) for plan in self.plans])

    def see(self, frames: np.ndarray, moves: np.ndarray) -> None:
        pass


@dataclass(frozen=True)
class TrueCost:
    """What candidates ``[1, K, H]`` really lead to from ``state``, judged by ``goal``."""

    world: WorldModel
    env: DoomRoomsEnv
    state: Snapshot
    goal: ImageGoal
    known: dict[tuple[int, ...], np.ndarray] = field(default_factory=dict)
    """Frames by the moves that lead to them: candidates share beginnings."""

    def __call__(self, candidates: Actions) -> torch.Tensor:
        moves = candidates["move"][0]
        frames = np.stack([np.stack(self._walked(tuple(row))) for row in moves.tolist()])
        return self.goal(Outcome(self.world, self.world.encode(frames), {"move": moves}))[None]

    def _walked(self, moves: tuple[int, ...]) -> list[np.ndarray]:
        seen, last = [], 0
        while last < len(moves) and moves[: last + 1] in self.known:
            last += 1
            seen.append(self.known[moves[:last]])
        if last < len(moves):
            self.env.restore(self.state)
            for count, move in enumerate(moves, 1):
                frame = self.env.step(move)[0]
                if count > last:
                    self.known[moves[:count]] = frame
                    seen.append(frame)
        return seen
