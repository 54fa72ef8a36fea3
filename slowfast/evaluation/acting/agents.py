"""Who acts: by luck, by plans made in a dream, or by plans made in the real world itself (the upper bound)."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import torch

from slowfast.dream import Dream
from slowfast.envs.policies import make_policy
from slowfast.evaluation.acting.task import RealWorld, Task
from slowfast.evaluation.anothers_memory import reading_anothers
from slowfast.fast import MemoryRule
from slowfast.fast.generators import episode_generator
from slowfast.planning import Plan, Planner
from slowfast.planning.imagination import ImaginedCost
from slowfast.planning.objectives import Objective, Outcome
from slowfast.planning.plan import Actions
from slowfast.world_model import WorldModel


class Agent(Protocol):
    """Acts in E real worlds at once."""

    def act(self, states: Sequence[Any], out: np.ndarray) -> np.ndarray:
        """The next move in each world, ``int64 [E]``; it counts where ``out`` ``bool [E]``, where it is not done yet.
        ``states`` are the real ones: only an upper bound may look."""
        ...

    def see(self, frames: np.ndarray, moves: np.ndarray) -> None:
        """The real frames ``uint8 [E, H, W, 3]`` that the moves led to."""
        ...


class Luck:
    """Uniform moves."""

    def __init__(self, world: WorldModel, task: Task, seed: int = 0) -> None:
        self.count = int(world.action_spec.to_space().n)
        streams = np.random.SeedSequence(seed).spawn(len(task.states))
        self.generators = [np.random.default_rng(own) for own in streams]

    def act(self, states: Sequence[Any], out: np.ndarray) -> np.ndarray:
        return np.array([generator.integers(self.count) for generator in self.generators])

    def see(self, frames: np.ndarray, moves: np.ndarray) -> None:
        pass


class Scripted:
    """A policy of the environment's own, which may look at the simulator's state: what can be reached at all."""

    def __init__(self, task: Task, policy: str, seed: int = 0) -> None:
        self.task, count = task, len(task.states)
        streams = np.random.SeedSequence(seed).spawn(count)
        self.policies = [make_policy(policy, task.env, np.random.default_rng(own)) for own in streams]
        for own in self.policies:
            own.reset({})

    def act(self, states: Sequence[Any], out: np.ndarray) -> np.ndarray:
        moves = np.full(len(states), self.task.idle)
        for number in np.flatnonzero(out).tolist():
            observation, info = self.task.env.restore(states[number])
            moves[number] = self.policies[number].act(observation, info)
        return moves

    def see(self, frames: np.ndarray, moves: np.ndarray) -> None:
        pass


class Dreamer:
    """Plans in a dream that was shown what led to the task, does the first move of each plan, and is shown what came of
    it.

    ``anothers``: plans read the memory of another world, a control.
    """

    def __init__(
        self,
        world: WorldModel,
        task: Task,
        planner: Planner,
        rule: MemoryRule | None,
        seed: int = 0,
        anothers: bool = False,
    ) -> None:
        count, self.anothers = len(task.states), anothers
        self.planner, self.goal = planner, task.goal(world)
        memory = None if rule is None else world.new_memory(count, seed + 1, rule)
        self.dream = Dream(world, count, memory, seed)
        self.dream.start(task.frames, task.moves.tolist())
        self.generators = [episode_generator(seed, episode) for episode in range(count)]
        self.plan: Plan | None = None

    def act(self, states: Sequence[Any], out: np.ndarray) -> np.ndarray:
        warm = None if self.plan is None else self.plan.after(1)
        cost = ImaginedCost(self.dream, self.goal, only=torch.from_numpy(out))
        with reading_anothers(self.dream) if self.anothers else nullcontext():
            self.plan = self.planner.plan(cost, self.generators, warm)
        return self.plan.actions["move"][:, 0].numpy()

    def see(self, frames: np.ndarray, moves: np.ndarray) -> None:
        self.dream.observe(frames[:, None], [[int(move)] for move in moves])


class Simulator:
    """Plans as :class:`Dreamer` does, for the same goal, but tries its candidates in the real world."""

    def __init__(self, world: WorldModel, task: Task, planner: Planner, seed: int = 0) -> None:
        self.world, self.task, self.planner = world, task, planner
        self.goal = task.goal(world)
        self.generators = [episode_generator(seed, episode) for episode in range(len(task.states))]
        self.plans: list[Plan | None] = [None] * len(task.states)

    def act(self, states: Sequence[Any], out: np.ndarray) -> np.ndarray:
        for number in np.flatnonzero(out).tolist():
            before = self.plans[number]
            warm = None if before is None else before.after(1)
            cost = TrueCost(self.world, self.task.env, states[number], self.goal, number)
            self.plans[number] = self.planner.plan(cost, self.generators[number : number + 1], warm)
        return np.array([self.task.idle if plan is None else int(plan.actions["move"][0, 0]) for plan in self.plans])

    def see(self, frames: np.ndarray, moves: np.ndarray) -> None:
        pass


@dataclass(frozen=True)
class TrueCost:
    """What candidates ``[1, K, H]`` of episode ``number`` really lead to from ``state``, judged by ``goal``."""

    world: WorldModel
    env: RealWorld
    state: Any
    goal: Objective
    number: int = 0
    known: dict[tuple[int, ...], np.ndarray] = field(default_factory=dict)
    """Frames by the moves that lead to them: candidates share beginnings."""

    def __call__(self, candidates: Actions) -> torch.Tensor:
        moves = candidates["move"][0]
        frames = np.stack([np.stack(self._walked(tuple(row))) for row in moves.tolist()])
        latents, episodes = self.world.encode(frames), torch.tensor([self.number])
        return self.goal(Outcome(self.world, latents, {"move": moves}, episodes=episodes))[None]

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
