"""Where sub-goals are followed from: the first view of real worlds, or the end of a way out that is to be retraced."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from slowfast.envs.doom_rooms.env import DoomRoomsEnv
from slowfast.envs.doom_rooms.motion import (
    BACKWARD,
    FORWARD,
    MOVES,
    STAY,
    STRAFE_LEFT,
    STRAFE_RIGHT,
    TURN_LEFT,
    TURN_RIGHT,
    Pose,
)
from slowfast.evaluation.acting.coming_home import Outing
from slowfast.planning.subgoals import checked_words

OPPOSITE = {
    TURN_LEFT: TURN_RIGHT,
    TURN_RIGHT: TURN_LEFT,
    FORWARD: BACKWARD,
    BACKWARD: FORWARD,
    STRAFE_LEFT: STRAFE_RIGHT,
    STRAFE_RIGHT: STRAFE_LEFT,
    STAY: STAY,
}


def moves_said(subgoals: Sequence[str]) -> list[int]:
    """The move that each of the words names. Raises ValueError for words that name none."""
    return [MOVES.index(word) for word in checked_words(subgoals, MOVES)]


def way_back(subgoals: Sequence[str]) -> tuple[str, ...]:
    """The words that undo ``subgoals``, last one first."""
    return tuple(MOVES[OPPOSITE[move]] for move in reversed(moves_said(subgoals)))


def meant_poses(env: DoomRoomsEnv, start: Pose, moves: Iterable[int]) -> np.ndarray:
    """Where ``moves`` lead in the present world of ``env``, which stays where it is: ``int64 [T + 1, 3]``."""
    poses = [start]
    for move in moves:
        poses.append(env.motion.move(env.world, poses[-1], move))
    return np.array(poses)


def starts(
    env: DoomRoomsEnv, seeds: Iterable[int], count: int, moves: Sequence[int] = (), walked: bool = False
) -> list[Outing]:
    """Of ``seeds``, the first ``count`` worlds in which nothing stands in the way of ``moves``.

    ``walked``: they are walked, and what is seen on the way is part of the start; otherwise it is the first view alone.
    Raises ValueError when there are not enough such worlds.
    """
    found: list[Outing] = []
    for seed in seeds:
        if len(found) == count:
            break
        observation, _ = env.reset(seed=seed)
        if not _is_clear(env, moves):
            continue
        home, frames = env.snapshot(), [observation]
        if walked:
            frames += [env.step(move)[0] for move in moves]
        done = np.array(moves if walked else (), np.int64)
        found.append(Outing(np.stack(frames), done, home, env.snapshot()))
    if len(found) < count:
        raise ValueError(
            f"only {len(found)} of the given worlds have room for these {len(moves)} moves, {count} were asked for: "
            "ask for fewer worlds, or for a shorter way"
        )
    return found


def _is_clear(env: DoomRoomsEnv, moves: Sequence[int]) -> bool:
    """Whether the opposite moves lead back, pose by pose: a wall in the way would shorten one of the two."""
    out = meant_poses(env, env.position, moves)
    back = meant_poses(env, tuple(out[-1].tolist()), [OPPOSITE[move] for move in reversed(moves)])
    return np.array_equal(out, back[::-1])
