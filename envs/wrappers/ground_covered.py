"""A reward for covering ground, from where an environment says that it is.

A policy that never looks earns little by it: a step into a wall goes nowhere, and a step back takes back what the step
forward paid.
"""

from __future__ import annotations

from typing import Any, SupportsFloat

import gymnasium
import numpy as np
import torch

from slowfast.heads.poses import motions


class GroundCovered(gymnasium.Wrapper[Any, Any, Any, Any], gymnasium.utils.RecordConstructorArgs):
    """Pays how far a step led forward, in steps: 1 for a whole one, 0 where a wall was in the way, -1 for one back.

    Forward is where the camera looked before the step. So going to and fro is worth nothing, and walking sideways,
    which cannot be seen, is not either. The environment's own reward is lost, its ends stay.

    ``step``: the length of a whole step in the unit of ``info["pose"]`` (x, y, heading in degrees, counter-clockwise);
    by default that of ``slowfast/DoomRooms-v0``. Raises ValueError when there is none or it is not above 0, KeyError
    when the environment does not say its pose.
    """

    def __init__(self, env: gymnasium.Env[Any, Any], step: float | None = None) -> None:
        gymnasium.utils.RecordConstructorArgs.__init__(self, step=step)
        gymnasium.Wrapper.__init__(self, env)
        length = getattr(getattr(env.unwrapped, "motion", None), "step_units", None) if step is None else step
        if length is None or not length > 0:
            raise ValueError(f"step={step!r}: give the length of a whole step, above 0, in the unit of info['pose']")
        self.length = float(length)
        self._pose = np.zeros(3, np.float32)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        observation, info = self.env.reset(seed=seed, options=options)
        self._pose = _pose(info)
        return observation, info

    def step(self, action: Any) -> tuple[Any, SupportsFloat, bool, bool, dict[str, Any]]:
        observation, _, terminated, truncated, info = self.env.step(action)
        before, self._pose = self._pose, _pose(info)
        forward = float(motions(torch.from_numpy(np.stack([before, self._pose])))[0, 0])
        return observation, forward / self.length, terminated, truncated, info


def _pose(info: dict[str, Any]) -> np.ndarray:
    if "pose" not in info:
        raise KeyError(f"info['pose'] is missing: GroundCovered needs x, y and heading, got {sorted(info)}")
    return np.array(info["pose"], np.float32)
