"""The task of covering ground, in real rooms and in a dream: the same frames, moves, time limit and reward.

A policy chooses between a step forward and a turn to the left. They are enough to get anywhere, and who may turn to
both sides takes back at one step what it began at the last, until it has learned to see which side is better.
"""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorEnv
from gymnasium.wrappers import TimeLimit
from gymnasium.wrappers.vector import TransformAction

from slowfast.envs.doom_rooms.env import action_spec
from slowfast.envs.doom_rooms.motion import FORWARD, TURN_LEFT
from slowfast.envs.dream_rewards import paying_for_ground
from slowfast.envs.dream_vector import DreamVectorEnv
from slowfast.envs.wrappers import VectorFrameStack
from slowfast.envs.wrappers.ground_covered import GroundCovered
from slowfast.evaluation.tours import known_rooms
from slowfast.world_model import WorldModel

STACK = 2
"""Frames that are seen at once: the present one and the last."""
WALK = (FORWARD, TURN_LEFT)
"""The moves that a policy's actions 0 and 1 stand for."""


def real_ground(world: WorldModel, split: str, count: int, episode: int) -> VectorEnv[Any, Any, Any]:
    """``count`` real DoomRooms with the pictures of ``world``, in worlds of ``split``, for ``episode`` steps.

    Observations ``uint8 [E, 2, H, W, 3]``, actions ``int64 [E]``, see :data:`WALK`; an end resets in the same step;
    ``reset(seed=[...])`` names the worlds. Raises ValueError when the world does not take DoomRooms' moves.
    """

    def make() -> gymnasium.Env[Any, Any]:
        return TimeLimit(GroundCovered(known_rooms(world, split)), episode)

    return _task(SyncVectorEnv([make] * count, autoreset_mode=AutoresetMode.SAME_STEP))


def dreamed_ground(world: WorldModel, count: int, episode: int, memory: str = "off") -> VectorEnv[Any, Any, Any]:
    """``count`` dreams of ``world`` that begin with its starts, paid by its odometry; otherwise as :func:`real_ground`.

    Raises ValueError for a world without an odometry, or with other moves.
    """
    if world.action_spec != action_spec():
        raise ValueError(f"this task needs DoomRooms' moves, {world.config.name!r} takes {world.action_spec}")
    dreams = DreamVectorEnv(
        count,
        paying_for_ground(world),
        memory=memory,
        reward="head",
        max_episode_steps=episode,
        autoreset_mode=AutoresetMode.SAME_STEP,
    )
    return _task(dreams)


def _task(envs: VectorEnv[Any, Any, Any]) -> VectorEnv[Any, Any, Any]:
    """Stacked frames, and the moves of :data:`WALK` alone."""
    moves, space = np.array(WALK), spaces.Discrete(len(WALK))
    return TransformAction(VectorFrameStack(envs, STACK), lambda chosen: moves[chosen], None, space)
