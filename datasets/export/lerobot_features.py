"""An episode's columns as LeRobot names them: what was seen at each of N frames, and the action that was taken then.

N frames come with N - 1 actions. LeRobot has a row a frame and an action a row, so that the last row's action leads
nowhere: it repeats the one before it, which disturbs neither statistics nor training; its reward is 0.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from slowfast.actions import ActionSpec, Component, Continuous, Discrete, Keyboard, Language
from slowfast.datasets.episode import Episode
from slowfast.datasets.export.survey import Survey


@dataclass(frozen=True)
class Feature:
    """A column: LeRobot's ``key`` and dtype, the names of its d numbers (none: one number), and an episode's rows
    ``[N, d]``, of a text ``object [N]``. ``described``: further entries of ``info.json``."""

    key: str
    dtype: str
    names: tuple[str, ...]
    rows: Callable[[Episode], np.ndarray]
    described: dict[str, Any] = field(default_factory=dict)

    def info(self) -> dict[str, Any]:
        return {
            "dtype": self.dtype,
            "shape": [len(self.names) or 1],
            "names": list(self.names) or None,
            **self.described,
        }


def features(survey: Survey, tasks: str | None) -> tuple[list[Feature], list[str]]:
    """The columns of a survey's episodes, and in words what has no place. ``tasks``: the language component that is
    kept as LeRobot's tasks, and so in no column of its own."""
    left_out: list[str] = []
    found = [*_action(survey.spec), *_states(survey, left_out), *_OUTCOMES]
    for name, rows in survey.infos.items():
        if len(rows.shape) > 1:
            left_out.append(f"infos/{name} has {len(rows.shape)} axes a frame")
            continue
        found.append(Feature(f"info.{name}", rows.dtype.name, _axes(name, rows.shape), _of("infos", name)))
    for component in survey.spec.components:
        if isinstance(component, Language) and component.name != tasks:
            found.append(Feature(f"language.{component.name}", "string", (), _texts(component.name)))
    return found, left_out


def task_component(survey: Survey) -> str | None:
    """The language component that says the task: the first that does not describe another component; else, where not
    every episode has an instruction, the first that does."""
    language = [component for component in survey.spec.components if isinstance(component, Language)]
    tasks = [component.name for component in language if component.describes is None]
    instructed = all(isinstance(survey.store.metadata(i).get("instruction"), str) for i in survey.episodes)
    if not tasks and not instructed:
        tasks = [component.name for component in language]
    return tasks[0] if tasks else None


def task_texts(episode: Episode, component: str | None) -> np.ndarray:
    """The task at each frame, ``object [N]``: of the component, else the episode's instruction, else what it is of."""
    if component is not None:
        return _texts(component)(episode)
    known = (episode.metadata.get(name) for name in ("instruction", "environment"))
    said = next((value for value in known if isinstance(value, str)), "")
    return np.full(len(episode) + 1, said, object)


def camera_key(name: str) -> str:
    """A camera that came from LeRobot keeps its key."""
    return name if name.startswith("observation.") else f"observation.images.{name}"


def _action(spec: ActionSpec) -> list[Feature]:
    """One "action": a choice as a whole number, keys as bools, a vector as floats; several components side by side in
    one vector of floats, which holds choices and keys exactly."""
    components = [component for component in spec.components if not isinstance(component, Language)]
    if not components:
        return []
    if len(components) == 1:
        dtype = {"discrete": "int64", "keyboard": "bool"}.get(components[0].kind, "float32")
        names = _names(components[0])
    else:
        dtype = "float32"
        names = tuple(f"{c.name}.{name}" if len(_names(c)) > 1 else c.name for c in components for name in _names(c))

    def rows(episode: Episode) -> np.ndarray:
        columns = [episode.actions[c.name].reshape(len(episode), -1) for c in components]
        return _repeated(np.concatenate(columns, 1).astype(dtype))

    labels = {c.name: list(c.labels) for c in components if isinstance(c, Discrete)}
    return [Feature("action", dtype, names, rows, {"labels": labels} if labels else {})]


def _names(component: Component) -> tuple[str, ...]:
    if isinstance(component, Keyboard):
        return component.keys
    if isinstance(component, Continuous):
        size = component.size
        numbered = tuple(f"{component.name}_{i}" for i in range(size)) if size > 1 else (component.name,)
        return component.labels if len(component.labels) == size else numbered
    return (component.name,)


def _states(survey: Survey, left_out: list[str]) -> list[Feature]:
    found = []
    for name, rows in survey.states.items():
        if len(rows.shape) > 1:
            left_out.append(f"states/{name} has {len(rows.shape)} axes a frame")
            continue
        key = f"observation.{'state' if len(survey.states) == 1 else name}"
        key = name if name.startswith("observation.") else key
        found.append(Feature(key, "float32", _axes(name, rows.shape), _of("states", name)))
    return found


def _axes(name: str, shape: tuple[int, ...]) -> tuple[str, ...]:
    return tuple(f"{name}_{i}" for i in range(shape[0])) if shape and shape[0] > 1 else (name,)


def _of(group: str, name: str) -> Callable[[Episode], np.ndarray]:
    return lambda episode: getattr(episode, group)[name].reshape(len(episode) + 1, -1)


def _texts(name: str) -> Callable[[Episode], np.ndarray]:
    return lambda episode: _repeated(episode.actions[name])


def _repeated(rows: np.ndarray) -> np.ndarray:
    return np.concatenate([rows, rows[-1:]])


def _reward(episode: Episode) -> np.ndarray:
    assert episode.rewards is not None
    return np.append(episode.rewards, np.float32(0))[:, None]


def _done(episode: Episode) -> np.ndarray:
    assert episode.terminations is not None
    return _repeated(episode.terminations | _truncated(episode)[:-1, 0])[:, None]


def _truncated(episode: Episode) -> np.ndarray:
    assert episode.truncations is not None
    return _repeated(episode.truncations)[:, None]


_OUTCOMES = (
    Feature("next.reward", "float32", ("reward",), _reward),
    Feature("next.done", "bool", ("done",), _done),
    Feature("next.truncated", "bool", ("truncated",), _truncated),
)
