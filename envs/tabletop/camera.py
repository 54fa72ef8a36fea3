"""Pictures of a MuJoCo scene without a window.

MuJoCo's own choice of OpenGL on Linux needs a display unless an environment variable says otherwise; nothing here needs
one, so EGL is tried first there, unless the user has chosen another offscreen way (``MUJOCO_GL=osmesa``).
"""

from __future__ import annotations

import importlib
import sys
import weakref
from typing import Any

import numpy as np

from slowfast.envs.tabletop.simulator import import_mujoco


class Camera:
    """The scene's first camera. ``look`` takes a picture; ``close`` gives back what it holds, and so does losing it.

    Each camera has an OpenGL context of its own. Raises ``RuntimeError`` that says what to install if there is none.
    """

    def __init__(self, model: Any, height: int, width: int):
        self._mujoco = mujoco = import_mujoco()
        self.model = model
        self._context = _opengl(width, height)
        self._context.make_current()
        self._renderer = mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_100)
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN, self._renderer)
        # Not at exit: by then the libraries may have gone, and everything goes with the process.
        self._finalizer = weakref.finalize(self, _free, self._renderer, self._context)
        self._finalizer.atexit = False
        self._scene = mujoco.MjvScene(model, maxgeom=model.ngeom + 8)
        for flag in ("SHADOW", "REFLECTION", "SKYBOX", "HAZE"):
            self._scene.flags[getattr(mujoco.mjtRndFlag, f"mjRND_{flag}")] = 0
        self._options = mujoco.MjvOption()
        self._view = mujoco.MjvCamera()
        self._view.type, self._view.fixedcamid = mujoco.mjtCamera.mjCAMERA_FIXED, 0
        self._area = mujoco.MjrRect(0, 0, width, height)
        self._pixels = np.empty((height, width, 3), np.uint8)

    def look(self, data: Any) -> np.ndarray:
        """The picture of a state, ``uint8 [height, width, 3]``."""
        mujoco = self._mujoco
        self._context.make_current()
        everything = mujoco.mjtCatBit.mjCAT_ALL
        mujoco.mjv_updateScene(self.model, data, self._options, None, self._view, everything, self._scene)
        mujoco.mjr_render(self._area, self._scene, self._renderer)
        mujoco.mjr_readPixels(self._pixels, None, self._area, self._renderer)
        return self._pixels[::-1].copy()

    def close(self) -> None:
        """May be called twice; a closed camera takes no more pictures."""
        self._finalizer()


def _opengl(width: int, height: int) -> Any:
    failures = []
    for module in _backends():
        try:
            return importlib.import_module(module).GLContext(width, height)
        except Exception as error:  # each library has its own way to say no
            failures.append(f"{module}: {error}")
    raise RuntimeError(
        "Tabletop draws with OpenGL, and none answers. Without a display, install Mesa's EGL (Debian and Ubuntu: "
        "apt install libegl1 libgl1-mesa-dri), or set MUJOCO_GL=osmesa and install libosmesa6. "
        f"Tried: {'; '.join(failures) or 'nothing, because MUJOCO_GL switches it off'}"
    )


def _backends() -> list[str]:
    """Modules with a ``GLContext``, in the order in which they are tried."""
    chosen = getattr(importlib.import_module("mujoco.gl_context"), "GLContext", None)
    if chosen is None:
        return []
    if sys.platform == "linux" and chosen.__module__ != "mujoco.osmesa":
        return ["mujoco.egl", chosen.__module__]
    return [chosen.__module__]


def _free(renderer: Any, context: Any) -> None:
    context.make_current()
    renderer.free()
    context.free()
