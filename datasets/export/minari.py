"""Minari data sets, written by Minari itself, an episode at a time."""

from __future__ import annotations

import inspect
import json
import re
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from slowfast.actions import Language
from slowfast.datasets.episode import DatasetError, Episode
from slowfast.datasets.export.formats import ExportOptions
from slowfast.datasets.export.survey import Survey


class MinariWriter:
    """See :class:`~slowfast.datasets.export.pipeline.Writer`.

    The folder's name is the data set's id: with MINARI_DATASETS_PATH set to the folder above it,
    ``minari.load_dataset(name)`` loads it. Observations are the picture, or a ``Dict`` of all cameras and states;
    actions are in ``spec.to_space()``; infos are infos, and language that no agent acts with is among them.
    """

    left_out: tuple[str, ...] = ()

    def __init__(self, folder: Path, name: str, survey: Survey, options: ExportOptions) -> None:
        import minari
        from minari.dataset.minari_storage import MinariStorage

        if not re.fullmatch(r"[-\w]+-v\d+", name):
            raise DatasetError(f"{name}: Minari finds a data set by its folder's name; expected one like rooms-v0")
        if "jpeg_encoding" not in inspect.signature(MinariStorage.new).parameters:
            raise ImportError(f"minari {minari.__version__} can only write lossy pictures: pip install -U minari")
        both = sorted(set(survey.cameras) & set(survey.states))
        if both:
            raise DatasetError(
                f"{survey.store.folder}: {both[0]!r} is a camera and a state; Minari takes one of a name"
            )
        self._survey, self._arrow = survey, options.back_end == "arrow"
        self._action_space = survey.spec.to_space()
        (folder / "data").mkdir()
        self._storage = MinariStorage.new(
            folder / "data",
            observation_space=_observation_space(survey),
            action_space=self._action_space,
            env_spec=_environment(survey),
            data_format=options.back_end,
            jpeg_encoding=options.jpeg,
        )
        described = {
            "dataset_id": name,
            "minari_version": minari.__version__,
            "description": "Episodes exported from slowfast.",
            "slowfast_action_spec": survey.spec.to_json(),
        }
        self._storage.update_metadata(described)

    def add(self, number: int, episode: Episode) -> None:
        from minari.data_collector.episode_buffer import EpisodeBuffer

        seed = episode.metadata.get("seed")
        buffer = EpisodeBuffer(
            id=number,
            seed=seed if isinstance(seed, int) and not isinstance(seed, bool) else None,
            observations=self._observations(episode),
            actions=self._actions(episode),
            rewards=episode.rewards,
            terminations=episode.terminations,
            truncations=episode.truncations,
            infos=self._infos(episode),
        )
        self._storage.update_episodes([buffer])
        known = {"fps": episode.fps, "slowfast_metadata": json.dumps(episode.metadata, sort_keys=True)}
        self._storage.update_episode_metadata([known], [number])

    def __enter__(self) -> MinariWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Minari's storage is complete after every episode."""

    def _observations(self, episode: Episode) -> Any:
        parts = {name: episode.frames[name] for name in self._survey.cameras}
        parts |= {name: episode.states[name] for name in self._survey.states}
        return parts if len(parts) > 1 else next(iter(parts.values()))

    def _actions(self, episode: Episode) -> Any:
        acting = self._survey.spec.acting
        if len(acting) == 1:
            return _in_space(episode.actions[acting[0].name], self._action_space)
        return {c.name: _in_space(episode.actions[c.name], self._action_space[c.name]) for c in acting}

    def _infos(self, episode: Episode) -> dict[str, Any] | None:
        infos: dict[str, Any] = {name: self._column(episode.infos[name]) for name in self._survey.infos}
        for component in self._survey.spec.components:
            if isinstance(component, Language) and component not in self._survey.spec.acting:
                infos[f"language.{component.name}"] = [*episode.actions[component.name].tolist(), ""]
        return infos or None

    def _column(self, rows: np.ndarray) -> Any:
        """Minari's Arrow back end cannot read back an array of one axis, but a list of numbers."""
        return list(rows) if self._arrow and rows.ndim == 1 else rows


def _observation_space(survey: Survey) -> spaces.Space[Any]:
    parts: dict[str, spaces.Space[Any]] = {
        name: spaces.Box(0, 255, (*survey.size(name), 3), np.uint8) for name in survey.cameras
    }
    parts |= {name: spaces.Box(-np.inf, np.inf, rows.shape, np.float32) for name, rows in survey.states.items()}
    return spaces.Dict(parts) if len(parts) > 1 else next(iter(parts.values()))


def _in_space(column: np.ndarray, space: spaces.Space[Any]) -> Any:
    return column.tolist() if isinstance(space, spaces.Text) else column.astype(space.dtype)


def _environment(survey: Survey) -> Any:
    """The spec of the one registered environment that all episodes come from, with which Minari makes it again."""
    keys = ("environment", "environment_arguments")
    metadata = [survey.store.metadata(i) for i in survey.episodes]
    known = {json.dumps([own.get(key) for key in keys], sort_keys=True) for own in metadata}
    name, arguments = json.loads(known.pop())
    if known or not isinstance(name, str) or name not in gymnasium.registry:
        return None
    return replace(gymnasium.spec(name), kwargs={**gymnasium.spec(name).kwargs, **(arguments or {})})
