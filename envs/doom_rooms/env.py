"""``slowfast/DoomRooms-v0``: procedurally generated first-person rooms, a different world for every seed.

The pose is kept here in whole map units and binary angles, so that a move and its opposite cancel exactly; the engine
only takes the pictures.
"""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from PIL import Image

from slowfast.actions import ActionSpec, Continuous, Discrete, Language
from slowfast.envs.doom_rooms.engine import Camera, native_resolution
from slowfast.envs.doom_rooms.layout import CIRCLE, World, build_world
from slowfast.envs.doom_rooms.motion import MOVES, Motion, Pose
from slowfast.envs.doom_rooms.snapshot import Snapshot
from slowfast.envs.doom_rooms.splits import SEED_RANGES
from slowfast.envs.doom_rooms.task import ReachTask
from slowfast.envs.doom_rooms.textures import SPLITS
from slowfast.envs.doom_rooms.udmf import world_to_udmf

TURN_DEGREES = 22.5
STEP_UNITS = 32.0


class DoomRoomsEnv(gymnasium.Env[np.ndarray, Any]):
    """First-person rooms on ViZDoom (extra ``doom``): an agent turns and walks, nothing else moves.

    **Worlds.** ``reset(seed=s)`` or ``reset(options={"world": s})`` shows world ``s``: one to six connected rooms,
    each wall in a texture of its own, floors, ceilings, light and start pose drawn from the seed. A reset with
    neither draws a seed for training (with ``textures="held_out"``, one of that split; see ``splits.py``) with the
    environment's ``np_random``. A new world takes some milliseconds, the first one 0.2 s more.

    **Observation.** ``uint8 [H, W, 3]`` of the state after the action: the engine's smallest picture that is at least
    as large (160x120 for 64x64; 90 degrees wide), averaged over areas.

    **Actions.** ``Discrete(7)``: turn left, turn right, forward, backward, strafe left, strafe right, stay. With
    ``continuous=True`` a ``Box`` of [degrees to turn, to the left if positive; map units to walk after the turn,
    backward if negative], within one discrete action's. Values outside are clipped. Walking ends where the player's
    box (32 map units wide) meets a wall. There is no momentum: a blocked or an opposite action takes back nothing
    and leaves nothing behind. Angles are held in 1/65536 of a circle, positions in whole map units.

    **Info.** ``pose`` ``float32 [3]``: x, y in map units, angle in degrees (0 east, counter-clockwise, 0..360);
    ``room``: index of the room; ``world``: the seed. With a task also ``goal``: the texture to reach.

    **Task.** ``None``: reward 0, never terminates. ``"reach"``: reward 1 and termination within 64 map units of the
    wall that wears the goal texture; ``reset(options={"goal": name})`` picks the goal, else the seed does, in another
    room if there is one.

    Arguments:
        size: (H, W) of the observation in pixels.
        continuous: which of the two action spaces.
        turn_degrees: degrees a turn; the default 22.5 is 16 to the circle and a quarter of the view, so that
            neighbouring pictures overlap by three quarters. Rounded to 1/65536 of a circle.
        step_units: map units a step, at most 64; the default 32 crosses a room (224 to 384 units) in 6 to 11 steps.
        textures: ``"train"`` or ``"held_out"``.
        task: ``None`` or ``"reach"``.
        render_mode: ``None`` or ``"rgb_array"``: the engine's picture in its own size.

    Deterministic to the bit in (seed, actions). Raises ``ImportError`` that names the extra if vizdoom is missing,
    ``ValueError`` on arguments or options that make no sense.
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": 8}  # noqa: RUF012 - as Gymnasium declares it

    def __init__(
        self,
        size: tuple[int, int] = (64, 64),
        continuous: bool = False,
        turn_degrees: float = TURN_DEGREES,
        step_units: float = STEP_UNITS,
        textures: str = "train",
        task: str | None = None,
        render_mode: str | None = None,
    ):
        _check_arguments(size, turn_degrees, step_units, textures, task, render_mode)
        self.height, self.width = (int(side) for side in size)
        self.continuous, self.textures, self.render_mode = continuous, textures, render_mode
        self.motion = Motion(float(turn_degrees), float(step_units))
        self.action_spec = action_spec(continuous, turn_degrees, step_units)
        self.action_space = self.action_spec.to_space()
        self.observation_space = gymnasium.spaces.Box(0, 255, (self.height, self.width, 3), np.uint8)
        self.task = ReachTask() if task == "reach" else None
        self._camera = Camera(native_resolution(self.width, self.height))
        self._world: World | None = None
        self._picture: np.ndarray | None = None
        self._pose: Pose = (0, 0, 0)

    @property
    def world(self) -> World:
        """The layout of the present world. Raises ``RuntimeError`` before the first reset."""
        if self._world is None:
            raise RuntimeError("DoomRooms has no world yet: call reset() first")
        return self._world

    @property
    def position(self) -> Pose:
        """x and y in map units, angle in 1/65536 of a circle: the exact form of ``info["pose"]``."""
        return self._pose

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(seed=seed)
        options = options or {}
        unknown = set(options) - {"world", "goal"}
        if unknown:
            raise ValueError(f"reset options {sorted(unknown)} are unknown; there are 'world' and 'goal'")
        if "goal" in options and self.task is None:
            raise ValueError("reset option 'goal' needs an environment made with task='reach'")
        self._enter(self._choose_world(seed, options.get("world")))
        self._pose = self.world.start
        if self.task is not None:
            self.task.reset(self.world, options.get("goal"))
        return self._look(), self._info()

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        if self.continuous:
            self._pose = self.motion.glide(self.world, self._pose, np.asarray(action, np.float64))
        else:
            self._pose = self.motion.move(self.world, self._pose, int(action))
        reached = self.task is not None and self.task.is_reached(*self._pose[:2])
        return self._look(), float(reached), reached, False, self._info()

    def render(self) -> np.ndarray | None:
        """The present picture in the engine's own size, ``uint8 [height, width, 3]``, or None without a render mode.
        Raises ``RuntimeError`` before the first reset."""
        if self.render_mode is None:
            return None
        if self._picture is None:
            raise RuntimeError("DoomRooms has no picture yet: call reset() first")
        return self._picture.copy()

    def close(self) -> None:
        """End the engine; may be called again. A later reset starts a new one."""
        self._camera.close()
        self._world = self._picture = None

    def snapshot(self) -> Snapshot:
        """Everything that the next steps depend on, the present observation included. Wrappers' counters (a time
        limit's) are not in it."""
        world = self.world
        goal = None if self.task is None else self.task.goal
        return Snapshot(world.seed, self.textures, *self.position, goal=goal, observation=self._observation())

    def restore(self, snapshot: Snapshot) -> tuple[np.ndarray, dict[str, Any]]:
        """Go back to a snapshot, in whatever world the environment is now; returns the observation and info of then.
        Raises ``ValueError`` on a snapshot of an environment with other textures, size or task."""
        snapshot.check_fits(self.textures, (self.height, self.width, 3), self.task is not None)
        if self._world is None or self._world.seed != snapshot.world:
            self._enter(snapshot.world)
        self._pose = snapshot.x, snapshot.y, snapshot.angle
        if self.task is not None:
            self.task.reset(self.world, snapshot.goal)
        return self._look(), self._info()

    def _choose_world(self, seed: int | None, world: Any) -> int:
        if world is None:
            world = seed
        if world is None:
            seeds = SEED_RANGES[self.textures]
            world = self.np_random.integers(seeds.start, seeds.stop)
        if isinstance(world, bool) or not isinstance(world, (int, np.integer)) or world < 0:
            raise ValueError(f"reset option 'world' has to be an integer from 0, got {world!r}")
        return int(world)

    def _enter(self, seed: int) -> None:
        self._world = build_world(seed, self.textures)
        self._camera.load(world_to_udmf(self._world))

    def _look(self) -> np.ndarray:
        self._picture = self._camera.look(*self.position)
        return self._observation()

    def _observation(self) -> np.ndarray:
        assert self._picture is not None
        small = Image.fromarray(self._picture).resize((self.width, self.height), Image.Resampling.BOX)
        return np.asarray(small).copy()

    def _info(self) -> dict[str, Any]:
        x, y, angle = self._pose
        pose = np.array([x, y, angle * 360 / CIRCLE], np.float32)
        info: dict[str, Any] = {
            "pose": pose,
            "room": self.world.room_at(x, y),
            "world": self.world.seed,
        }
        if self.task is not None:
            info["goal"] = self.task.goal
        return info


