"""A folder of mp4 files, each with a csv beside it that has a row a frame; `slowfast ingest` reads it as it stands.

The last row has no action, reward or end, since it leads nowhere. ``episodes.jsonl`` names the clips with what is known
of each, ``action_spec.json`` says what the actions are.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from slowfast.actions import Component, Continuous, Discrete, Keyboard, Language
from slowfast.datasets.columns import fill_descriptions
from slowfast.datasets.episode import Episode
from slowfast.datasets.export.formats import ExportOptions
from slowfast.datasets.export.survey import Survey
from slowfast.datasets.mp4 import Mp4Writer

Cells = list[Any]
MISSING = ""


class VideoWriter:
    """See :class:`~slowfast.datasets.export.pipeline.Writer`. Of several cameras each has a folder of its own."""

    def __init__(self, folder: Path, name: str, survey: Survey, options: ExportOptions) -> None:
        self._folder, self._survey, self._quality = folder, survey, options.quality
        deep = [name for name, rows in survey.states.items() if len(rows.shape) > 1]
        self._states = [name for name in survey.states if name not in deep]
        self.left_out = (
            *(f"states/{name} has several axes a frame" for name in deep),
            *(f"infos/{name} has no column" for name in survey.infos),
        )
        spec = json.loads(survey.spec.to_json())
        (folder / "action_spec.json").write_text(json.dumps(spec, indent=1) + "\n", encoding="utf-8")
        self._list = (folder / "episodes.jsonl").open("w", encoding="utf-8")

    def add(self, number: int, episode: Episode) -> None:
        columns = dict(self._columns(episode))
        for camera in self._survey.cameras:
            below = f"{camera}/" if len(self._survey.cameras) > 1 else ""
            clip = self._folder / f"{below}{number:06d}.mp4"
            clip.parent.mkdir(exist_ok=True)
            with Mp4Writer(clip, episode.fps, self._quality) as video:
                video.write(episode.frames[camera])
            with clip.with_suffix(".csv").open("w", newline="", encoding="utf-8") as file:
                table = csv.writer(file)
                table.writerow(columns)
                table.writerows(zip(*columns.values(), strict=True))
            said = {"file": f"{below}{number:06d}.mp4", "fps": episode.fps, "frames": len(episode) + 1}
            self._list.write(json.dumps({**said, "metadata": episode.metadata}, ensure_ascii=False) + "\n")

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._list.close()

    def _columns(self, episode: Episode) -> Iterator[tuple[str, Cells]]:
        """A csv's columns of N cells each."""
        yield "frame", list(range(len(episode) + 1))
        acting = [component for component in episode.spec.components if not isinstance(component, Language)]
        for component in acting:
            stem = "action" if len(acting) == 1 else f"action.{component.name}"
            for name, cells in _cells(component, episode.actions[component.name], stem):
                yield name, [*cells, MISSING]
        for name, cells in _texts(episode):
            yield name, [*cells, MISSING]
        outcomes = {"reward": episode.rewards, "terminated": episode.terminations, "truncated": episode.truncations}
        for name, rows in outcomes.items():
            assert rows is not None
            yield name, [*_plain(rows), MISSING]
        for state in self._states:
            rows = episode.states[state].reshape(len(episode) + 1, -1)
            for axis, column in enumerate(rows.T):
                yield f"state.{state}" + (f".{axis}" if rows.shape[1] > 1 else ""), _plain(column)


def _cells(component: Component, column: np.ndarray, stem: str) -> Iterator[tuple[str, Cells]]:
    """A choice in words, a vector an axis, keys a key; what is missing is an empty cell."""
    if isinstance(component, Discrete):
        yield stem, np.array([*component.labels, MISSING], object)[column].tolist()
    elif isinstance(component, Keyboard):
        words = np.array(["false", "true", MISSING], object)
        for name, key in zip(component.keys, column.T, strict=True):
            yield f"{stem}.{name}", words[key].tolist()
    elif isinstance(component, Continuous):
        named = len(set(component.labels)) == component.size
        names = component.labels if named else tuple(map(str, range(component.size)))
        for name, axis in zip(names, column.T, strict=True):
            cells = np.where(np.isnan(axis), MISSING, np.array(_plain(axis), object))
            yield (f"{stem}.{name}" if component.size > 1 else stem), cells.tolist()


def _texts(episode: Episode) -> Iterator[tuple[str, Cells]]:
    """The sentences; where there are none, the episode's instruction. Words that only repeat an action's labels would
    be found again from these."""
    spoken = [component for component in episode.spec.components if isinstance(component, Language)]
    silent = dict(episode.actions) | {c.name: np.full(len(episode), "", object) for c in spoken if c.describes}
    filled = fill_descriptions(episode.spec, silent)
    said = [c for c in spoken if not c.describes or (filled[c.name] != episode.actions[c.name]).any()]
    said.sort(key=lambda component: component.describes is not None)
    names = ["text", *(f"action.{component.name}" for component in said[1:])]
    yield from ((name, episode.actions[c.name].tolist()) for name, c in zip(names, said, strict=False))
    instruction = episode.metadata.get("instruction")
    if not said and isinstance(instruction, str):
        yield "text", [instruction] * len(episode)


def _plain(rows: np.ndarray) -> Cells:
    """Cells that are read back as the same numbers: the shortest digits of a float of this precision, with a point."""
    if rows.dtype.kind == "f":
        return [str(value) for value in rows]
    return [str(value).lower() for value in rows.tolist()]
