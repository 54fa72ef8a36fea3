"""Several actions a step: a dream makes their frames in one denoising."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, SupportsFloat

import gymnasium
import numpy as np
from gymnasium import spaces


class ChunkedActions(gymnasium.Wrapper[Any, Any, Any, Any], gymnasium.utils.RecordConstructorArgs):
    """Takes ``n`` actions a step; the last frame is the observation, all are in ``info["frames"]`` ``[n, ...]``.

    Rewards are summed. An episode that ends within a chunk ends it there, with fewer frames. A dream
    (``slowfast/Dream-v0``) makes the n frames in one denoising, so n is at most its world's chunk; any other
    environment is stepped n times. Wrappers that change actions belong outside this one.

    The action space is n-fold: ``MultiDiscrete [n]`` for ``Discrete``, ``Box [n, d]`` for ``Box``, else a ``Tuple``.
    A list of n actions in any form that the environment takes is accepted as well.
    """

    def __init__(self, env: gymnasium.Env[Any, Any], n: int) -> None:
        gymnasium.utils.RecordConstructorArgs.__init__(self, n=n)
        gymnasium.Wrapper.__init__(self, env)
        world = getattr(env.unwrapped, "world", None)
        chunk = getattr(getattr(world, "config", None), "chunk", n)
        if not 1 <= n <= chunk:
            raise ValueError(f"n={n}: a step takes 1 to {chunk} actions, as many as the world makes frames at once")
        self.n = n
        self.action_space = repeated_space(env.action_space, n)

    def step(self, action: Sequence[Any] | np.ndarray) -> tuple[Any, SupportsFloat, bool, bool, dict[str, Any]]:
        actions = list(action)
        if len(actions) != self.n:
            raise ValueError(f"a step takes {self.n} actions, got {len(actions)}")
        prepare = getattr(self.env.unwrapped, "prepare", None)
        if prepare is not None:
            prepare(actions)
        frames, total = [], 0.0
        for single in actions:
            observation, reward, terminated, truncated, info = self.env.step(single)
            frames.append(observation)
            total += float(reward)
            if terminated or truncated:
                break
        return observation, total, terminated, truncated, {**info, "frames": np.stack(frames)}


def repeated_space(space: spaces.Space[Any], n: int) -> spaces.Space[Any]:
    """The space of ``n`` actions."""
    if isinstance(space, spaces.Discrete):
        return spaces.MultiDiscrete([space.n] * n, start=[space.start] * n)
    if isinstance(space, spaces.Box):
        low, high = (np.repeat(bound[None], n, 0) for bound in (space.low, space.high))
        return spaces.Box(low, high, dtype=space.dtype.type)
    return spaces.Tuple([space] * n)
