"""A Gymnasium vector environment as a TorchRL environment; :func:`slowfast.envs.to_torchrl` makes one."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from tensordict import TensorDict, TensorDictBase
from torchrl.data import Binary, Bounded, Categorical, Composite, TensorSpec, Unbounded
from torchrl.envs import EnvBase

ENDS = ("done", "terminated", "truncated")


class TorchRLEnv(EnvBase):
    """One batched step serves all E environments: the batch size is ``[E]``.

    Keys: ``observation [E, ...]``, ``action [E, ...]`` (discrete actions as numbers, several components under
    ``("action", NAME)``), ``reward``, ``done``, ``terminated``, ``truncated`` ``[E, 1]``. TorchRL itself says which
    environments begin anew (``_reset``). ``set_seed(s)`` gives environment i the seed ``s + i`` at the next reset of
    all.
    """

    def __init__(self, venv: VectorEnv[Any, Any, Any]) -> None:
        mode = venv.metadata.get("autoreset_mode")
        if mode is None or AutoresetMode(mode) is not AutoresetMode.DISABLED:
            raise ValueError(
                f"TorchRL resets environments itself, this one has autoreset_mode {mode}: make it with "
                f"autoreset_mode='Disabled'"
            )
        size = torch.Size([venv.num_envs])
        super().__init__(device=torch.device("cpu"), batch_size=size)
        self.venv = venv
        self._first_seed: int | None = None
        self.observation_spec = Composite(observation=_spec(venv.single_observation_space, size), shape=size)
        self.action_spec = _spec(venv.single_action_space, size)
        self.reward_spec = Unbounded(shape=(*size, 1), dtype=torch.float32)
        ends = {name: Categorical(2, shape=(*size, 1), dtype=torch.bool) for name in ENDS}
        self.done_spec = Composite(ends, shape=size)

    def _reset(self, tensordict: TensorDictBase | None = None, **options: Any) -> TensorDictBase:
        mask = None if tensordict is None else tensordict.get("_reset", None)
        if mask is None or bool(mask.all()):
            observations, _ = self.venv.reset(seed=self._first_seed, options=options or None)
            self._first_seed = None
        else:
            observations, _ = self.venv.reset(options={**options, "reset_mask": mask.reshape(-1).numpy()})
        ends = {name: torch.zeros(*self.batch_size, 1, dtype=torch.bool) for name in ENDS}
        return TensorDict({"observation": torch.as_tensor(observations), **ends}, self.batch_size)

    def _step(self, tensordict: TensorDictBase) -> TensorDictBase:
        action = tensordict.get("action")
        several = isinstance(action, TensorDictBase)
        given = {name: part.numpy() for name, part in action.items()} if several else action.numpy()
        observations, rewards, terminated, truncated, _ = self.venv.step(given)
        return TensorDict(
            {
                "observation": torch.as_tensor(observations),
                "reward": _column(np.asarray(rewards, np.float32)),
                "terminated": _column(terminated),
                "truncated": _column(truncated),
                "done": _column(np.logical_or(terminated, truncated)),
            },
            self.batch_size,
        )

    def _set_seed(self, seed: int | None) -> None:
        self._first_seed = seed

    def close(self, *, raise_if_closed: bool = True) -> None:
        self.venv.close()
        super().close(raise_if_closed=raise_if_closed)


def _column(values: np.ndarray) -> torch.Tensor:
    return torch.as_tensor(values)[:, None]


def _spec(space: spaces.Space[Any], batch: torch.Size) -> TensorSpec:
    """TorchRL's spec of a batch of values of ``space``. Raises ValueError for a space that no tensor holds."""
    if isinstance(space, spaces.Discrete):
        return Categorical(int(space.n), shape=batch, dtype=torch.int64)
    if isinstance(space, spaces.MultiBinary):
        return Binary(shape=torch.Size([*batch, *space.shape]), dtype=torch.int8)
    if isinstance(space, spaces.Box):
        shape, dtype = torch.Size([*batch, *space.shape]), torch.as_tensor(space.low).dtype
        if not np.isfinite(space.low).all() or not np.isfinite(space.high).all():
            return Unbounded(shape=shape, dtype=dtype)
        low, high = (torch.as_tensor(np.array(bound)).expand(shape) for bound in (space.low, space.high))
        return Bounded(low, high, shape=shape, dtype=dtype)
    if isinstance(space, spaces.Dict):
        return Composite({name: _spec(part, batch) for name, part in space.spaces.items()}, shape=batch)
    raise ValueError(f"TorchRL has no tensor for the space {space}; Discrete, Box, MultiBinary and a Dict of these fit")
