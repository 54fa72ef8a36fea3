"""One RLDS episode, step by step: which leaf of a step is what, and a recording made of them.

RLDS puts at step t the observation and the action, reward and discount that follow from it; at the last step these
three mean nothing and are dropped. ``is_terminal`` at step t+1 is the termination of action t, and an episode whose
last step is not terminal was truncated.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from slowfast.actions import ActionSpec, Component, Language
from slowfast.datasets.episode import DatasetError, check_name
from slowfast.datasets.ingest.readers import action_survey
from slowfast.datasets.ingest.readers.action_survey import Action, ActionSurvey, column
from slowfast.datasets.ingest.readers.rlds_values import (
    Spool,
    as_bytes,
    as_text,
    flag,
    flattened,
    is_vector,
    leaf,
    picture,
    shows_picture,
    stacked,
)
from slowfast.datasets.ingest.recording import Recording

INSTRUCTIONS = ("language_instruction", "observation/language_instruction", "observation/natural_language_instruction")
"""Where data sets keep the sentence that an episode is about."""
LONGEST_TEXT = 4096
MAX_STEPS = 2**22


@dataclass(frozen=True)
class StepSettings:
    """What steps do not say themselves.

    ``fps``: frames a second. ``image_keys``: the cameras to take, by their keys below ``observation`` (default: every
    ``uint8 [H, W, 3]`` or ``[H, W, 1]`` and every PNG or JPEG). ``action``: the key of the action, or of a dictionary
    of actions. ``labels``: of a choice, or a vector's axes. ``spec``: instead of what the first episode shows; its
    components are called as the keys of the action dictionary, or ``action``; and ``instruction``, if it has one.
    """

    fps: float
    image_keys: tuple[str, ...] = ()
    action: str = "action"
    labels: tuple[str, ...] = ()
    spec: ActionSpec | None = None

    def __post_init__(self) -> None:
        if isinstance(self.fps, bool) or not isinstance(self.fps, (int, float)) or not 0 < self.fps < 1e4:
            raise DatasetError(f"RLDS steps carry no times: fps (frames a second) has to be above 0, got {self.fps!r}")

    def described(self) -> dict[str, Any]:
        return asdict(self) | {"spec": self.spec.to_json() if self.spec else None}


@dataclass(frozen=True)
class StepLayout:
    """Names → keys of a step's leaves, as in ``observation/image``."""

    cameras: dict[str, str]
    actions: dict[str, str]
    states: dict[str, str]
    instruction: str | None

    @classmethod
    def of(cls, step: Any, settings: StepSettings, where: str) -> StepLayout:
        """By one step of an episode. Raises :class:`DatasetError` naming the keys that there are."""
        leaves = flattened(step, where)
        said = f"{where}: the steps have {', '.join(leaves)[:300] or 'nothing'}"
        cameras = {}
        for wanted in settings.image_keys:
            found = [key for key in (wanted, f"observation/{wanted}") if key in leaves]
            if not found:
                raise DatasetError(f"{said}; no image {wanted!r}")
            cameras[_named(found[0])] = found[0]
        if not settings.image_keys:
            cameras = {
                _named(key): key
                for key, value in leaves.items()
                if key.startswith("observation/") and shows_picture(value)
            }
        if not cameras:
            raise DatasetError(f"{said}; none below observation is a picture (uint8 [H, W, 3], PNG or JPEG)")
        action = settings.action.strip("/")
        actions = {key[len(action) + 1 :].replace("/", "."): key for key in leaves if key.startswith(f"{action}/")}
        if action in leaves:
            actions = {action.rpartition("/")[2]: action}
        for name in actions:
            check_name("action", name)
        if not actions:
            raise DatasetError(f"{said}; no action {action!r}; name its key")
        states = {
            _named(key): key
            for key, value in leaves.items()
            if key.startswith("observation/") and key not in cameras.values() and is_vector(value)
        }
        return cls(cameras, actions, states, next((key for key in INSTRUCTIONS if key in leaves), None))


@dataclass
class Steps:
    """N steps, without their pictures, which wait in ``spools``. ``rows``: key of a leaf → its N values."""

    layout: StepLayout
    rows: dict[str, list[Any]]
    spools: dict[str, Spool]
    rewards: list[Any] = field(default_factory=list)
    terminal: list[bool] = field(default_factory=list)
    instructions: list[str] = field(default_factory=list)
    ended: bool = False
    notes: dict[str, Any] = field(default_factory=dict)

    @property
    def count(self) -> int:
        return len(self.terminal)


def read_steps(
    episode: Any, layout: StepLayout | None, settings: StepSettings, where: str, pictures: bool = True
) -> Steps:
    """Reads an episode's steps once. ``layout`` None: by its first step. Raises :class:`DatasetError` for steps that
    lack something or come in the wrong order, and for whatever the source raises while it is read."""
    if not isinstance(episode, Mapping) or "steps" not in episode:
        said = ", ".join(map(str, episode)) if isinstance(episode, Mapping) else type(episode).__name__
        raise DatasetError(f"{where}: expected a dictionary with 'steps', got {said:.200}")
    steps: Steps | None = None
    for t, step in _iterated(episode["steps"], where):
        if steps is None:
            layout = layout or StepLayout.of(step, settings, where)
            kept = (*layout.actions.values(), *layout.states.values())
            steps = Steps(layout, {key: [] for key in kept}, {name: Spool() for name in layout.cameras if pictures})
        if steps.ended:
            raise DatasetError(f"{where}: step {t - 1} is the last (is_last) and step {t} follows it")
        _add(steps, flattened(step, f"{where}: step {t}"), f"{where}: step {t}")
    if steps is None or steps.count < 2:
        raise DatasetError(f"{where}: {steps.count if steps else 0} steps; an episode needs at least 2")
    steps.notes = _notes(episode)
    return steps


