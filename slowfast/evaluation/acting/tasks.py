"""Which task an environment has for plans: come home in the rooms, do as told on the table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, cast

import gymnasium

from slowfast.evaluation.acting.task import Task
from slowfast.world_model import WorldModel

CANDIDATES = 20
"""Worlds that are looked at, at most, for each in which there is something to do."""


@contextmanager
def make_task(
    env_id: str, world: WorldModel, split: str, count: int, away: int, goal: Mapping[str, Any] | None = None
) -> Iterator[Task]:
    """The task of ``env_id``, made as ``world`` knows it, in ``count`` worlds of ``split``, ``away`` steps from done;
    ``goal``: settings of its objective. The environment is closed at the end.

    Raises ValueError for an environment without a task, or whose actions are not the world's.
    """
    of = _of_tables if _makes_tables(env_id) else _of_rooms
    with of(env_id, world, split, count, away, dict(goal or {})) as task:
        yield task


@contextmanager
def _of_rooms(
    env_id: str, world: WorldModel, split: str, count: int, away: int, goal: dict[str, Any]
) -> Iterator[Task]:
    from slowfast.envs.doom_rooms.env import DoomRoomsEnv
    from slowfast.envs.doom_rooms.splits import world_seeds
    from slowfast.evaluation.acting.coming_home import ComingHome, outings
    from slowfast.evaluation.tours import known_rooms

    env = known_rooms(world, split, env_id)
    try:
        real = cast(DoomRoomsEnv, env.unwrapped)
        yield ComingHome(real, outings(real, world_seeds(split, CANDIDATES * count), count, away), goal)
    finally:
        env.close()


@contextmanager
def _of_tables(
    env_id: str, world: WorldModel, split: str, count: int, away: int, goal: dict[str, Any]
) -> Iterator[Task]:
    from slowfast.envs.tabletop.env import TabletopEnv
    from slowfast.envs.tabletop.splits import world_seeds
    from slowfast.evaluation.acting.errands import Errands, errands

    known = (world.config.environment or {}).get("kwargs", {})
    env = gymnasium.make(env_id, **{**known, "size": world.config.frame_size})
    try:
        real = cast(TabletopEnv, env.unwrapped)
        if real.continuous or real.action_spec != world.action_spec:
            raise ValueError(f"{env_id}: errands are run with its seven moves, and the world takes {world.action_spec}")
        yield Errands(real, errands(real, world_seeds(split, CANDIDATES * count), count, away), goal)
    finally:
        env.close()


def _makes_tables(env_id: str) -> bool:
    entry = gymnasium.spec(env_id).entry_point
    return "TabletopEnv" in (entry if isinstance(entry, str) else getattr(entry, "__name__", ""))
