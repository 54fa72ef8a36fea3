"""The Gymnasium ids of the package. Entry points are strings, so that registering an environment imports none."""

from __future__ import annotations

import gymnasium

ENVIRONMENTS = {
    "slowfast/DoomRooms-v0": {"entry_point": "slowfast.envs.doom_rooms.env:DoomRoomsEnv"},
    "slowfast/Dream-v0": {
        "entry_point": "slowfast.envs.dream:DreamEnv",
        "vector_entry_point": "slowfast.envs.dream_vector:DreamVectorEnv",
    },
}


def register() -> None:
    """Make every id of the package known to ``gymnasium.make``; ids already known are left alone."""
    for identifier, entry_points in ENVIRONMENTS.items():
        if identifier not in gymnasium.registry:
            gymnasium.register(identifier, max_episode_steps=500, **entry_points)
