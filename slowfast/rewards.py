"""A reward of the user's own for what a world shows: one signature for environments and planners."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from slowfast.actions import Columns

RewardFunction = Callable[[np.ndarray, Columns, Mapping[str, Any]], Any]
"""``reward_fn(frames, actions, info)``: N sequences of n frames ``uint8 [N, n, H, W, 3]``, the actions that led into
them as columns ``[N, n, ...]``, and what an environment knows besides (N values a key; a planner knows nothing).
Returns rewards ``[N, n]``, or a pair of rewards and of ends ``bool [N, n]``, True where the episode is over."""


def judge(
    reward_fn: RewardFunction, frames: np.ndarray, actions: Columns, info: Mapping[str, Any] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Rewards ``float64 [N, n]`` and ends ``bool [N, n]``. Raises ValueError for any other answer."""
    answer = reward_fn(frames, actions, info or {})
    rewards, ends = answer if isinstance(answer, tuple) else (answer, np.zeros(frames.shape[:2], bool))
    rewards, ends = np.asarray(rewards, np.float64), np.asarray(ends)
    for name, array in (("rewards", rewards), ("ends", ends)):
        if array.shape != frames.shape[:2]:
            raise ValueError(f"reward_fn returns {name} {list(frames.shape[:2])} for its frames, got {array.shape}")
    if ends.dtype != bool:
        raise ValueError(f"reward_fn returns ends as bool, got {ends.dtype}")
    if np.isnan(rewards).any():
        raise ValueError("reward_fn returned NaN")
    return rewards, ends