def recording_of(steps: Steps, spec: ActionSpec, settings: StepSettings, where: str) -> Recording:
    """Raises :class:`DatasetError` where actions do not fit ``spec``."""
    n, layout = steps.count, steps.layout
    actions = {}
    for component in spec.components:
        if component.name in layout.actions:
            rows = stacked(steps.rows[layout.actions[component.name]][: n - 1], f"{where}: {component.name}")
            actions[component.name] = column(component, rows, where)
        elif component.name == "instruction" and isinstance(component, Language):
            actions["instruction"] = np.array(steps.instructions[: n - 1], object)
        else:
            raise DatasetError(f"{where}: no action {component.name!r}; there are {', '.join(layout.actions)}")
    terminal = np.array(steps.terminal, bool)
    said = {text for text in steps.instructions if text}
    rewards = stacked(steps.rewards[: n - 1], f"{where}: reward")
    if rewards.shape != (n - 1,) or rewards.dtype == object:
        raise DatasetError(f"{where}: reward has shape {rewards.shape[1:]} a step; expected one number")
    return Recording(
        where,
        np.arange(n) / settings.fps,
        {name: spool.frames for name, spool in steps.spools.items()},
        actions,
        spec,
        rewards=rewards.astype(np.float32),
        terminations=terminal[1:],
        truncations=np.arange(1, n) == (n - 1 if not terminal[-1] else n),
        states={name: _state(steps, key, f"{where}: {key}") for name, key in layout.states.items()},
        metadata={**steps.notes, **({"instruction": said.pop()} if len(said) == 1 else {})},
    )


def spec_of(steps: Steps, settings: StepSettings, where: str) -> ActionSpec:
    """What the first episode shows: numbers without bounds (one episode does not say the range of others), keys, text,
    choices if ``settings.labels`` names them. Raises :class:`DatasetError`."""
    if settings.spec:
        return settings.spec
    layout = steps.layout
    if settings.labels and len(layout.actions) > 1:
        raise DatasetError(f"{where}: labels are of one action, and there are {', '.join(layout.actions)}")
    components: list[Component] = []
    for name, key in layout.actions.items():
        unbounded = Action(key, None, settings.labels, (-math.inf,), (math.inf,))
        survey = ActionSurvey(name, unbounded)
        survey.add(stacked(steps.rows[key][: steps.count - 1], f"{where}: {key}"))
        if survey.kind == "discrete" and not settings.labels:
            raise DatasetError(f"{where}: {key} is a whole number: a choice of how many? Give their names as labels")
        component = survey.component(where)
        components.append(Language(name, LONGEST_TEXT) if isinstance(component, Language) else component)
    if layout.instruction:
        components.append(Language("instruction", LONGEST_TEXT))
    return action_survey.spec_of(components, where)


def _iterated(steps: Any, where: str) -> Iterator[tuple[int, Any]]:
    t = -1
    try:
        for t, step in enumerate(steps):
            if t >= MAX_STEPS:
                raise DatasetError(f"{where}: more than {MAX_STEPS:,} steps")
            yield t, step
    except (DatasetError, MemoryError):
        raise
    except Exception as error:  # the source is anybody's code, and a damaged file's errors are of its own kinds
        raise DatasetError(f"{where}: the source fails after step {t} ({error!r:.300})") from error


def _add(steps: Steps, leaves: dict[str, Any], where: str) -> None:
    for name, key in steps.layout.cameras.items():
        if name in steps.spools:
            steps.spools[name].write(picture(leaf(leaves, key, where), f"{where}: {key}"), f"{where}: {key}")
    for key in (*steps.layout.actions.values(), *steps.layout.states.values()):
        steps.rows[key].append(leaf(leaves, key, where))
    first, last, terminal = (flag(leaves, key, where) for key in ("is_first", "is_last", "is_terminal"))
    if first and steps.count:
        raise DatasetError(f"{where} is the first (is_first) of another episode")
    steps.rewards.append(leaves.get("reward", 0.0))
    steps.instructions.append(as_text(leaves.get(steps.layout.instruction or "")))
    steps.ended = last
    steps.terminal.append(terminal)


def _state(steps: Steps, key: str, where: str) -> np.ndarray:
    rows = stacked(steps.rows[key], where)
    if rows.dtype == object:
        raise DatasetError(f"{where} holds text at a step; expected numbers")
    return rows


def _named(key: str) -> str:
    return key.removeprefix("observation/").replace("/", ".")


def _notes(episode: Mapping[Any, Any]) -> dict[str, Any]:
    """What is said of the episode as a whole, as far as it is short and JSON can hold it."""
    said = {key: value for key, value in episode.items() if key != "steps"}
    found: dict[str, Any] = {}
    for key, value in flattened(said, "metadata").items():
        plain = value.item() if isinstance(value, (np.ndarray, np.generic)) and np.size(value) == 1 else value
        if as_bytes(plain) is not None or isinstance(plain, str):
            found[key] = as_text(plain)[:1000]
        elif isinstance(plain, (bool, int)) or (isinstance(plain, float) and math.isfinite(plain)):
            found[key] = plain
    return found
