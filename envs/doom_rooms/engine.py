"""ViZDoom as a camera: it shows a world from a pose, and does nothing else.

Movement is ours (see ``env.py``): the engine's own has momentum, which would leak one action's motion into the next.
A picture is a function of the world and the pose alone: nothing in a world is animated, and the engine's cheat
``warp`` takes whole map units and turning takes whole binary angles, both exactly. For one tic after a warp the eye
is at the player's feet; the picture is taken in the next.
"""

from __future__ import annotations

import os
import shlex
import sys
import tempfile
import weakref
from pathlib import Path
from typing import Any

import numpy as np

from slowfast.envs.doom_rooms.textures import package_folder
from slowfast.envs.doom_rooms.wad import map_wad

RESOLUTIONS = ((160, 120), (200, 150), (256, 192), (320, 240), (400, 300), (512, 384), (640, 480), (800, 600))
SETTLING_TICS = 14
"""The player cannot turn during an episode's first tics."""

LAUNCHER = """#!/bin/sh
cd "$(dirname "$0")" || exit 1
exec {python} -I -S -c '
import ctypes, os, sys
ctypes.CDLL(None).prctl(1, 9)
os.execv(sys.argv[1], sys.argv[1:])
' {engine} "$@"
"""
"""Starts the engine in the launcher's own folder, where it leaves an empty one behind whatever its options say, and
has the kernel kill it with its parent (PR_SET_PDEATHSIG), for otherwise it outlives a killed Python for ever. Not used
where temporary files cannot be executed."""


def native_resolution(width: int, height: int) -> tuple[int, int]:
    """The smallest of the engine's 4:3 resolutions with at least a pixel for each of a picture's, each way (the
    largest one if none has)."""
    fitting = [native for native in RESOLUTIONS if native[0] >= width and native[1] >= height]
    return fitting[0] if fitting else RESOLUTIONS[-1]


class Camera:
    """One engine process. ``load`` shows it a map, ``look`` takes a picture. ``close`` ends it, and so does losing it.

    ``resolution`` is (width, height), one of :data:`RESOLUTIONS`. Raises ``ImportError`` without vizdoom.
    """

    def __init__(self, resolution: tuple[int, int]):
        package_folder()
        self.resolution = resolution
        self._game: Any = None
        self._file: Any = None
        self._pose: tuple[int, int, int] | None = None
        self._finalizer: weakref.finalize | None = None

    def load(self, text: str) -> None:
        """Make the UDMF map ``text`` the world: some milliseconds, 0.2 s the first time."""
        content = map_wad(text)
        if self._game is None:
            self._start(content)
        else:
            self._file.seek(0)
            self._file.write(content)
            self._game.new_episode()
        self._pose = None

    def look(self, x: int, y: int, angle: int) -> np.ndarray:
        """The picture from (x, y) in direction ``angle`` (binary, 0..65535), ``uint8 [height, width, 3]``."""
        before = self._pose
        turn = (angle - (before[2] if before else 0) + 32768) % 65536 - 32768
        self._game.set_action([-turn * 360 / 65536])
        if before is None or before[:2] != (x, y):
            self._game.send_game_command(f"warp {x} {y}")
            self._game.advance_action(1, False)
            self._game.set_action([0.0])
        self._game.advance_action(1, True)
        self._pose = (x, y, angle)
        return self._game.get_state().screen_buffer

    def pose(self) -> tuple[float, float, float]:
        """What the engine believes: x, y and angle in degrees."""
        from vizdoom import GameVariable

        names = (GameVariable.POSITION_X, GameVariable.POSITION_Y, GameVariable.ANGLE)
        x, y, degrees = (self._game.get_game_variable(name) for name in names)
        return x, y, degrees

    def close(self) -> None:
        """End the engine. May be called twice; ``load`` starts a new one."""
        if self._finalizer is not None:
            self._finalizer()
        self._game = self._file = self._finalizer = None

    def _start(self, content: bytes) -> None:
        """Start the engine in a temporary folder that is gone before this returns: the open file lives on."""
        with tempfile.TemporaryDirectory(prefix="doom-rooms-") as folder:
            path = Path(folder) / "world.wad"
            path.write_bytes(content)
            file = path.open("r+b", buffering=0)
            game = _configured_game(self.resolution, path)
            launcher = Path(folder) / "launch"
            launcher.write_text(LAUNCHER.format(python=shlex.quote(sys.executable), engine=_engine()))
            launcher.chmod(0o700)
            if os.access(launcher, os.X_OK):
                game.set_vizdoom_path(str(launcher))
            self._finalizer = weakref.finalize(self, _shut_down, game, file)
            game.init()
        self._game, self._file = game, file


def _configured_game(resolution: tuple[int, int], world: Path) -> Any:
    import vizdoom

    game = vizdoom.DoomGame()
    game.set_doom_config_path(os.devnull)
    game.set_doom_game_path(str(package_folder() / "freedoom2.wad"))
    game.set_doom_scenario_path(str(world))
    game.set_doom_map("MAP01")
    game.set_mode(vizdoom.Mode.PLAYER)
    game.set_seed(0)
    game.set_episode_timeout(0)
    game.set_episode_start_time(SETTLING_TICS)
    game.add_game_args("+sv_cheats 1")
    game.set_screen_resolution(getattr(vizdoom.ScreenResolution, "RES_{}X{}".format(*resolution)))
    game.set_screen_format(vizdoom.ScreenFormat.RGB24)
    game.set_available_buttons([vizdoom.Button.TURN_LEFT_RIGHT_DELTA])
    for switch in ("window_visible", "console_enabled", "sound_enabled"):
        getattr(game, f"set_{switch}")(False)
    for part in ("hud", "weapon", "crosshair", "decals", "particles", "effects_sprites", "messages", "screen_flashes"):
        getattr(game, f"set_render_{part}")(False)
    return game


def _engine() -> str:
    return shlex.quote(str(package_folder() / "vizdoom"))


def _shut_down(game: Any, file: Any) -> None:
    game.close()
    file.close()
