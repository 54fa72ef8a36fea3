"""Policies that collect episodes, by name.

A policy is anything with ``reset(info)``, called after the environment's reset, and ``act(observation, info)``, which
returns the next action. A new one is one class and one line in :data:`POLICIES`.
"""

from __future__ import annotations

import copy
import importlib
from typing import Any, Protocol

import numpy as np


class Policy(Protocol):
    """What collection needs of a policy."""

    def reset(self, info: dict[str, Any]) -> None:
        """A new episode has begun; ``info`` is what the environment's reset returned."""

    def act(self, observation: Any, info: dict[str, Any]) -> Any:
        """The next action, an element of the environment's action space."""


class RandomPolicy:
    """Uniform draws from any environment's action space, decided by ``rng`` alone."""

    def __init__(self, env: Any, rng: np.random.Generator):
        self.space = copy.deepcopy(env.action_space)
        self.space.seed(int(rng.integers(2**31)))

    def reset(self, info: dict[str, Any]) -> None:
        pass

    def act(self, observation: Any, info: dict[str, Any]) -> Any:
        return self.space.sample()


POLICIES = {
    "distracted": "slowfast.envs.tabletop.policies:DistractedPolicy",
    "explore": "slowfast.envs.doom_rooms.policies:ExploringPolicy",
    "instructed": "slowfast.envs.tabletop.policies:InstructedPolicy",
    "mixed": "slowfast.envs.doom_rooms.restless:MixedPolicy",
    "random": "slowfast.envs.policies:RandomPolicy",
    "restless": "slowfast.envs.doom_rooms.restless:RestlessPolicy",
    "stubborn": "slowfast.envs.doom_rooms.restless:StubbornPolicy",
}


def make_policy(name: str, env: Any, rng: np.random.Generator) -> Policy:
    """The policy ``name`` for ``env``: a name in :data:`POLICIES` or the ``"module:Class"`` of one of your own, which
    is called with (env, rng). Raises ``ValueError`` on an unknown name."""
    target = POLICIES.get(name, name)
    module, separator, attribute = target.partition(":")
    if not separator:
        raise ValueError(f"there is no policy {name!r}; there are {sorted(POLICIES)}, or give 'module:Class'")
    return getattr(importlib.import_module(module), attribute)(env, rng)
