"""What is to be done in real worlds, and from which moment on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from slowfast.planning.objectives import Objective
from slowfast.world_model import WorldModel


class RealWorld(Protocol):
    """A simulator that can be brought to any moment of any of its worlds; moves are integers."""

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]: ...

    def snapshot(self) -> Any: ...

    def restore(self, snapshot: Any) -> Any: ...


class Task(Protocol):
    """E real worlds, each at a moment (``states``) up to which ``frames`` ``uint8 [E, T + 1, H, W, 3]`` were seen with
    ``moves`` ``int64 [E, T]`` between them.

    ``idle``: the move that changes nothing, for worlds in which all is done. ``worlds``: their seeds. ``done_is`` and
    ``left_is``: what success and the rest of the way are called in a table, the latter with its unit.
    """

    @property
    def env(self) -> RealWorld: ...

    @property
    def states(self) -> Sequence[Any]: ...

    @property
    def frames(self) -> np.ndarray: ...

    @property
    def moves(self) -> np.ndarray: ...

    @property
    def worlds(self) -> Sequence[int]: ...

    @property
    def idle(self) -> int: ...

    @property
    def done_is(self) -> str: ...

    @property
    def left_is(self) -> str: ...

    def goal(self, world: WorldModel) -> Objective:
        """What plans are for, one goal an episode."""
        ...

    def done(self, number: int, state: Any) -> bool:
        """Whether world ``number`` is where it should be in ``state``."""
        ...

    def left(self, number: int, state: Any) -> float:
        """How far from done that state is."""
        ...
