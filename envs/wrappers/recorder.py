"""Episodes of any environment on disk, while whatever policy the user has plays in it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, SupportsFloat

import gymnasium
import numpy as np
from gymnasium import spaces

from slowfast.actions import ActionError, ActionSpec, Columns
from slowfast.datasets.collect import DEFAULT_FPS, numeric_infos, split_observations
from slowfast.datasets.columns import fill_descriptions
from slowfast.datasets.episode import DatasetError, Episode
from slowfast.datasets.files import remove_leftovers
from slowfast.datasets.store import Store, episode_path, write_episode

CAMERA = "camera"


@dataclass
class _Playing:
    """The episode at hand: T+1 observations and infos, T actions and outcomes; nothing before the first reset."""

    seen: list[Any] = field(default_factory=list)
    infos: list[dict[str, np.ndarray]] = field(default_factory=list)
    actions: list[Columns] = field(default_factory=list)
    outcomes: list[tuple[float, bool, bool]] = field(default_factory=list)


class SlowFastRecorder(gymnasium.Wrapper[Any, Any, Any, Any], gymnasium.utils.RecordConstructorArgs):
    """Writes what happens between two resets as an episode into ``out``, as ``slowfast collect`` would.

    An episode is written when it ends; when it is broken off by ``reset`` or ``close``, its last step is marked as
    truncated. So call ``close``, or use the environment as a context manager. Episodes that ``out`` holds already
    stay, and the new ones come after them. A step that raised is in no episode.

    ``source``: frames are the images among the observations ("observation"), or what ``render()`` shows ("render", for
    which the environment is made with ``render_mode="rgb_array"``); then vectors and numbers that are observed become
    states, and observed images are not kept. Of infos, the numbers are kept that come at every step in one shape.
    ``spec``: what the actions are called; else the environment's own ``action_spec``, or one that its action space
    says. ``metadata``: JSON-compatible, stored with every episode (policy, licence, instruction, ...).
    ``compression``: "auto", "lzf", "gzip", "none" or "mp4". ``max_frames``: a longer episode is written in parts, each
    of which begins with the frame that the last ended with; it bounds the memory.

    One environment in one process: wrap the environments of a vector one by one, before it is made, each with a
    folder of its own. Wrappers that reset by themselves belong outside this one. Raises :class:`DatasetError` where
    the environment shows no images, or ``out`` holds episodes with other actions; ``ActionError`` for actions that the
    spec does not know.
    """

    def __init__(
        self,
        env: gymnasium.Env[Any, Any],
        out: Path | str,
        *,
        source: Literal["observation", "render"] = "observation",
        spec: ActionSpec | None = None,
        metadata: Mapping[str, Any] | None = None,
        compression: str = "auto",
        max_frames: int = 2048,
    ) -> None:
        gymnasium.utils.RecordConstructorArgs.__init__(
            self,
            out=str(out),
            source=source,
            spec=spec,
            metadata=metadata,
            compression=compression,
            max_frames=max_frames,
        )
        gymnasium.Wrapper.__init__(self, env)
        if source not in ("observation", "render"):
            raise DatasetError(f"source {source!r}: expected 'observation' or 'render'")
        if source == "render" and env.render_mode != "rgb_array":
            raise DatasetError(
                f"source 'render' needs an environment made with render_mode='rgb_array', this has {env.render_mode!r}"
            )
        if source == "observation" and not _shows_images(env.observation_space):
            raise DatasetError(
                f"observations are {env.observation_space}; expected uint8 (H, W, 3) images, alone or in a Dict; "
                "source='render' records what render() shows"
            )
        if max_frames < 2:
            raise DatasetError(f"max_frames has to be at least 2, got {max_frames}")
        self.out, self.compression, self.max_frames = Path(out), compression, max_frames
        self.spec_of_actions = spec or _spec(env)
        self.episodes = 0
        self._rendered = source == "render"
        self._given = dict(metadata or {})
        self._number = self._first_number()
        self._known: dict[str, Any] = {}
        self._parts = 0
        self._over = False
        self._playing = _Playing()

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        self._break_off()
        observation, info = self.env.reset(seed=seed, options=options)
        said = {"seed": None if seed is None else int(seed), "instruction": info.get("instruction")}
        self._known = {name: value for name, value in said.items() if isinstance(value, (int, str))}
        self._over, self._parts = False, 0
        self._see(observation, info)
        split_observations(self._playing.seen)  # what cannot be kept is refused now, and not after the episode
        return observation, info

    def step(self, action: Any) -> tuple[Any, SupportsFloat, bool, bool, dict[str, Any]]:
        if self._over:
            raise gymnasium.error.ResetNeeded(
                "the episode is over; wrappers that reset belong outside SlowFastRecorder"
            )
        taken = self.spec_of_actions.columns([action])
        if len(self._playing.seen) == self.max_frames:
            last = _Playing(self._playing.seen[-1:], self._playing.infos[-1:])
            self._write()
            self._playing = last
        observation, reward, terminated, truncated, info = self.env.step(action)
        if self._playing.seen:  # an environment may be stepped before a reset, and says itself what it thinks of that
            self._see(observation, info)
            self._playing.actions.append(taken)
            self._playing.outcomes.append((float(reward), bool(terminated), bool(truncated)))
            self._over = bool(terminated or truncated)
            if self._over:
                self._write()
        return observation, reward, terminated, truncated, info

    def close(self) -> None:
        """Write the episode that was not over, marked as truncated, and close the environment."""
        try:
            self._break_off()
        finally:
            self.env.close()

    def _see(self, observation: Any, info: Mapping[str, Any]) -> None:
        """Keep copies: environments may write into the arrays that they gave away."""
        seen = observation
        if self._rendered:
            seen = {**_vectors(observation), CAMERA: self._render()}
        self._playing.seen.append(_copied(seen))
        self._playing.infos.append(_arrays(info))

    def _render(self) -> np.ndarray:
        picture = np.asarray(self.env.render())
        if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[-1] != 3:
            raise DatasetError(f"render() gave {picture.dtype} {picture.shape}, expected uint8 [H, W, 3]")
        return picture

    def _break_off(self) -> None:
        if self._playing.actions:
            reward, terminated, _ = self._playing.outcomes[-1]
            self._playing.outcomes[-1] = (reward, terminated, True)
            self._write()
        self._playing = _Playing()

    def _write(self) -> None:
        """The episode at hand; whatever becomes of the file, it is not written twice."""
        played, self._playing = self._playing, _Playing()
        frames, states = split_observations(played.seen)
        rewards, terminations, truncations = zip(*played.outcomes, strict=True)
        spec = self.spec_of_actions
        episode = Episode(
            frames=frames,
            actions=fill_descriptions(spec, spec.concat(played.actions)),
            spec=spec,
            fps=float(self.env.metadata.get("render_fps") or DEFAULT_FPS),
            rewards=np.array(rewards, np.float32),
            terminations=np.array(terminations),
            truncations=np.array(truncations),
            states=states,
            infos=numeric_infos(played.infos),
            metadata={
                **self._environment(),
                **self._known,
                **self._given,
                **({"part": self._parts} if self._parts else {}),
            },
        )
        while episode_path(self.out, self._number).exists():
            self._number += 1
        write_episode(self.out, episode, self.compression, self._number, index=False)
        self.episodes += 1
        self._parts += 1

    def _environment(self) -> dict[str, Any]:
        if self.env.spec is None:
            return {"environment": type(self.env.unwrapped).__name__}
        arguments = {}
        for name, value in self.env.spec.kwargs.items():
            try:
                arguments[name] = json.loads(json.dumps(value))
            except TypeError:
                continue
        return {"environment": self.env.spec.id, "environment_arguments": arguments}

    def _first_number(self) -> int:
        remove_leftovers(self.out / "episodes")
        if not any(self.out.glob("episodes/*.h5")):
            return 0
        store = Store(self.out)
        if store.spec != self.spec_of_actions:
            raise DatasetError(f"{self.out}: holds episodes with other actions; choose another folder")
        return int(store.path(len(store) - 1).stem) + 1


def _spec(env: gymnasium.Env[Any, Any]) -> ActionSpec:
    """The environment's own, unless a wrapper gave it another action space since."""
    own = getattr(env.unwrapped, "action_spec", None)
    if isinstance(own, ActionSpec) and own.to_space() == env.action_space:
        return own
    try:
        return ActionSpec.from_space(env.action_space)
    except ActionError as error:
        raise DatasetError(f"{error}; say what the actions are with spec=") from error


def _shows_images(space: spaces.Space[Any]) -> bool:
    parts = space.spaces.values() if isinstance(space, spaces.Dict) else [space]
    return any(
        isinstance(part, spaces.Box) and part.dtype == np.uint8 and len(part.shape) == 3 and part.shape[-1] == 3
        for part in parts
    )


def _vectors(observation: Any) -> dict[str, np.ndarray]:
    """The numbers and vectors of an observation."""
    named = observation if isinstance(observation, Mapping) else {"observation": observation}
    arrays = {str(name): np.asarray(value) for name, value in named.items() if name != CAMERA}
    return {name: array for name, array in arrays.items() if array.ndim <= 1 and array.dtype.kind in "biuf"}


def _arrays(info: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """What may be numbers, copied; infos hold anything, and nothing in them may stop the user's run."""
    arrays = {}
    for name, value in info.items():
        with suppress(ValueError, TypeError, RuntimeError):
            array = np.array(value)
            if array.dtype.kind in "biuf":
                arrays[name] = array
    return arrays


def _copied(observation: Any) -> Any:
    if isinstance(observation, Mapping):
        return {name: np.array(value) for name, value in observation.items()}
    return np.array(observation)
