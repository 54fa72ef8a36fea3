"""What the goal wrappers share: goals to draw from, their space, and what an observation is worth for one."""

from __future__ import annotations

import string
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from gymnasium import spaces

Goals = np.ndarray | Sequence[str]
GoalReward = Callable[[Any, Any, Any], Any]
"""``reward(achieved, desired, info)``: of one picture ``uint8 [H, W, 3]`` and one goal (a picture or a text) a number,
of N pictures ``[N, H, W, 3]`` and N goals as many numbers ``[N]``."""

INSTRUCTION = "instruction"
LONGEST_TEXT = 256


def closeness(achieved: np.ndarray, desired: np.ndarray, info: Any = None) -> Any:
    """Minus the root mean square difference of pictures ``uint8 [..., H, W, 3]``, from -1 to 0: ``float64 [...]``."""
    difference = (np.asarray(achieved, np.float64) - np.asarray(desired, np.float64)) / 255
    return -np.sqrt(np.square(difference).mean((-3, -2, -1)))


def picture_space(space: spaces.Space[Any], picture: str | None) -> spaces.Box:
    """The space of the picture that an observation is or, under the key ``picture``, holds. Raises ValueError where
    there is none."""
    found = space[picture] if isinstance(space, spaces.Dict) and picture in space.spaces else space
    if not isinstance(found, spaces.Box) or found.dtype != np.uint8 or len(found.shape) != 3 or found.shape[-1] != 3:
        what = f"under {picture!r}" if picture is not None else "; `picture` names one within a Dict"
        raise ValueError(f"a goal is compared with a picture uint8 [H, W, 3], and {space} has none {what}")
    return found


def goal_space(goals: Goals, picture: spaces.Box) -> spaces.Box | spaces.Text:
    """The space of one goal. Raises ValueError for no goals, or for pictures of another size."""
    if isinstance(goals, str):
        if goals != INSTRUCTION:
            raise ValueError(f"goals={goals!r}: give pictures, a list of texts, or {INSTRUCTION!r} for info's own")
        return spaces.Text(LONGEST_TEXT, min_length=0, charset=string.printable)
    if not len(goals):
        raise ValueError("goals are pictures uint8 [N, H, W, 3] or a list of texts; got none")
    if isinstance(goals[0], str):
        letters = set(string.printable).union(*goals)
        return spaces.Text(max(map(len, goals)), min_length=0, charset="".join(sorted(letters)))
    pictures = np.asarray(goals)
    if pictures.dtype != np.uint8 or pictures.shape[1:] != picture.shape:
        raise ValueError(
            f"goals are uint8 [N, {', '.join(map(str, picture.shape))}], got {pictures.dtype} {pictures.shape}"
        )
    return spaces.Box(0, 255, picture.shape, np.uint8)


def goal_reward(reward: GoalReward | None, goals: Goals) -> GoalReward | None:
    """``reward``, or for pictures :func:`closeness`, or for the environment's own words None: it pays for them itself.
    Raises ValueError where a list of words has no judge."""
    if reward is not None or isinstance(goals, str):
        return reward
    if isinstance(goals[0], str):
        raise ValueError(f"goals in words of your own need {JUDGE}")
    return closeness


def judged(reward: GoalReward | None, achieved: Any, desired: Any, info: Any) -> Any:
    """What pictures are worth for goals. Raises ValueError where only the environment can say so."""
    if reward is None:
        raise ValueError(f"the environment alone knows what its instruction is worth: to compute it, give {JUDGE}")
    return reward(achieved, desired, info)


def drawn_goal(goals: Goals, info: Mapping[str, Any], random: np.random.Generator) -> Any:
    """One of the goals, or the instruction that ``info`` of a reset holds. Raises KeyError where it holds none."""
    if not isinstance(goals, str):
        return goals[int(random.integers(len(goals)))]
    if not isinstance(info.get(INSTRUCTION), str):
        raise KeyError(f"the environment's reset says no {INSTRUCTION!r} in its info: give goals as a list of texts")
    return info[INSTRUCTION]


def checked_goal(goal: Any, space: spaces.Space[Any]) -> Any:
    """A goal that was given at a reset. Raises ValueError when it is none."""
    if goal not in space:
        raise ValueError(f"reset option 'goal' has to lie in {space}")
    return goal


def generator_of(seed: int | None) -> np.random.Generator:
    """For drawing goals: another stream than the environment draws from with the same seed."""
    return np.random.default_rng(None if seed is None else np.random.SeedSequence((seed, GOAL_STREAM)))


GOAL_STREAM = 7
JUDGE = (
    "reward=, which says how far a picture shows them done: slowfast.envs.goal_rewards.InstructionReward(world), or a "
    "function of your own"
)
