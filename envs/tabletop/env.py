"""``slowfast/Tabletop-v0``: three cubes, a gripper that moves in the plane, and a goal in words."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from PIL import Image

from slowfast.envs.tabletop.arrangement import Arrangement, arrange
from slowfast.envs.tabletop.camera import Camera
from slowfast.envs.tabletop.goals import Goal, draw_goal, find_goal
from slowfast.envs.tabletop.moves import action_spec, motion_command, move_command
from slowfast.envs.tabletop.scene import HALF_TABLE
from slowfast.envs.tabletop.simulator import Simulator
from slowfast.envs.tabletop.snapshot import Snapshot
from slowfast.envs.tabletop.splits import SEED_RANGES

STEP_METRES = 0.04
REWARDS = ("sparse", "progress")
OVERSAMPLING = 2


class TabletopEnv(gymnasium.Env[np.ndarray, Any]):
    """A table on MuJoCo (extra ``mujoco``), seen by one fixed camera, slanted from above: a gripper pushes cubes, grips
    them and pulls them.

    **Worlds.** ``reset(seed=s)`` or ``reset(options={"world": s})`` lays the table of seed ``s``: places, turns and
    colours of three cubes, the gripper's place, the table's tone, light. A reset with neither draws a seed for
    training (see ``splits.py``) with the environment's ``np_random``.

    **Observation.** ``uint8 [H, W, 3]`` of the state after the action, drawn at twice the size and averaged. The
    gripper is black while it is open and pink while it grips.

    **Actions.** ``Discrete(7)``: move left, move right, move away, move near (the camera), grip, release, stay. With
    ``continuous=True`` a ``Box`` of [metres to the right, metres away from the camera, grip if above 0], within one
    discrete action's; values outside are clipped. An action lasts a fifth of a second and ends at rest, except where
    something is still sliding. A gripper that grips holds the cube that it touches, or will touch.

    **Goal.** The seed draws one of the table's goals, or ``reset(options={"goal": text})`` gives it: ``"push the red
    cube to the left side"`` (left, right, far, near; centre 0.12 m off the middle line) or ``"bring the red cube to
    the blue cube"`` (centres within 0.09 m). A step after which it is reached has reward 1 and ends the episode; with
    ``endless=True`` play goes on, and every step after which the cube is where it should be has reward 1.
    ``reward="progress"`` adds the way that the cube came nearer to its goal in that step, in halves of the table
    (0.24 m), negative if it went away.

    **Info.** ``instruction``: the goal's text; ``success``: whether it is reached now; ``distance``: metres that its
    cube has yet to go; ``gripper`` ``float32 [2]``: x to the right, y away from the camera, in metres from the middle;
    ``gripping``; ``cubes`` ``float32 [3, 3]``: x, y and angle (radians) of each; ``colours``: their names; ``world``:
    the seed.

    Arguments:
        size: (H, W) of the observation in pixels.
        continuous: which of the two action spaces.
        step_metres: metres a move, at most 0.06; the default 0.04 crosses the table (0.42 m) in 11 moves.
        reward: ``"sparse"`` or ``"progress"``.
        endless: whether play goes on once the goal is reached.
        render_mode: ``None`` or ``"rgb_array"``: the picture at twice the observation's size.

    Deterministic to the bit in (seed, actions) on one machine and version of MuJoCo. Raises ``ImportError`` that names
    the extra if mujoco is missing, ``ValueError`` on arguments or options that make no sense, and ``RuntimeError`` at
    the first reset if there is no OpenGL to draw with.
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": 5}  # noqa: RUF012 - as Gymnasium declares it

    def __init__(
        self,
        size: tuple[int, int] = (64, 64),
        continuous: bool = False,
        step_metres: float = STEP_METRES,
        reward: str = "sparse",
        endless: bool = False,
        render_mode: str | None = None,
    ):
        _check_arguments(size, step_metres, reward, render_mode)
        self.height, self.width = (int(side) for side in size)
        self.continuous, self.step_metres = continuous, float(step_metres)
        self.reward, self.endless, self.render_mode = reward, endless, render_mode
        self.action_spec = action_spec(continuous, self.step_metres)
        self.action_space = self.action_spec.to_space()
        self.observation_space = gymnasium.spaces.Box(0, 255, (self.height, self.width, 3), np.uint8)
        self.simulator = Simulator(OVERSAMPLING * self.height, OVERSAMPLING * self.width)
        self._camera: Camera | None = None
        self._picture: np.ndarray | None = None
        self._arrangement: Arrangement | None = None
        self._goal: Goal | None = None

    @property
    def arrangement(self) -> Arrangement:
        """What the seed decided. Raises ``RuntimeError`` before the first reset."""
        if self._arrangement is None:
            raise RuntimeError("Tabletop has no table yet: call reset() first")
        return self._arrangement

    @property
    def goal(self) -> Goal:
        """The present goal. Raises ``RuntimeError`` before the first reset."""
        if self._goal is None:
            raise RuntimeError("Tabletop has no goal yet: call reset() first")
        return self._goal

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(seed=seed)
        options = options or {}
        unknown = set(options) - {"world", "goal"}
        if unknown:
            raise ValueError(f"reset options {sorted(unknown)} are unknown; there are 'world' and 'goal'")
        arrangement = arrange(self._choose_world(seed, options.get("world")))
        if "goal" in options:
            goal = find_goal(options["goal"], arrangement.colours)
        else:
            rng = np.random.default_rng(np.random.SeedSequence((arrangement.seed, 1)))
            goal = draw_goal(rng, arrangement.cubes, arrangement.colours)
        self._arrangement, self._goal = arrangement, goal
        self.simulator.arrange(arrangement)
        return self._look(), self._info()

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        before = self.goal.distance(self.simulator.cubes)
        if self.continuous:
            command = motion_command(np.asarray(action, np.float64), self.step_metres)
        else:
            command = move_command(int(action), self.step_metres, self.simulator.gripping)
        self.simulator.move(*command)
        after = self.goal.distance(self.simulator.cubes)
        reward = float(after == 0)
        if self.reward == "progress":
            reward += (before - after) / HALF_TABLE
        return self._look(), reward, after == 0 and not self.endless, False, self._info()

    def render(self) -> np.ndarray | None:
        """The present picture, ``uint8 [2H, 2W, 3]``, or None without a render mode. Raises ``RuntimeError`` before
        the first reset."""
        if self.render_mode is None:
            return None
        if self._picture is None:
            raise RuntimeError("Tabletop has no picture yet: call reset() first")
        return self._picture.copy()

    def close(self) -> None:
        """Give back the graphics; may be called again. A later reset opens them anew."""
        if self._camera is not None:
            self._camera.close()
        self._camera = self._picture = self._arrangement = self._goal = None

    def snapshot(self) -> Snapshot:
        """Everything that the next steps depend on, the present observation included. Wrappers' counters (a time
        limit's) are not in it."""
        return Snapshot(self.arrangement.seed, self.goal.text, self.simulator.state(), self._observation())

    def restore(self, snapshot: Snapshot) -> tuple[np.ndarray, dict[str, Any]]:
        """Go back to a snapshot, whatever is on the table now; returns the observation and info of then. Raises
        ``ValueError`` on a snapshot with observations of another size or another version's state."""
        if snapshot.observation.shape != self.observation_space.shape:
            raise ValueError(
                f"the snapshot's observation is {snapshot.observation.shape}, the environment's "
                f"{self.observation_space.shape}"
            )
        arrangement = arrange(snapshot.world)
        goal = find_goal(snapshot.goal, arrangement.colours)
        self.simulator.paint(arrangement)
        self.simulator.set_state(snapshot.state)
        self._arrangement, self._goal = arrangement, goal
        return self._look(), self._info()

    def _choose_world(self, seed: int | None, world: Any) -> int:
        if world is None:
            world = seed
        if world is None:
            seeds = SEED_RANGES["train"]
            world = self.np_random.integers(seeds.start, seeds.stop)
        if isinstance(world, bool) or not isinstance(world, (int, np.integer)) or world < 0:
            raise ValueError(f"reset option 'world' has to be an integer from 0, got {world!r}")
        return int(world)

    def _look(self) -> np.ndarray:
        if self._camera is None:
            self._camera = Camera(self.simulator.model, OVERSAMPLING * self.height, OVERSAMPLING * self.width)
        self._picture = self._camera.look(self.simulator.data)
        return self._observation()

    def _observation(self) -> np.ndarray:
        assert self._picture is not None
        small = Image.fromarray(self._picture).resize((self.width, self.height), Image.Resampling.BOX)
        return np.asarray(small).copy()

    def _info(self) -> dict[str, Any]:
        distance = self.goal.distance(self.simulator.cubes)
        return {
            "instruction": self.goal.text,
            "success": distance == 0,
            "distance": distance,
            "gripper": self.simulator.gripper.astype(np.float32),
            "gripping": self.simulator.gripping,
            "cubes": self.simulator.cubes.astype(np.float32),
            "colours": self.arrangement.colours,
            "world": self.arrangement.seed,
        }


def _check_arguments(size: tuple[int, int], step_metres: float, reward: str, render_mode: str | None) -> None:
    if len(size) != 2 or not all(1 <= side <= 1024 for side in size):
        raise ValueError(f"size={size!r} has to be (H, W), each in 1..1024")
    if not 0.001 <= step_metres <= 0.06:
        raise ValueError(f"step_metres={step_metres!r} has to be in 0.001..0.06 metres")
    if reward not in REWARDS:
        raise ValueError(f"reward={reward!r} is not one of {REWARDS}")
    if render_mode not in (None, "rgb_array"):
        raise ValueError(f"render_mode={render_mode!r} is not None or 'rgb_array'")
