"""Observations with a goal beside them, in the convention of Gymnasium-Robotics' ``GoalEnv``."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from slowfast.envs.wrappers.goals import (
    GoalReward,
    Goals,
    checked_goal,
    drawn_goal,
    generator_of,
    goal_reward,
    goal_space,
    judged,
    picture_space,
)


class GoalObservation(gymnasium.Wrapper[Any, Any, Any, Any], gymnasium.utils.RecordConstructorArgs):
    """Observations are ``observation`` (the environment's own), ``achieved_goal`` (the picture in it, ``uint8
    [H, W, 3]``) and ``desired_goal`` (a picture of that size, or words). The reward is
    ``compute_reward(achieved_goal, desired_goal, info)``; the environment's own is ``info["environment_reward"]``.

    ``goals``: pictures ``uint8 [N, H, W, 3]`` or a list of texts, one of which is drawn at each reset from a generator
    of the wrapper's own, which the reset's seed sets, unless ``reset(options={"goal": ...})`` names one; or
    ``"instruction"``, for the words that the environment says at reset (``info["instruction"]``). ``reward``: what a
    picture is worth for a goal, called with one of each or with N; by default, for pictures, minus their root mean
    square difference, from -1 to 0, and for the environment's own words what it pays itself, and then
    ``compute_reward`` raises ValueError. ``reach``: a reward from which the goal counts as reached, which ends the
    episode; None: the environment alone says when it ends. ``picture``: the key of the picture in observations that
    are a ``Dict``.

    Raises ValueError for observations without a picture, goals of another size, a list of texts without ``reward``.
    """

    def __init__(
        self,
        env: gymnasium.Env[Any, Any],
        goals: Goals,
        reward: GoalReward | None = None,
        reach: float | None = None,
        picture: str | None = None,
    ) -> None:
        gymnasium.utils.RecordConstructorArgs.__init__(self, goals=goals, reward=reward, reach=reach, picture=picture)
        gymnasium.Wrapper.__init__(self, env)
        self.goals, self.reach, self.picture = goals, reach, picture
        achieved = picture_space(env.observation_space, picture)
        desired = goal_space(goals, achieved)
        self._reward = goal_reward(reward, goals)
        self.observation_space = spaces.Dict(
            {"observation": env.observation_space, "achieved_goal": achieved, "desired_goal": desired}
        )
        self._random = generator_of(None)
        self._goal: Any = None

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        given = dict(options or {})
        chosen = None if isinstance(self.goals, str) else given.pop("goal", None)  # its own words it chooses itself
        if seed is not None:
            self._random = generator_of(seed)
        if chosen is not None:
            checked_goal(chosen, self.observation_space["desired_goal"])  # type: ignore[index]  # a Dict
        observation, info = self.env.reset(seed=seed, options=given or None)
        self._goal = drawn_goal(self.goals, info, self._random) if chosen is None else chosen
        return self._seen(observation), info

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        observation, own, terminated, truncated, info = self.env.step(action)
        seen, info = self._seen(observation), {**info, "environment_reward": float(own)}
        reward = float(own)
        if self._reward is not None:
            reward = float(self.compute_reward(seen["achieved_goal"], seen["desired_goal"], info))
        reached = self.reach is not None and reward >= self.reach
        return seen, reward, bool(terminated or reached), truncated, info

    def compute_reward(self, achieved_goal: Any, desired_goal: Any, info: Any) -> Any:
        """What a picture is worth for a goal: a number, or ``[N]`` of N pictures and goals (relabelling)."""
        return judged(self._reward, achieved_goal, desired_goal, info)

    def compute_terminated(self, achieved_goal: Any, desired_goal: Any, info: Any) -> Any:
        """Whether the picture reaches the goal, in the shape of the reward; never without ``reach``."""
        reward = self.compute_reward(achieved_goal, desired_goal, info)
        return reward >= (float("inf") if self.reach is None else self.reach)

    def _seen(self, observation: Any) -> dict[str, Any]:
        """Copies, because whoever keeps an observation may write into it."""
        achieved = np.array(observation if self.picture is None else observation[self.picture])
        return {"observation": observation, "achieved_goal": achieved, "desired_goal": deepcopy(self._goal)}
