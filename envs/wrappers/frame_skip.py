"""One action for several steps, as agents act in worlds whose frames follow each other closely."""

from __future__ import annotations

from typing import Any, SupportsFloat

import gymnasium


class FrameSkip(gymnasium.Wrapper[Any, Any, Any, Any], gymnasium.utils.RecordConstructorArgs):
    """Takes each action ``k`` times and shows the last observation; rewards are summed.

    An episode that ends on the way ends there. ``info["steps"]`` says how many steps were taken. A dream
    (``slowfast/Dream-v0``) makes the k frames in as few denoisings as its world's chunk allows. Wrappers that change
    actions belong outside this one. Raises ValueError for k < 1.

    For a vector environment wrap its environments one by one, before it is made: those of a vector end at different
    times, and a vector steps all of them or none.
    """

    def __init__(self, env: gymnasium.Env[Any, Any], k: int) -> None:
        gymnasium.utils.RecordConstructorArgs.__init__(self, k=k)
        gymnasium.Wrapper.__init__(self, env)
        if k < 1:
            raise ValueError(f"k={k}: an action is taken at least once")
        self.k = k
        world = getattr(env.unwrapped, "world", None)
        self._prepare = getattr(env.unwrapped, "prepare", None)
        self._chunk = int(getattr(getattr(world, "config", None), "chunk", k))

    def step(self, action: Any) -> tuple[Any, SupportsFloat, bool, bool, dict[str, Any]]:
        total = 0.0
        for taken in range(self.k):
            if self._prepare is not None and taken % self._chunk == 0:
                self._prepare([action] * min(self._chunk, self.k - taken))
            observation, reward, terminated, truncated, info = self.env.step(action)
            total += float(reward)
            if terminated or truncated:
                break
        return observation, total, terminated, truncated, {**info, "steps": taken + 1}
