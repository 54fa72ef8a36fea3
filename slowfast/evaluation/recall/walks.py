"""What is really seen, and what is asked afterwards: the walks of the recall benchmark through DoomRooms."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import gymnasium
import numpy as np

from slowfast.envs.doom_rooms.motion import FORWARD, TURN_LEFT, TURN_RIGHT
from slowfast.envs.doom_rooms.tours import full_turn, out_and_back
from slowfast.evaluation.tours import NEVER, Tours, record_branches


@dataclass(frozen=True)
class Query:
    """``moves`` from where a walk ended: the model has to say what they show."""

    name: str
    moves: tuple[int, ...]


@dataclass(frozen=True)
class Walk:
    """``seen``: the moves of the real tour; ``queries``: all asked from its end; ``room``: whole steps forward that
    have to be free where it begins."""

    name: str
    seen: tuple[int, ...]
    queries: tuple[Query, ...]
    room: int = 0


@dataclass(frozen=True)
class Asked:
    """A query with its truth: the first ``seen`` actions of ``tours`` are the walk, the rest is the query."""

    name: str
    tours: Tours
    seen: int

    @property
    def frames(self) -> int:
        """n: frames that are asked for."""
        return self.tours.frames.shape[1] - 1 - self.seen

    @property
    def truth(self) -> np.ndarray:
        """``uint8 [W, n, H, W, 3]``."""
        return self.tours.frames[:, self.seen + 1 :]

    @property
    def gaps(self) -> np.ndarray:
        """``int64 [W, n]``: frames since each view was really seen, or ``NEVER``."""
        return self.tours.frames_since_seen(self.seen)

    def in_context(self, context: int, chunk: int) -> np.ndarray:
        """``bool [W, n]``: whether the true frames that the network is shown when it makes a frame hold the answer.

        Chunks of ``chunk`` frames are made one after the other, each from the last ``context`` frames, of which fewer
        and fewer are true ones.
        """
        poses, count = self.tours.poses, self.frames
        held = np.zeros((len(poses), count), bool)
        for start in range(0, min(count, context), chunk):
            shown = poses[:, self.seen + 1 - (context - start) : self.seen + 1]
            asked = poses[:, self.seen + 1 + start : self.seen + 1 + min(start + chunk, count)]
            same = (asked[:, :, None] == shown[:, None]).all(-1).any(-1)
            held[:, start : start + same.shape[1]] = same
        return held

    def near_views(self, turn_degrees: float) -> np.ndarray:
        """``bool [W, n, n]``: whether frame k shows frame j's place from an angle at most one turn off."""
        poses = self.tours.poses[:, self.seen + 1 :].astype(np.float64)
        place = (poses[:, :, None, :2] == poses[:, None, :, :2]).all(-1)
        turned = np.abs((poses[:, :, None, 2] - poses[:, None, :, 2] + 180) % 360 - 180)
        return place & (turned <= turn_degrees + 1e-3)


def standard_walks(turn_degrees: float, steps: int = 6) -> tuple[Walk, ...]:
    """Three tours of growing length that end where they began, in the same pose.

    After a circle of left turns, turning back asks for what is still in the context and then for what just left it,
    and turning on asks for all of the circle again. The other two walk off and come back first, the last one with a
    circle at the far end. Raises ValueError unless the turns fit into half a circle.
    """
    circle = tuple(full_turn(turn_degrees))
    half, straight = (TURN_LEFT,) * (len(circle) // 2), (FORWARD,) * steps
    back, on = Query("turn back", (TURN_RIGHT,) * (len(circle) // 2)), Query("turn on", circle)
    return (
        Walk("circle", circle, (back, on)),
        Walk("out and back", (*circle, *out_and_back(steps, turn_degrees)), (on,), steps),
        Walk("circle elsewhere", (*circle, *straight, *circle, *half, *straight, *half), (on,), steps),
    )


def record_walk(env: gymnasium.Env, seeds: Iterable[int], count: int, walk: Walk) -> list[Asked]:
    """``count`` worlds of ``seeds``, each walked once and then asked all queries from the same state.

    Raises ValueError where there are not enough worlds with room for the walk, or it asks for what was never seen.
    """
    branches = [query.moves for query in walk.queries]
    recorded = record_branches(env, seeds, count, walk.seen, branches, walk.room)
    asked = [Asked(query.name, tours, len(walk.seen)) for query, tours in zip(walk.queries, recorded, strict=True)]
    for query in asked:
        if (query.gaps == NEVER).any():
            raise ValueError(f"walk {walk.name!r}: query {query.name!r} asks for views that were never seen")
    return asked