def action_spec(
    continuous: bool = False, turn_degrees: float = TURN_DEGREES, step_units: float = STEP_UNITS
) -> ActionSpec:
    """The actions of DoomRooms as data: the moves or motions, and the same in words."""
    if not continuous:
        return ActionSpec((Discrete("move", MOVES), Language("text", describes="move")))
    high = (float(turn_degrees), float(step_units))
    low = (-high[0], -high[1])
    motion = Continuous("motion", low, high, labels=("turn_degrees", "forward_units"))
    return ActionSpec((motion, Language("text", describes="motion")))


def _check_arguments(
    size: tuple[int, int],
    turn_degrees: float,
    step_units: float,
    textures: str,
    task: str | None,
    render_mode: str | None,
) -> None:
    if len(size) != 2 or not 1 <= size[0] <= 600 or not 1 <= size[1] <= 800:
        raise ValueError(f"size={size!r} has to be (H, W) with H in 1..600 and W in 1..800")
    if not 0 < turn_degrees <= 180:
        raise ValueError(f"turn_degrees={turn_degrees!r} has to be above 0 and at most 180")
    if not 1 <= step_units <= 64:
        raise ValueError(f"step_units={step_units!r} has to be in 1..64 map units")
    if textures not in SPLITS:
        raise ValueError(f"textures={textures!r} is not one of {SPLITS}")
    if task not in (None, "reach"):
        raise ValueError(f"task={task!r} is not None or 'reach'")
    if render_mode not in (None, "rgb_array"):
        raise ValueError(f"render_mode={render_mode!r} is not None or 'rgb_array'")
