"""An episode's action in the words of other formats: as a vector, as a choice, as a sentence a step."""

from __future__ import annotations

import itertools

import numpy as np

from slowfast.actions import ActionSpec, Component, Continuous, Discrete, Keyboard
from slowfast.datasets.episode import Episode


def camera(episode: Episode) -> np.ndarray:
    """The frames of the only camera."""
    (frames,) = episode.frames.values()
    return frames


def vector(episode: Episode) -> np.ndarray:
    """What an agent did as ``float32 [T, d]``: an axis a choice, key or axis."""
    parts = []
    for component in episode.spec.acting:
        column = episode.actions[component.name]
        if isinstance(component, Discrete):
            column = np.arange(len(component.labels)) == column[:, None]
        parts.append(column.reshape(len(column), -1).astype(np.float32))
    return np.concatenate(parts, 1)


def choices_of(spec: ActionSpec) -> tuple[str, ...]:
    """What each axis of :func:`vector` is called."""
    names = [_names(component) for component in spec.acting]
    return tuple(itertools.chain.from_iterable(names))


def choice(episode: Episode) -> np.ndarray:
    """``int64 [T]``: the largest axis of :func:`vector`."""
    return vector(episode).argmax(1)


def sentences(episode: Episode) -> np.ndarray:
    """``object [T]``: what was done, in words."""
    return np.array(choices_of(episode.spec), object)[choice(episode)]


def _names(component: Component) -> tuple[str, ...]:
    if isinstance(component, Keyboard):
        return component.keys
    if isinstance(component, Continuous):
        return component.labels or tuple(f"{component.name} {axis}" for axis in range(component.size))
    return component.labels if isinstance(component, Discrete) else (component.name,)
