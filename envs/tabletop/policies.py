"""Policies that collect episodes on the table: one does as it is told, the other lets itself be distracted."""

from __future__ import annotations

from typing import Any

import numpy as np

from slowfast.envs.tabletop.env import TabletopEnv
from slowfast.envs.tabletop.follower import next_move
from slowfast.envs.tabletop.goals import Goal, draw_goal
from slowfast.envs.tabletop.moves import AWAY, GRIP, LEFT, NEAR, RELEASE, RIGHT, STAY, move_command

MIX = {LEFT: 0.18, RIGHT: 0.18, AWAY: 0.18, NEAR: 0.18, GRIP: 0.09, RELEASE: 0.07, STAY: 0.12}
"""Chances of the moves when one is random."""


class InstructedPolicy:
    """Does what the instruction says, in any Tabletop environment, discrete or continuous. Where it gets no further it
    tries something else for a moment; these choices come from ``rng``. Raises ``TypeError`` on another environment."""

    def __init__(self, env: Any, rng: np.random.Generator):
        if not isinstance(env.unwrapped, TabletopEnv):
            raise TypeError(f"this policy is for slowfast/Tabletop-v0, got {type(env.unwrapped).__name__}")
        self.env: TabletopEnv = env.unwrapped
        self.rng = rng
        self.reset({})

    def reset(self, info: dict[str, Any]) -> None:
        self._shaken = 0
        self._before: np.ndarray | None = None

    def act(self, observation: Any, info: dict[str, Any]) -> Any:
        return self._action(self._towards(self.env.goal))

    def _towards(self, goal: Goal) -> int:
        simulator = self.env.simulator
        move = next_move(simulator.gripper, simulator.gripping, simulator.cubes, goal, self.env.step_metres)
        if self._shaken == 0 and move in (LEFT, RIGHT, AWAY, NEAR) and self._is_stuck():
            self._shaken = 3
        if self._shaken:
            self._shaken -= 1
            move = RELEASE if simulator.gripping else self._random_move()
        return move

    def _is_stuck(self) -> bool:
        """Whether everything lies as it did when this was last asked."""
        simulator = self.env.simulator
        now = np.concatenate([simulator.gripper, simulator.cubes[:, :2].reshape(-1)])
        before, self._before = self._before, now
        return before is not None and float(np.abs(now - before).max()) < self.env.step_metres / 10

    def _random_move(self) -> int:
        return int(self.rng.choice(list(MIX), p=list(MIX.values())))

    def _action(self, move: int) -> Any:
        """A move as the environment takes it. Motions vary in length."""
        if not self.env.continuous:
            return move
        right, away, grip = move_command(move, self.env.step_metres, self.env.simulator.gripping)
        scale = float(self.rng.uniform(0.5, 1.0))
        return np.array([right * scale, away * scale, 1.0 if grip else -1.0], np.float32)


class DistractedPolicy(InstructedPolicy):
    """Follows the instruction for a while, plays at another goal of the table for a while, and makes random moves in
    between. What a world model is to learn is what actions do, and not that all goes well.

    Each episode draws its share of random moves and how easily it is distracted; a quarter of the episodes never do
    as they are told. Where the goal is reached and play goes on, it plays on.
    """

    shares: tuple[float, ...] = (0.05, 0.15, 0.5)
    """Shares of random moves."""
    distractions: tuple[float, ...] = (0.0, 0.03, 0.08, 1.0)
    """Chances, at each step, of taking up another goal."""

    def reset(self, info: dict[str, Any]) -> None:
        super().reset(info)
        self._share = float(self.rng.choice(self.shares))
        self._distraction = float(self.rng.choice(self.distractions))
        self._other: Goal | None = None
        self._patience = 0

    def act(self, observation: Any, info: dict[str, Any]) -> Any:
        goal = self._chosen_goal()
        if self.rng.random() < self._share:
            return self._action(self._random_move())
        return self._action(self._towards(goal))

    def _chosen_goal(self) -> Goal:
        cubes = self.env.simulator.cubes
        self._patience -= 1
        if self._other is not None and (self._patience <= 0 or self._done(self._other)):
            self._other = None
        if self._other is None and (self.rng.random() < self._distraction or self._done(self.env.goal)):
            self._other = draw_goal(self.rng, cubes, self.env.arrangement.colours)
            self._patience = int(self.rng.integers(6, 25))
        return self._other or self.env.goal

    def _done(self, goal: Goal) -> bool:
        """Reached, and let go."""
        return goal.distance(self.env.simulator.cubes) == 0 and not self.env.simulator.gripping
