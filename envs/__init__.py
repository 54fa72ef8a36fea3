"""Gymnasium environments: real worlds, dream worlds and wrappers."""

from __future__ import annotations

from typing import Any

__all__ = ["to_sb3", "to_torchrl"]


def to_sb3(venv: Any) -> Any:
    """A Gymnasium ``VectorEnv`` for Stable-Baselines3 (extra ``rl``), which knows only vectors of its own kind.

    ``venv`` has to reset in the same step, as Stable-Baselines3 expects it: make it with
    ``autoreset_mode="SameStep"``. Raises ValueError when it does not, ImportError that names the extra.
    """
    try:
        from slowfast.envs.sb3 import GymnasiumVecEnv
    except ImportError as error:
        raise ImportError("to_sb3 needs Stable-Baselines3: pip install 'slowfast[rl]'") from error
    return GymnasiumVecEnv(venv)


def to_torchrl(venv: Any) -> Any:
    """A Gymnasium ``VectorEnv`` as a TorchRL environment (extra ``rl``) of batch size ``[num_envs]``.

    TorchRL resets environments itself: make ``venv`` with ``autoreset_mode="Disabled"``. Raises ValueError when it is
    not, or when a space is none that tensors hold; ImportError that names the extra.
    """
    try:
        from slowfast.envs.torch_rl import TorchRLEnv
    except ImportError as error:
        raise ImportError("to_torchrl needs TorchRL: pip install 'slowfast[rl]'") from error
    return TorchRLEnv(venv)
