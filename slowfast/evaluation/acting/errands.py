"""The task of running errands on the table: an instruction in words, and a cube that is not yet where it should be."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from slowfast.envs.policies import make_policy
from slowfast.envs.tabletop.arrangement import arrange
from slowfast.envs.tabletop.env import TabletopEnv
from slowfast.envs.tabletop.goals import find_goal
from slowfast.envs.tabletop.moves import STAY
from slowfast.envs.tabletop.snapshot import Snapshot
from slowfast.planning.language_goal import LanguageGoal
from slowfast.world_model import WorldModel

SEEN = 2
"""Moves that are seen before an errand begins; the first of a table are to stay."""
PATIENCE = 48
"""Moves in which the scripted policy has to have done an errand, for it to count as one."""


@dataclass(frozen=True)
class Errand:
    """One table: ``frames`` ``uint8 [SEEN + 1, H, W, 3]`` up to the moment ``state``, and the ``moves`` between."""

    frames: np.ndarray
    moves: np.ndarray
    state: Snapshot


class Errands:
    """A :class:`~slowfast.evaluation.acting.task.Task`: do on each table what its instruction says."""

    idle = STAY
    done_is = "did as told"
    left_is = "left, cm"

    def __init__(self, env: TabletopEnv, errands: list[Errand], goal: dict[str, Any] | None = None) -> None:
        self.env, self.states = env, [errand.state for errand in errands]
        self.frames = np.stack([errand.frames for errand in errands])
        self.moves = np.stack([errand.moves for errand in errands])
        self.worlds = [errand.state.world for errand in errands]
        self.words = [errand.state.goal for errand in errands]
        self.goals = [
            find_goal(words, arrange(world).colours) for words, world in zip(self.words, self.worlds, strict=True)
        ]
        self._goal_settings = goal or {}

    def goal(self, world: WorldModel) -> LanguageGoal:
        return LanguageGoal.of(world, self.words, **self._goal_settings)

    def done(self, number: int, state: Snapshot) -> bool:
        return self.left(number, state) == 0

    def left(self, number: int, state: Snapshot) -> float:
        simulator = self.env.simulator
        simulator.set_state(state.state)  # without a picture: whatever the environment does next, it is restored before
        return 100 * self.goals[number].distance(simulator.cubes)


def errands(env: TabletopEnv, seeds: Iterable[int], count: int, away: int) -> list[Errand]:
    """Of ``seeds``, the first ``count`` tables whose instruction the scripted policy follows within ``PATIENCE`` moves,
    each at the moment at which it has ``away`` moves yet to make (0: at the beginning, all moves).

    Raises ValueError when there are not enough: an errand takes it 14 moves on average.
    """
    found: list[Errand] = []
    for seed in seeds:
        if len(found) == count:
            break
        errand = _errand(env, seed, away)
        if errand is not None:
            found.append(errand)
    if len(found) < count:
        raise ValueError(f"only {len(found)} of the given tables ask for {away} moves, {count} were asked for")
    return found


def _errand(env: TabletopEnv, seed: int, away: int) -> Errand | None:
    """Of one table; None where the policy does not get there, or was never so far away."""
    observation, info = env.reset(seed=seed)
    policy = make_policy("instructed", env, np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(1,))))
    policy.reset(info)
    frames, states = [observation], [env.snapshot()]
    moves: list[int] = []
    while len(moves) < PATIENCE and not info["success"]:
        move = STAY if len(moves) < SEEN else int(policy.act(observation, info))
        observation, _, _, _, info = env.step(move)
        frames.append(observation)
        moves.append(move)
        states.append(env.snapshot())
    begin = len(moves) - away if away else SEEN
    if not info["success"] or begin < SEEN:
        return None
    seen = slice(begin - SEEN, begin)
    return Errand(np.stack(frames[begin - SEEN : begin + 1]), np.array(moves[seen]), states[begin])
