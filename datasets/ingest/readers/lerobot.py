"""LeRobot data sets, v2.0, v2.1 and v3.0: robots' cameras, states and actions, with the task in words.

Row i holds what was seen at frame i and the action that was taken then; N rows make N frames and N-1 actions. The
action of the last row leads to no frame and is dropped, and its reward with it.
"""

from __future__ import annotations

import contextlib
import functools
import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from slowfast.actions import ActionSpec, Language
from slowfast.datasets.episode import DatasetError
from slowfast.datasets.ingest.formats import SourceOptions
from slowfast.datasets.ingest.readers.encoded_pictures import decode_picture
from slowfast.datasets.ingest.readers.lerobot_actions import action_column
from slowfast.datasets.ingest.readers.lerobot_hub import local_layout
from slowfast.datasets.ingest.readers.lerobot_layout import Feature
from slowfast.datasets.ingest.readers.lerobot_meta import INFO, inside
from slowfast.datasets.ingest.readers.parquet_rows import ParquetRows, numbers
from slowfast.datasets.ingest.recording import Frames, Recording
from slowfast.datasets.ingest.video import read_frames

if TYPE_CHECKING:
    import pyarrow as pa

INDICES = ("timestamp", "frame_index", "episode_index", "index", "task_index")
OUTCOMES = ("next.reward", "next.done", "next.truncated", "next.success")
KEPT_VALUES = 2**22
"""Of row groups: up to so many values (32 MB) stay in memory for the episodes that follow in the same group."""


def detect(path: Path) -> bool:
    info = path / INFO
    if not info.is_file():
        return False
    with info.open("rb") as file:
        return b'"codebase_version"' in file.read(2**16)


