"""A Gymnasium vector environment as a Stable-Baselines3 ``VecEnv``; :func:`slowfast.envs.to_sb3` makes one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from stable_baselines3.common.vec_env import VecEnv


class GymnasiumVecEnv(VecEnv):
    """One batched step serves all environments. Attributes and methods belong to all of them together.

    Episode statistics: wrap it in Stable-Baselines3's ``VecMonitor``. ``seed(s)`` gives environment i the seed
    ``s + i`` at the next reset, ``set_options`` the options of the vector environment.
    """

    def __init__(self, venv: VectorEnv[Any, Any, Any]) -> None:
        mode = venv.metadata.get("autoreset_mode")
        if mode is None or AutoresetMode(mode) is not AutoresetMode.SAME_STEP:
            raise ValueError(
                f"Stable-Baselines3 expects an environment to be reset in the step that ends it, this one has "
                f"autoreset_mode {mode}: make it with autoreset_mode='SameStep'"
            )
        self.venv = venv
        super().__init__(venv.num_envs, venv.single_observation_space, venv.single_action_space)
        self.render_mode = venv.render_mode
        self._actions: Any = None

    def reset(self) -> np.ndarray:
        seeds = list(self._seeds)
        options = next((own for own in self._options if own), None)
        given: Any = seeds if any(own is not None for own in seeds) else None
        observations, infos = self.venv.reset(seed=given, options=options)
        self.reset_infos = self._one_each(infos)
        self._reset_seeds()
        self._reset_options()
        return observations

    def step_async(self, actions: np.ndarray) -> None:
        self._actions = actions

    def step_wait(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[dict[str, Any]]]:
        observations, rewards, terminations, truncations, infos = self.venv.step(self._actions)
        dones = np.logical_or(terminations, truncations)
        last, told = infos.pop("final_obs", None), infos.pop("final_info", None)
        each = self._one_each(infos)
        for number in np.flatnonzero(dones):
            self.reset_infos[number] = each[number]
            ended = self._one_each(told)[number] if told is not None else {}
            each[number] = {
                **ended,
                "terminal_observation": last[number],
                "TimeLimit.truncated": bool(truncations[number] and not terminations[number]),
            }
        return observations, np.asarray(rewards, np.float32), dones, each

    def close(self) -> None:
        self.venv.close()

    def get_images(self) -> Sequence[np.ndarray | None]:
        frames: Any = self.venv.render()
        return [None] * self.num_envs if frames is None else list(frames)

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        value = getattr(self.venv, attr_name)
        return [value for _ in self._chosen(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        """Raises ValueError for some of the environments: they are one object."""
        if len(list(self._chosen(indices))) != self.num_envs:
            raise ValueError(f"{attr_name!r} belongs to all environments together: set it without indices")
        setattr(self.venv, attr_name, value)

    def env_method(self, method_name: str, *method_args: Any, indices: Any = None, **method_kwargs: Any) -> list[Any]:
        """Calls the vector environment's method once; each of the chosen environments gets the one answer."""
        answer = getattr(self.venv, method_name)(*method_args, **method_kwargs)
        return [answer for _ in self._chosen(indices)]

    def env_is_wrapped(self, wrapper_class: Any, indices: Any = None) -> list[bool]:
        return [False for _ in self._chosen(indices)]

    def _chosen(self, indices: Any) -> Iterable[int]:
        return self._get_indices(indices)

    def _one_each(self, infos: dict[str, Any]) -> list[dict[str, Any]]:
        """Gymnasium's dictionary of arrays, of which ``_name`` says where ``name`` holds, as a dictionary each."""
        each: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        for name, values in infos.items():
            if name.startswith("_"):
                continue
            present = infos.get(f"_{name}", np.ones(self.num_envs, bool))
            for number in np.flatnonzero(present):
                each[number][name] = values[number]
        return each
