"""The table's physics: it is arranged, a gripper moves for the time of one action, and its state can be taken along."""

from __future__ import annotations

from typing import Any

import numpy as np

from slowfast.envs.tabletop.arrangement import COLOURS, Arrangement
from slowfast.envs.tabletop.scene import CUBES, REACH, scene_xml

SUBSTEPS = 25
"""Of the scene's time step an action: a fifth of a second. The rod is at its new place after four fifths of them, and
slow enough at the end that cubes stop with it."""
OPEN_RGB = (0.04, 0.04, 0.04)
GRIPPING_RGB = (1.0, 0.2, 0.8)

_elapsed = np.clip(np.arange(1, SUBSTEPS + 1) / (0.8 * SUBSTEPS), 0, 1)
RAMP = _elapsed * _elapsed * (3 - 2 * _elapsed)
"""Share of the way after each substep: from rest to rest."""


def import_mujoco() -> Any:
    """The library. Raises ``ImportError`` that names the extra if it is not there."""
    try:
        import mujoco
    except ImportError as error:
        raise ImportError('Tabletop needs mujoco, which is not installed: pip install "slowfast[mujoco]"') from error
    return mujoco


class Simulator:
    """One table. ``model`` and ``data`` are MuJoCo's, with an offscreen picture of ``height`` x ``width`` pixels."""

    def __init__(self, height: int, width: int):
        self._mujoco = import_mujoco()
        self.model = self._mujoco.MjModel.from_xml_string(scene_xml(height, width))
        self.data = self._mujoco.MjData(self.model)
        self._kind = self._mujoco.mjtState.mjSTATE_INTEGRATION
        self._size = self._mujoco.mj_stateSize(self.model, self._kind)

    def arrange(self, arrangement: Arrangement) -> None:
        """Lay everything out at rest, the gripper open."""
        self.paint(arrangement)
        self._mujoco.mj_resetData(self.model, self.data)
        self.data.qpos[:2] = self.data.ctrl[:2] = arrangement.gripper
        self.data.qpos[2:] = arrangement.cubes.reshape(-1)
        self._settle()

    def paint(self, arrangement: Arrangement) -> None:
        """Colours and light, which no step changes."""
        for index, colour in enumerate(arrangement.colours):
            self.model.geom(f"cube {index}").rgba[:3] = COLOURS[colour]
        for part in ("table", "floor"):
            self.model.geom(part).rgba[:3] = getattr(arrangement, part)
        for side in ("left", "right", "near", "far"):
            self.model.geom(f"rim {side}").rgba[:3] = arrangement.rim
        lamp = self.model.light("lamp")
        lamp.dir[:] = arrangement.lamp / np.linalg.norm(arrangement.lamp)
        lamp.diffuse[:] = arrangement.brightness

    def move(self, right: float, away: float, grip: bool) -> None:
        """Move the gripper by metres, as far as it reaches and what is in its way lets it; grip from now on or not."""
        start = self.data.qpos[:2].copy()
        target = np.clip(start + np.array((right, away)), -REACH, REACH)
        self.data.ctrl[2] = float(grip)
        for share in RAMP:
            self.data.ctrl[:2] = start + share * (target - start)
            self._mujoco.mj_step(self.model, self.data)
        self._settle()

    @property
    def gripper(self) -> np.ndarray:
        """x and y in metres, ``float64 [2]``, a copy."""
        return self.data.qpos[:2].copy()

    @property
    def cubes(self) -> np.ndarray:
        """x, y in metres and angle in radians, -pi to pi, ``float64 [CUBES, 3]``, a copy."""
        places = self.data.qpos[2:].reshape(CUBES, 3).copy()
        places[:, 2] = (places[:, 2] + np.pi) % (2 * np.pi) - np.pi
        return places

    @property
    def gripping(self) -> bool:
        return bool(self.data.ctrl[2] > 0)

    def state(self) -> np.ndarray:
        """Everything that the next steps depend on, ``float64 [n]``."""
        state = np.empty(self._size)
        self._mujoco.mj_getState(self.model, self.data, state, self._kind)
        return state

    def set_state(self, state: np.ndarray) -> None:
        """Go back to a state. Raises ``ValueError`` on one of another size: another version of the scene's."""
        if state.shape != (self._size,):
            raise ValueError(f"the state has shape {state.shape}, this scene's ({self._size},)")
        self._mujoco.mj_setState(self.model, self.data, state, self._kind)
        self._settle()

    def _settle(self) -> None:
        """What is drawn follows the state: a step leaves it a moment behind. Nothing that a step reads is changed, so
        that a restored state goes on to the bit."""
        self.model.geom("gripper").rgba[:3] = GRIPPING_RGB if self.gripping else OPEN_RGB
        self._mujoco.mj_kinematics(self.model, self.data)
        self._mujoco.mj_camlight(self.model, self.data)