class LeRobot:
    """A LeRobot folder, or the name of a data set on the hub; an episode is a recording.

    The spec has the component "action" and, where there are texts, the language component "task". States are
    ``observation.*``; ``next.reward`` becomes the rewards, ``next.done`` (else ``next.success``) the terminations,
    ``next.truncated`` the truncations. The last row's end counts for the last action that is kept. ``options``:
    ``cameras`` and ``action`` are feature keys, ``revision`` is of a hub's data set.
    """

    def __init__(self, source: str | Path, options: SourceOptions) -> None:
        self._source, self._options = source, options
        self._layout = local_layout(source, options)
        self._cameras = self._layout.cameras(options.cameras)
        self._action = action_column(self._layout, options.action or "action")
        self._states = [feature for feature in self._layout.features.values() if self._is_state(feature)]
        outcomes = [self._layout.features[key] for key in OUTCOMES if key in self._layout.features]
        self._outcomes = [feature for feature in outcomes if feature.number and math.prod(feature.shape) == 1]
        texts = {*self._layout.tasks.values(), *(text for own in self._layout.own_tasks for text in own)} - {""}
        tasks = (Language("task", max(256, *map(len, texts))),) if texts else ()
        self.spec = ActionSpec((self._action.component, *tasks))
        self._file: ParquetRows | None = None

    def __len__(self) -> int:
        return len(self._layout)

    def name(self, i: int) -> str:
        return f"episode {int(self._layout.index[i])}"

    def read(self, i: int) -> Recording:
        name, layout = self.name(i), self._layout
        index, length = int(layout.index[i]), int(layout.length[i])
        if index in layout.repeated:
            raise DatasetError(f"{layout.root}: {name} stands more than once in meta/episodes")
        file = self._opened(layout.data_file(i))
        first, count = _rows_of(file, index, length, layout.many)
        where = f"{file.path}: {name}"
        columns = [self._action.feature, *self._states, *self._outcomes]
        plain = [key for key in INDICES if key in file.columns]
        width = sum(math.prod(feature.shape) for feature in columns) + len(plain)
        table = file.read(first, count, [*(feature.key for feature in columns), *plain], width)
        values = {feature.key: numbers(table, feature.key, feature.shape, where) for feature in columns}
        tasks = self._tasks(i, table, where)
        actions = {"action": self._action.checked(values[self._action.feature.key][:-1], where)}
        return Recording(
            name=name,
            times=self._times(table, where),
            frames={camera.key: self._frames(i, camera, file.path, first, count) for camera in self._cameras},
            actions=actions | ({"task": tasks[:-1]} if len(self.spec.components) > 1 else {}),
            spec=self.spec,
            states={feature.key: values[feature.key].astype(np.float32) for feature in self._states},
            metadata=self._metadata(index, tasks),
            **_outcomes(values, where),
        )

    def facts(self) -> dict[str, Any]:
        layout = self._layout
        used = {*INDICES, self._action.feature.key}
        used |= {feature.key for feature in (*self._cameras, *self._states, *self._outcomes)}
        found = {
            "version": f"LeRobot {layout.version}",
            "robot": layout.info.get("robot_type"),
            "cameras": ", ".join(camera.key for camera in self._cameras),
            "fps": layout.fps,
            "episodes": len(layout),
            "frames": int(layout.length.sum()),
            "states": ", ".join(feature.key for feature in self._states),
            "tasks": len(layout.tasks),
            "licence": self._licence,
            "dropped": "the action of each episode's last frame, which leads to no frame",
            "left out": ", ".join(key for key in layout.features if key not in used),
            "differs": layout.differences(),
        }
        return {key: value for key, value in found.items() if value not in (None, "")}

    def __reduce__(self) -> tuple[Any, ...]:
        return LeRobot, (self._source, self._options)

    def _is_state(self, feature: Feature) -> bool:
        vector = feature.number and len(feature.shape) <= 2 and math.prod(feature.shape) > 0
        return vector and feature.key.startswith("observation.") and feature.key != self._action.feature.key

    def _opened(self, path: Path) -> ParquetRows:
        """The file that was read last stays open: in v3.0 the next episode mostly lies in it too."""
        if self._file is None or self._file.path != path:
            if self._file is not None:
                self._file.close()
                self._file = None
            self._file = ParquetRows(path, keep=KEPT_VALUES)
        return self._file

    def _times(self, table: pa.Table, where: str) -> np.ndarray:
        """On the grid of the frame rate, where the timestamps lie on it but for the rounding of float32."""
        grid = np.arange(len(table)) / self._layout.fps
        if "timestamp" not in table.column_names:
            return grid
        times = numbers(table, "timestamp", (), where).astype(np.float64)
        wrong = np.flatnonzero(~(np.diff(times) > 0))
        if len(wrong):
            said = f"timestamps {times[wrong[0]]:g} and {times[wrong[0] + 1]:g} in rows {wrong[0]} and {wrong[0] + 1}"
            raise DatasetError(f"{where}: {said}; expected each later than the one before")
        return grid if np.abs(times - times[:1] - grid).max(initial=0) < 0.1 / self._layout.fps else times

    def _tasks(self, i: int, table: pa.Table, where: str) -> np.ndarray:
        """The task of every row, ``object [N]`` of texts: by its number, else the only one that the episode has."""
        own, known = self._layout.own_tasks[i], self._layout.tasks
        if "task_index" not in table.column_names or not known:
            return np.full(len(table), own[0] if len(own) == 1 else "", object)
        codes, places = np.unique(numbers(table, "task_index", (), where), return_inverse=True)
        unknown = [int(code) for code in codes if int(code) not in known]
        if unknown:
            raise DatasetError(f"{where}: task_index {unknown[0]} is not in meta/tasks, which has {len(known)}")
        return np.array([known[int(code)] for code in codes], object)[places]

    def _frames(self, i: int, camera: Feature, data: Path, first: int, count: int) -> Frames:
        if camera.dtype == "image":
            return functools.partial(_pictures, self._layout.root, data, camera.key, first, count)
        span = self._layout.video(i, camera.key)
        if not span.path.is_file():
            raise DatasetError(f"{span.path}: no such file; expected the frames of {camera.key!r} of {self.name(i)}")
        # a quarter of a frame early: concatenated videos' times add up small errors, on either side
        start = max(span.start - 0.25 / self._layout.fps, 0.0)
        return functools.partial(read_frames, span.path, start, count)

    def _metadata(self, index: int, tasks: np.ndarray) -> dict[str, Any]:
        found = {
            "source": self._layout.root.name if Path(self._source).exists() else str(self._source),
            "episode": index,
            "robot": self._layout.info.get("robot_type"),
            "licence": self._licence,
            "split": self._layout.split(index),
            "instruction": tasks[0] if len(set(tasks)) == 1 else None,
        }
        return {key: value for key, value in found.items() if value not in (None, "")}

    @functools.cached_property
    def _licence(self) -> str | None:
        return self._layout.licence()


