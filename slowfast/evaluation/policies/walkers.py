"""Policies that act in a vector of environments at once: by luck, in a fixed rhythm, with a map."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, cast

import numpy as np
from gymnasium import spaces
from gymnasium.vector import SyncVectorEnv, VectorEnv

from slowfast.envs.doom_rooms.env import DoomRoomsEnv
from slowfast.envs.doom_rooms.tours import clear_steps


class VectorPolicy(Protocol):
    """Acts in E environments at once."""

    def begin(self, envs: VectorEnv[Any, Any, Any], worlds: Sequence[int]) -> None:
        """The E environments were reset to these worlds. Only a reference that is no learner looks into ``envs``."""
        ...

    def act(self, observations: np.ndarray) -> np.ndarray:
        """The next action of each, ``int64 [E]``, by observations ``[E, ...]``."""
        ...


class Luck:
    """Uniform actions. Each world has a generator of its own, whatever worlds stand beside it."""

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed

    def begin(self, envs: VectorEnv[Any, Any, Any], worlds: Sequence[int]) -> None:
        self.actions = int(cast(spaces.Discrete, envs.single_action_space).n)
        self.generators = generators(self.seed, worlds)

    def act(self, observations: np.ndarray) -> np.ndarray:
        return np.array([generator.integers(self.actions) for generator in self.generators])


class Rhythm:
    """The same actions over and over, whatever is seen: by default 0, 1, 0, 1. In the task of covering ground that is a
    step, a turn, a step, a turn, so it walks in a circle."""

    def __init__(self, actions: Sequence[int] = (0, 1)) -> None:
        self.actions = tuple(actions)

    def begin(self, envs: VectorEnv[Any, Any, Any], worlds: Sequence[int]) -> None:
        self.count, self.step = len(worlds), 0

    def act(self, observations: np.ndarray) -> np.ndarray:
        action = self.actions[self.step % len(self.actions)]
        self.step += 1
        return np.full(self.count, action)


class WallKnower:
    """Covers ground in DoomRooms with its eyes on the map: walks on (0) where a whole step is free, else turns (1)."""

    def begin(self, envs: VectorEnv[Any, Any, Any], worlds: Sequence[int]) -> None:
        self.rooms = [cast(DoomRoomsEnv, env.unwrapped) for env in cast(SyncVectorEnv, envs.unwrapped).envs]

    def act(self, observations: np.ndarray) -> np.ndarray:
        return np.array([int(not clear_steps(own.world, own.motion, own.position, limit=1)) for own in self.rooms])


def generators(seed: int, worlds: Sequence[int]) -> list[np.random.Generator]:
    """One a world, of (seed, world) alone."""
    return [np.random.default_rng(np.random.SeedSequence((seed, world))) for world in worlds]
