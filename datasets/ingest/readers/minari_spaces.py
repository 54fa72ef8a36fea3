"""The spaces of a Minari data set taken apart: which parts are pictures, which are numbers, which are actions."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from gymnasium import spaces

from slowfast.actions import ActionError, ActionSpec, Component, Continuous, Discrete, Language
from slowfast.datasets.episode import DatasetError

LEAST_SIDE = 32
"""Of what is taken for a picture unasked, as Minari has it: MiniGrid's 7x7x3 grids of codes look like one else."""
MAX_SIZE = 2**26
"""Numbers of one value of a space. A few bytes of JSON may ask for any size."""
MAX_LABELS = 4096
MAX_STATE = 4096
"""Numbers of an observation that is kept as a state."""


@dataclass(frozen=True)
class Leaf:
    """A part of a space that is no Dict or Tuple; ``path`` leads to it, by keys of a Dict and positions in a Tuple."""

    path: tuple[str | int, ...]
    space: Any

    def name(self, alone: str) -> str:
        """The path in one word; ``alone`` where the space has no parts."""
        return ".".join(map(str, self.path)) or alone

    @property
    def pixels(self) -> tuple[int, int] | None:
        """Height and width, if the shape is one of pictures: [H, W], [H, W, 1] or [H, W, 3] in bytes."""
        shape = self.space.shape
        if not isinstance(self.space, spaces.Box) or self.space.dtype != np.uint8:
            return None
        return shape[:2] if len(shape) == 2 or (len(shape) == 3 and shape[2] in (1, 3)) else None

    @property
    def picture(self) -> bool:
        return self.pixels is not None and min(self.pixels) >= LEAST_SIDE

    @property
    def state(self) -> bool:
        numeric = isinstance(self.space, (spaces.Box, spaces.Discrete, spaces.MultiBinary, spaces.MultiDiscrete))
        return numeric and not self.picture and 0 < math.prod(self.space.shape or ()) <= MAX_STATE


@dataclass(frozen=True)
class ActionPart:
    """An action component and the leaf that it is read from; ``index``: the number of a vector that it is, if not all;
    ``start``: the number of a choice's first label."""

    leaf: Leaf
    name: str
    start: int = 0
    index: int | None = None

    def column(self, spec: ActionSpec, rows: Any, where: str) -> np.ndarray:
        """Rows ``[T, ...]`` of the leaf as the component's column. Raises :class:`DatasetError`."""
        component = spec[self.name]
        if isinstance(rows, list) != isinstance(component, Language):
            raise DatasetError(f"{where}: actions {self.name!r} are {type(rows).__name__}; expected {component.kind}")
        if isinstance(rows, list):
            return np.array(rows, object)
        rows = np.asarray(rows)
        if self.index is not None:
            rows = rows.reshape(len(rows), -1)[:, self.index]
        flat = rows.reshape(len(rows)) if isinstance(component, Discrete) else rows.reshape(len(rows), -1)
        if isinstance(component, Continuous):
            wrong = np.flatnonzero(~np.isfinite(flat).all(1))
            if len(wrong):  # NaN would pass for a missing action
                said = f"action {wrong[0]} and {len(wrong) - 1} more of {self.name!r} hold numbers that are not finite"
                raise DatasetError(f"{where}: {said}; remove the episode or mend its actions")
            return flat.astype(np.float32)
        if flat.dtype.kind not in "iub":
            raise DatasetError(f"{where}: actions {self.name!r} are {flat.dtype}; expected whole numbers")
        column = flat.astype(np.int64) - self.start
        top = len(component.labels) - 1 if isinstance(component, Discrete) else 1
        if column.size and not 0 <= column.min() <= column.max() <= top:  # -1 would pass for a missing action
            said = f"actions {self.name!r} go from {column.min() + self.start} to {column.max() + self.start}"
            raise DatasetError(f"{where}: {said}; expected {self.start} to {top + self.start}")
        return column


def leaves(space: Any, path: tuple[str | int, ...] = ()) -> Iterator[Leaf]:
    """The parts of a space of whatever depth, in its order."""
    if isinstance(space, spaces.Dict):
        for key, inner in space.spaces.items():
            yield from leaves(inner, (*path, str(key)))
    elif isinstance(space, spaces.Tuple):
        for position, inner in enumerate(space.spaces):
            yield from leaves(inner, (*path, position))
    else:
        yield Leaf(path, space)