def _rows_of(file: ParquetRows, index: int, length: int, many: bool) -> tuple[int, int]:
    """First row and number of rows of an episode in its file. Raises :class:`DatasetError` where the file has not the
    rows that the table of episodes promises."""
    first, count = 0, len(file)
    if many:
        rows = np.flatnonzero(file.column("episode_index") == index)
        first, count = (int(rows[0]), len(rows)) if len(rows) else (0, 0)
        if count and rows[-1] - rows[0] + 1 != count:
            raise DatasetError(f"{file.path}: the rows of episode {index} do not lie together")
    if count != length:
        raise DatasetError(f"{file.path}: has {count} rows of episode {index}, meta/episodes says {length}")
    return first, count


def _outcomes(values: dict[str, np.ndarray], where: str) -> dict[str, Any]:
    """Rewards, terminations and truncations of the N-1 actions that are kept, as far as there are columns for them."""
    rows = {key: values[key].reshape(len(values[key])) for key in OUTCOMES if key in values}
    ends = {key: rows[key].astype(np.bool_) for key in OUTCOMES[1:] if key in rows}
    for end in ends.values():
        end[-2:-1] |= end[-1:]
    outcomes: dict[str, Any] = {}
    if "next.reward" in rows:
        rewards = outcomes["rewards"] = rows["next.reward"][:-1].astype(np.float32)
        if not np.isfinite(rewards).all():
            raise DatasetError(f"{where}: 'next.reward' holds numbers that are not finite; expected a reward a row")
    terminations = ends.get("next.done", ends.get("next.success"))
    if "next.truncated" in ends:
        outcomes["truncations"] = ends["next.truncated"][:-1]
        terminations = None if terminations is None else terminations & ~ends["next.truncated"]
    if terminations is not None:
        outcomes["terminations"] = terminations[:-1]
    return outcomes


def _pictures(root: Path, data: Path, key: str, first: int, count: int) -> Iterator[np.ndarray]:
    """The frames of a camera whose pictures lie in the rows, or beside them where the rows have but their paths."""
    shape: tuple[int, ...] | None = None
    with contextlib.closing(ParquetRows(data)) as file:
        for row, value in enumerate(file.stream(first, count, key), first):
            where = f"{data}: {key!r} in row {row}"
            given = value if isinstance(value, dict) else {"bytes": value}
            encoded, path = given.get("bytes"), given.get("path")
            if encoded is None and isinstance(path, str):
                try:
                    encoded = inside(root, path).read_bytes()
                except OSError as error:
                    raise DatasetError(f"{where}: the picture {path!r} cannot be read ({error})") from error
            if not isinstance(encoded, bytes):
                raise DatasetError(f"{where}: expected a picture's bytes, got {type(value).__name__}")
            frame = decode_picture(encoded, where)
            shape = shape or frame.shape
            if frame.shape != shape:
                said = f"a picture of {frame.shape[0]}x{frame.shape[1]}"
                raise DatasetError(f"{where}: {said}; the episode's first is {shape[0]}x{shape[1]}")
            yield frame
