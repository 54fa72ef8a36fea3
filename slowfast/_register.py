"""The Gymnasium ids of the package. Entry points are strings, so that registering an environment imports none."""

from __future__ import annotations

import gymnasium

ENVIRONMENTS = {
    "slowfast/DoomRooms-v0": "slowfast.envs.doom_rooms.env:DoomRoomsEnv",
    "slowfast/Dream-v0": "slowfast.envs.dream:DreamEnv",
}


def register() -> None:
    """Make every id of the package known to ``gymnasium.make``; ids already known are left alone."""
    for identifier, entry_point in ENVIRONMENTS.items():
        if identifier not in gymnasium.registry:
            gymnasium.register(identifier, entry_point=entry_point, max_episode_steps=500)
