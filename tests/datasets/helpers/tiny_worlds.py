"""A small deterministic world for collection: two cameras of different sizes, a state, language, and a pose.

Workers import it by the id "tiny_worlds:TinyWorlds-v0", so it lives in a module of its own.
"""

from __future__ import annotations

import time
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from slowfast.actions import ActionSpec, Discrete, Language

SPEC = ActionSpec((Discrete("move", ("left", "right", "stay")), Language("text", describes="move")))


class TinyWorlds(gymnasium.Env):
    """A bright column that moves left and right over noise; ``episode_length`` ends it, ``delay`` slows it down."""

    metadata = {"render_modes": [], "render_fps": 12}  # noqa: RUF012 (as gymnasium.Env declares it)

    def __init__(self, episode_length: int = 1000, delay: float = 0.0) -> None:
        self.action_spec = SPEC
        self.action_space = SPEC.to_space()
        self.observation_space = spaces.Dict(
            front=spaces.Box(0, 255, (12, 20, 3), np.uint8),
            top=spaces.Box(0, 255, (8, 6, 3), np.uint8),
            speed=spaces.Box(-1, 1, (2,), np.float32),
        )
        self.episode_length, self.delay = episode_length, delay

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.background = self.np_random.integers(0, 200, (12, 20, 3), np.uint8)
        self.x, self.t = 10, 0
        return self._seen(0)

    def step(self, action: int) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        time.sleep(self.delay)
        move = (-1, 1, 0)[int(action)]
        self.x, self.t = (self.x + move) % 20, self.t + 1
        observation, info = self._seen(move)
        return observation, float(move), self.t >= self.episode_length, False, info

    def _seen(self, move: int) -> tuple[Any, dict[str, Any]]:
        front = self.background.copy()
        front[:, self.x] = 255
        top = np.full((8, 6, 3), self.t % 256, np.uint8)
        info = {"pose": np.array([self.x, self.t], np.float32), "room": self.x // 10, "instruction": "move the column"}
        return {"front": front, "top": top, "speed": np.array([move, 0], np.float32)}, info


class UniformPolicy:
    """Uniform choices from the episode's own generator."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng

    def reset(self, info: dict[str, Any]) -> None:
        pass

    def act(self, observation: Any, info: dict[str, Any]) -> int:
        return int(self.rng.integers(3))


def make_policy(name: str, env: gymnasium.Env, rng: np.random.Generator) -> UniformPolicy:
    if name != "uniform":
        raise ValueError(f"no policy {name!r}")
    return UniformPolicy(rng)


gymnasium.register("TinyWorlds-v0", "tiny_worlds:TinyWorlds")
