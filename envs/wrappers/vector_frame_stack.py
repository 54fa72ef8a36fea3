"""The last n observations of every environment of a vector, which Gymnasium has for single environments alone."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space


class VectorFrameStack(gymnasium.vector.VectorWrapper, gymnasium.utils.RecordConstructorArgs):
    """Observations ``[E, n, ...]`` of ``Box`` observations ``[E, ...]``, the newest last.

    After a reset, in any autoreset mode, an environment's first observation fills its whole stack. ``final_obs`` of
    same-step autoresets is stacked as well. Raises ValueError for n < 1, for observations that are not a ``Box``, and
    for a vector environment that does not say in its metadata how it resets.
    """

    def __init__(self, env: VectorEnv[Any, Any, Any], n: int) -> None:
        gymnasium.utils.RecordConstructorArgs.__init__(self, n=n)
        gymnasium.vector.VectorWrapper.__init__(self, env)
        single = env.single_observation_space
        if n < 1:
            raise ValueError(f"n={n}: a stack holds at least one observation")
        if not isinstance(single, spaces.Box):
            raise ValueError(f"a stack takes Box observations, these are {type(single).__name__}")
        if "autoreset_mode" not in env.metadata:
            raise ValueError("metadata of this vector environment has no 'autoreset_mode': when it resets is not known")
        self.mode = AutoresetMode(env.metadata["autoreset_mode"])
        low, high = (np.repeat(bound[None], n, 0) for bound in (single.low, single.high))
        self.single_observation_space = spaces.Box(low, high, dtype=single.dtype.type)
        self.observation_space = batch_space(self.single_observation_space, env.num_envs)
        self.n = n
        self._stack: np.ndarray = np.zeros((env.num_envs, n, *single.shape), single.dtype)
        self._ended = np.zeros(env.num_envs, bool)

    def reset(self, *, seed: Any = None, options: dict[str, Any] | None = None) -> tuple[np.ndarray, dict[str, Any]]:
        mask = (options or {}).get("reset_mask")
        observations, infos = self.env.reset(seed=seed, options=options)
        anew = np.ones(self.num_envs, bool) if mask is None else np.asarray(mask, bool)
        self._fill(anew, observations)
        self._ended[anew] = False
        return self._stack.copy(), infos

    def step(self, actions: Any) -> tuple[np.ndarray, Any, Any, Any, dict[str, Any]]:
        observations, rewards, terminations, truncations, infos = self.env.step(actions)
        ended = np.logical_or(terminations, truncations)
        anew = {AutoresetMode.NEXT_STEP: self._ended, AutoresetMode.SAME_STEP: ended}.get(self.mode)
        if "final_obs" in infos:
            infos = {**infos, "final_obs": self._final(infos["final_obs"], ended)}
        self._stack = np.concatenate([self._stack[:, 1:], np.asarray(observations)[:, None]], 1)
        if anew is not None:
            self._fill(anew, observations)
        self._ended = ended
        return self._stack.copy(), rewards, terminations, truncations, infos

    def _fill(self, chosen: np.ndarray, observations: np.ndarray) -> None:
        self._stack[chosen] = np.asarray(observations)[chosen, None]

    def _final(self, last: np.ndarray, ended: np.ndarray) -> np.ndarray:
        """``final_obs`` (an object array, None where nothing ended) with what came before it."""
        stacked = np.full(self.num_envs, None, object)
        for number in np.flatnonzero(ended):
            if last[number] is not None:
                stacked[number] = np.concatenate([self._stack[number, 1:], np.asarray(last[number])[None]])
        return stacked
