"""Action specs and Gymnasium's action spaces: each way what the other side can say.

A space has no labels, and a spec may have a language component beside the others that no agent acts with; both are lost
on the way to a space.
"""

from __future__ import annotations

import string
from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium import spaces

from slowfast.actions import ActionError, ActionSpec, Component, Continuous, Discrete, Keyboard, Language


def to_space(spec: ActionSpec) -> spaces.Space[Any]:
    """The space of :attr:`ActionSpec.acting`: the component's own if it is one, else a ``Dict`` in the spec's order."""
    if len(spec.acting) == 1:
        return _space(spec.acting[0])
    return spaces.Dict([(component.name, _space(component)) for component in spec.acting])


def from_space(space: Any, labels: Sequence[str] | None = None, name: str = "action") -> ActionSpec:
    """A spec for a Discrete, Box of rank 1, MultiBinary, Text, or a flat Dict of these. Raises :class:`ActionError`."""
    if isinstance(space, spaces.Dict):
        return ActionSpec(tuple(_component(sub, None, key) for key, sub in space.spaces.items()))
    return ActionSpec((_component(space, labels, name),))


def _space(component: Component) -> spaces.Space[Any]:
    if isinstance(component, Discrete):
        return spaces.Discrete(len(component.labels))
    if isinstance(component, Continuous):
        low, high = (np.asarray(bound, np.float32) for bound in (component.low, component.high))
        return spaces.Box(low, high, dtype=np.float32)
    if isinstance(component, Keyboard):
        return spaces.MultiBinary(len(component.keys))
    # Gymnasium's default characters have no blank between two words; the empty text is the null.
    return spaces.Text(max_length=component.max_length, min_length=0, charset=string.printable)


def _component(space: Any, labels: Sequence[str] | None, name: str) -> Component:
    if isinstance(space, spaces.Discrete):
        if space.start != 0:
            raise ActionError(f"a Discrete space has to start at 0, got start={space.start} for {name!r}")
        return Discrete(name, tuple(labels or map(str, range(int(space.n)))))
    if isinstance(space, spaces.Box) and len(space.shape) == 1:
        low, high = (tuple(float(v) for v in bound) for bound in (space.low, space.high))
        return Continuous(name, low, high, tuple(labels or ()))
    if isinstance(space, spaces.MultiBinary) and len(space.shape) == 1:
        return Keyboard(name, tuple(labels or map(str, range(space.shape[0]))))
    if isinstance(space, spaces.Text):
        return Language(name, space.max_length)
    raise ActionError(
        f"no action component {name!r} for the space {space}; Discrete, Box [d], MultiBinary, Text, flat Dict fit"
    )
