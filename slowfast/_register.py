"""The Gymnasium ids of the package. Entry points are strings, so that registering an environment imports none."""

from __future__ import annotations

import gymnasium

ENVIRONMENTS: dict[str, tuple[str, str | None]] = {
    "slowfast/DoomRooms-v0": ("slowfast.envs.doom_rooms.env:DoomRoomsEnv", None),
    "slowfast/Dream-v0": ("slowfast.envs.dream:DreamEnv", "slowfast.envs.dream_vector:DreamVectorEnv"),
    "slowfast/Tabletop-v0": ("slowfast.envs.tabletop.env:TabletopEnv", None),
}
"""By id: the environment, and its true vector environment if there is one."""


def register() -> None:
    """Make every id of the package known to ``gymnasium.make``; ids already known are left alone."""
    for identifier, (single, vector) in ENVIRONMENTS.items():
        if identifier not in gymnasium.registry:
            gymnasium.register(identifier, single, max_episode_steps=500, vector_entry_point=vector)
