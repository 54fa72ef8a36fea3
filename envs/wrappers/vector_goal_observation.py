"""Observations with a goal beside them, for every environment of a vector."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space, concatenate, create_empty_array

from slowfast.envs.wrappers.goals import (
    INSTRUCTION,
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


class VectorGoalObservation(gymnasium.vector.VectorWrapper, gymnasium.utils.RecordConstructorArgs):
    """As :class:`~slowfast.envs.wrappers.GoalObservation`, with all rewards of a step computed at once; goals in words
    are a tuple of E texts.

    Each environment draws goals from a generator of its own, as it would alone: an integer seed gives environment i the
    seed ``seed + i``. A new episode gets a new goal, in any autoreset mode; ``final_obs`` of same-step autoresets keeps
    the old one. ``reset(options={"goal": ...})`` takes E goals. There is no ``reach``: a vector resets its environments
    by their own ends, and knows nothing of a goal's.

    Raises ValueError as the single one does, and for a vector environment that does not say in its metadata how it
    resets.
    """

    def __init__(
        self,
        env: VectorEnv[Any, Any, Any],
        goals: Goals,
        reward: GoalReward | None = None,
        picture: str | None = None,
    ) -> None:
        gymnasium.utils.RecordConstructorArgs.__init__(self, goals=goals, reward=reward, picture=picture)
        gymnasium.vector.VectorWrapper.__init__(self, env)
        if "autoreset_mode" not in env.metadata:
            raise ValueError("metadata of this vector environment has no 'autoreset_mode': when it resets is not known")
        self.mode = AutoresetMode(env.metadata["autoreset_mode"])
        self.goals, self.picture = goals, picture
        achieved = picture_space(env.single_observation_space, picture)
        self._desired = goal_space(goals, achieved)
        self._reward = goal_reward(reward, goals)
        self.single_observation_space = spaces.Dict(
            {
                "observation": env.single_observation_space,
                "achieved_goal": achieved,
                "desired_goal": self._desired,
            }
        )
        self.observation_space = batch_space(self.single_observation_space, env.num_envs)
        self._random = [generator_of(None) for _ in range(env.num_envs)]
        self._goals: list[Any] = list(self._room())  # until they begin
        self._ended = np.zeros(env.num_envs, bool)

    def reset(
        self,
        *,
        seed: Any = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        given = dict(options or {})
        chosen = None if isinstance(self.goals, str) else given.pop("goal", None)  # their own words they choose
        if chosen is not None:
            if len(chosen) != self.num_envs:
                raise ValueError(f"reset option 'goal' takes {self.num_envs} goals, one each, got {len(chosen)}")
            chosen = [checked_goal(goal, self._desired) for goal in chosen]
        seeds = [seed + i for i in range(self.num_envs)] if isinstance(seed, int) else list(seed or ())
        mask = given.get("reset_mask")
        anew = np.ones(self.num_envs, bool) if mask is None else np.asarray(mask, bool)
        observations, infos = self.env.reset(seed=seed, options=given or None)
        for number, own in enumerate(seeds):
            if own is not None and anew[number]:
                self._random[number] = generator_of(own)
        self._renew(anew, infos, chosen)
        self._ended[anew] = False
        return self._seen(observations), infos

    def step(self, actions: Any) -> tuple[dict[str, Any], np.ndarray, Any, Any, dict[str, Any]]:
        observations, own, terminated, truncated, infos = self.env.step(actions)
        ended = np.logical_or(terminated, truncated)
        begun = self._ended if self.mode is AutoresetMode.NEXT_STEP else np.zeros(self.num_envs, bool)
        achieved = np.array(self._picture(observations))
        if "final_obs" in infos:
            last = np.full(self.num_envs, None, object)
            for number in np.flatnonzero(ended):
                final = infos["final_obs"][number]
                achieved[number] = self._picture(final)
                last[number] = self._one(final, int(number))
            infos = {**infos, "final_obs": last}
        rewards = np.array(own, np.float64)
        if self._reward is not None:
            rewards = np.array(self.compute_reward(achieved, self._batched(), infos), np.float64)
            rewards[begun] = 0.0  # a step that only resets is worth nothing
        self._renew(ended if self.mode is AutoresetMode.SAME_STEP else begun, infos, None)
        self._ended = ended
        told = {"environment_reward": np.asarray(own, np.float64), "_environment_reward": ~begun}
        return self._seen(observations), rewards, terminated, truncated, {**infos, **told}

    def compute_reward(self, achieved_goal: Any, desired_goal: Any, info: Any) -> Any:
        """What pictures ``[N, H, W, 3]`` are worth for N goals, ``[N]``; or one for one."""
        return judged(self._reward, achieved_goal, desired_goal, info)

    def _renew(self, anew: np.ndarray, infos: Mapping[str, Any], chosen: Sequence[Any] | None) -> None:
        """Goals for the environments that begin."""
        for number in np.flatnonzero(anew).tolist():
            said = {INSTRUCTION: infos[INSTRUCTION][number]} if INSTRUCTION in infos else {}
            if chosen is None:
                self._goals[number] = drawn_goal(self.goals, said, self._random[number])
            else:
                self._goals[number] = chosen[number]

    def _picture(self, observations: Any) -> Any:
        return observations if self.picture is None else observations[self.picture]

    def _one(self, observation: Any, number: int) -> dict[str, Any]:
        achieved = np.array(self._picture(observation))
        return {"observation": observation, "achieved_goal": achieved, "desired_goal": deepcopy(self._goals[number])}

    def _batched(self) -> Any:
        """The goals of all environments, as their batched space says."""
        return concatenate(self._desired, self._goals, self._room())

    def _room(self) -> Any:
        """For one goal an environment."""
        return create_empty_array(self._desired, self.num_envs)

    def _seen(self, observations: Any) -> dict[str, Any]:
        return {
            "observation": observations,
            "achieved_goal": np.array(self._picture(observations)),
            "desired_goal": self._batched(),
        }