def cameras(observations: Sequence[Leaf], names: Sequence[str], where: str) -> list[Leaf]:
    """The parts of that name, or all that are pictures. Raises :class:`DatasetError` where there are none."""
    known = {leaf.name("observation"): leaf for leaf in observations if leaf.pixels}
    for name in names:
        if name not in known:
            raise DatasetError(f"{where}: no camera {name!r}; there are {', '.join(known) or 'none'}")
    found = [known[name] for name in names] or [leaf for leaf in observations if leaf.picture]
    if not found:
        there = ", ".join(f"{leaf.name('observation')} {leaf.space}"[:80] for leaf in observations[:12])
        said = f"no pictures among the observations ({there}); expected uint8 [H, W, 3] of {LEAST_SIDE} pixels or more"
        raise DatasetError(f"{where}: {said}; a data set recorded with rendered frames is needed")
    return found


def action_parts(space: Any, labels: Sequence[str], where: str) -> tuple[ActionSpec, list[ActionPart]]:
    """The spec, and what each component is read from. A Box of higher rank becomes a vector; a MultiDiscrete becomes a
    choice for each of its numbers; a choice that does not begin at 0 keeps its numbers as labels.

    Raises :class:`DatasetError` for spaces that are no actions of ours.
    """
    components: list[Component] = []
    parts: list[ActionPart] = []
    single = list(_single(space, where))
    if not single:
        raise DatasetError(f"{where}: the action space {space} has no parts")
    if labels and len(single) > 1:
        said = ", ".join(name for _, name, *_ in single)
        raise DatasetError(f"{where}: labels go with a single action; here are {said}")
    for leaf, name, inner, start, index in single:
        choice = isinstance(inner, spaces.Discrete)
        size = int(inner.n) if choice else math.prod(inner.shape or (0,))
        if labels and len(labels) != size:
            raise DatasetError(f"{where}: {len(labels)} labels; the action {name!r} needs {size}")
        names = labels or ([str(start + i) for i in range(size)] if choice else None)
        try:
            components += ActionSpec.from_space(inner, names, name).components
        except ActionError as error:
            raise DatasetError(f"{where}: {error}") from error
        parts.append(ActionPart(leaf, name, start, index))
    return ActionSpec(tuple(components)), parts


def _single(space: Any, where: str) -> Iterator[tuple[Leaf, str, Any, int, int | None]]:
    """Leaf, name, space of rank 1 or a choice from 0 on, first label and position in a vector, for each component."""
    for leaf in leaves(space):
        name, inner = leaf.name("action"), leaf.space
        size = int(inner.n) if isinstance(inner, spaces.Discrete) else math.prod(inner.shape or ())
        if leaf.picture or not 0 < size <= MAX_LABELS:
            raise DatasetError(
                f"{where}: the action {name!r} is {inner}; expected up to {MAX_LABELS} numbers or choices"
            )
        if isinstance(inner, spaces.Discrete):
            yield leaf, name, spaces.Discrete(size), int(inner.start), None
        elif isinstance(inner, spaces.MultiDiscrete):
            choices = zip(inner.nvec.reshape(-1).tolist(), inner.start.reshape(-1).tolist(), strict=True)
            for index, (count, start) in enumerate(choices):
                if count > MAX_LABELS:
                    raise DatasetError(f"{where}: the action {name!r} is {inner}; expected up to {MAX_LABELS} choices")
                yield leaf, f"{name}.{index}", spaces.Discrete(count), start, index
        elif isinstance(inner, spaces.Box):
            low, high = inner.low.reshape(-1), inner.high.reshape(-1)
            yield leaf, name, spaces.Box(low, high, dtype=inner.dtype.type), 0, None
        else:
            yield leaf, name, inner, 0, None


def check_sizes(serialised: Any, where: str) -> None:
    """Refuses a space, as Minari writes it in JSON, that would fill the memory before it could be looked at."""
    if isinstance(serialised, dict):
        sides = [serialised.get("n")] if serialised.get("type") == "MultiBinary" else serialised.get("shape")
        sides = sides if isinstance(sides, list) else []
        if not all(isinstance(side, int) and side >= 0 for side in sides) or math.prod(sides) > MAX_SIZE:
            raise DatasetError(f"{where}: a space of shape {str(sides)[:80]}; at most {MAX_SIZE:,} numbers are read")
        inner = serialised.get("subspaces")
        for part in inner.values() if isinstance(inner, dict) else inner if isinstance(inner, list) else ():
            check_sizes(part, where)
