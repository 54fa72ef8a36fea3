"""What a LeRobot folder says of itself: its version, features and tasks, and where each episode's rows and frames lie.

v2.0 and v2.1 keep a parquet file and a video an episode; v3.0 keeps many episodes in each, and tables of where they
begin.
"""

from __future__ import annotations

import math
import re
import string
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from slowfast.datasets.episode import DatasetError, check_name
from slowfast.datasets.ingest.readers.json_files import lines
from slowfast.datasets.ingest.readers.lerobot_meta import (
    INFO,
    inside,
    read_info,
    read_licence,
    tasks_v2,
    tasks_v3,
    whole,
)
from slowfast.datasets.ingest.readers.parquet_rows import ParquetRows, numbers

TEMPLATES = {
    2: (
        "data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet",
        "videos/chunk-{episode_chunk:03d}/{video_key}/episode_{episode_index:06d}.mp4",
    ),
    3: (
        "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet",
        "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4",
    ),
}
VERSIONS = {"v2.0": 2, "v2.1": 2, "v3.0": 3}


@dataclass(frozen=True)
class Feature:
    """A column or camera: ``names`` of the axes of a vector, if it has one name for each; ``labels`` of a choice, which
    ``slowfast export`` adds."""

    key: str
    dtype: str
    shape: tuple[int, ...]
    names: tuple[str, ...]
    depth: bool
    labels: tuple[str, ...] = ()

    @property
    def picture(self) -> bool:
        return self.dtype in ("video", "image")

    @property
    def number(self) -> bool:
        return re.fullmatch(r"u?int\d+|float\d+|bool", self.dtype) is not None


@dataclass(frozen=True)
class Span:
    """``length`` frames of a video file from ``start`` seconds on."""

    path: Path
    start: float


class Layout:
    """A LeRobot folder's metadata; no rows and no frames.

    ``index``, ``length``: ``int64 [N]`` of its N episodes, by rising index. ``tasks``: task index → text.
    ``own_tasks``: the texts that the episodes' table lists for each. Raises :class:`DatasetError` where the folder as
    a whole cannot be read.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.info = read_info(root)
        self.version = str(self.info.get("codebase_version"))
        if self.version not in VERSIONS:
            said = f"{root / INFO}: codebase_version is {self.version!r}; this slowfast reads {', '.join(VERSIONS)}"
            raise DatasetError(f"{said}; LeRobot's own scripts convert other versions")
        self.fps = self._number("fps", None)
        self.chunk = math.ceil(self._number("chunks_size", 1000))
        self.features = self._features()
        self.many = VERSIONS[self.version] == 3  # episodes in a file
        data_path, video_path = TEMPLATES[VERSIONS[self.version]]
        self.data_path = self._template("data_path", data_path)
        self.video_path = self._template("video_path", video_path)
        self._columns: dict[str, np.ndarray] = {}
        if self.many:
            self.tasks = tasks_v3(root)
            self._read_episodes_v3()
        else:
            self.tasks = tasks_v2(root)
            self._read_episodes_v2()
        values, counts = np.unique(self.index, return_counts=True)
        self.repeated = set(values[counts > 1].tolist())

    def __len__(self) -> int:
        return len(self.index)

    def data_file(self, i: int) -> Path:
        """The parquet file with the rows of the ``i``-th episode."""
        index = int(self.index[i])
        if not self.many:
            return self._expand("data_path", episode_chunk=index // self.chunk, episode_index=index)
        return self._expand("data_path", **self._place(i, "data"))

    def data_files(self) -> Iterator[Path]:
        """Each parquet file once, as far as the tables say where it is."""
        last = None
        for i in range(len(self)):
            with suppress(DatasetError):
                path = self.data_file(i)
                if path != last:
                    yield path
                last = path

    def video(self, i: int, key: str) -> Span:
        """Where the frames of the ``i``-th episode lie. Raises :class:`DatasetError` where the tables do not say it,
        and where they leave it fewer frames than rows."""
        index, length = int(self.index[i]), int(self.length[i])
        if not self.many:
            place = {"episode_chunk": index // self.chunk, "episode_index": index}
            return Span(self._expand("video_path", video_key=key, **place), 0.0)
        path = self._expand("video_path", video_key=key, **self._place(i, f"videos/{key}"))
        start, stop = (float(self._columns[f"videos/{key}/{name}"][i]) for name in ("from_timestamp", "to_timestamp"))
        if not (math.isfinite(stop) and start >= 0):
            raise DatasetError(f"{self.root}: meta/episodes: no times of episode {index} in the video {key!r}")
        held = (stop - start) * self.fps
        if held < length - 0.75:  # reading on would show the next episode's frames
            said = f"{start:g} to {stop:g} s of {path.name} hold {held:.1f} frames of {key!r} at {self.fps:g} a second"
            raise DatasetError(f"{self.root}: meta/episodes: {said}; episode {index} has {length} rows")
        return Span(path, start)

    def cameras(self, names: Sequence[str] = ()) -> list[Feature]:
        """The features of that name, or all that show colours. Raises :class:`DatasetError` where there are none."""
        pictures = {key: feature for key, feature in self.features.items() if feature.picture}
        known = {key: feature for key, feature in pictures.items() if not feature.depth}
        said = ", ".join(known) or "none"
        if not known:
            raise DatasetError(f"{self.root}: no camera of colour among the features {', '.join(self.features)}")
        for name in names:
            if name in pictures and name not in known:
                raise DatasetError(f"{self.root}: camera {name!r} shows depth; those of colour are {said}")
            if name not in known:
                raise DatasetError(f"{self.root}: no camera {name!r}; there are {said}")
        return [known[name] for name in names or known]

    def licence(self) -> str | None:
        """As info.json or the front matter of README.md has it."""
        return read_licence(self.root, self.info)

    def split(self, index: int) -> str | None:
        """The split ("train", ...) that info.json puts an episode into."""
        splits = self.info.get("splits")
        for name, rows in splits.items() if isinstance(splits, dict) else ():
            found = re.fullmatch(r"(\d{1,18}):(\d{1,18})", str(rows))
            if found and int(found[1]) <= index < int(found[2]):
                return str(name)
        return None

    def differences(self) -> str:
        """What info.json counts otherwise than the episodes' table; empty if nothing."""
        said = []
        for key, found in (("total_episodes", len(self)), ("total_frames", int(self.length.sum()))):
            if isinstance(self.info.get(key), int) and self.info[key] != found:
                said.append(f"info.json has {key} {self.info[key]}, meta/episodes has {found}")
        return "; ".join(said)

    # --- info.json -----------------------------------------------------------------------------------------------

    def _number(self, key: str, default: float | None) -> float:
        value = self.info.get(key, default)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < 1e9:
            raise DatasetError(f"{self.root / INFO}: {key!r} is {value!r}; expected a number above 0")
        return float(value)

    def _template(self, key: str, default: str) -> str:
        template = self.info.get(key) or default
        if not isinstance(template, str):
            raise DatasetError(f"{self.root / INFO}: {key!r} is {template!r}; expected a path")
        return template

    def _features(self) -> dict[str, Feature]:
        given = self.info.get("features")
        if not isinstance(given, dict) or not all(isinstance(feature, dict) for feature in given.values()):
            raise DatasetError(f"{self.root / INFO}: no 'features'; expected an object from key to dtype and shape")
        return {key: _feature(check_name("feature", key), feature) for key, feature in given.items()}

    def _expand(self, kind: str, **values: Any) -> Path:
        """A path template of info.json filled in. Nothing but the plain fields of LeRobot is filled in, since a
        template may also ask for attributes and for a billion zeros."""
        template, where = getattr(self, kind), f"{self.root / INFO}: {kind!r}"
        try:
            for _, field, form, conversion in string.Formatter().parse(template):
                plain = re.fullmatch(r"(0?\d{1,2})?d?", form or "") is not None and conversion is None
                if field is not None and (field not in values or not plain):
                    raise DatasetError(f"{where} is {template!r}; expected the fields {', '.join(values)}")
            path = template.format(**values)
        except (TypeError, ValueError) as error:
            if isinstance(error, DatasetError):
                raise
            raise DatasetError(f"{where} is {template!r}; expected a path with {', '.join(values)}") from error
        return inside(self.root, path)

    # --- episodes ------------------------------------------------------------------------------------------------

    def _read_episodes_v2(self) -> None:
        path = self.root / "meta/episodes.jsonl"
        rows: list[tuple[int, int, list[str]]] = []
        for number, row in lines(path):
            index, length, tasks = row.get("episode_index"), row.get("length"), row.get("tasks") or []
            if not (whole(index) and whole(length) and isinstance(tasks, list)):
                raise DatasetError(f"{path}: line {number}: expected 'episode_index' and 'length', both whole numbers")
            rows.append((int(index or 0), int(length or 0), [task for task in tasks if isinstance(task, str)]))
        rows.sort(key=lambda row: row[0])
        self.index = np.array([row[0] for row in rows], np.int64)
        self.length = np.array([row[1] for row in rows], np.int64)
        self.own_tasks = [row[2] for row in rows]

    def _read_episodes_v3(self) -> None:
        paths = sorted(self.root.glob("meta/episodes/*/*.parquet"))
        if not paths:
            raise DatasetError(f"{self.root}: no meta/episodes/*/*.parquet; expected a table of the episodes")
        videos = [feature.key for feature in self.features.values() if feature.dtype == "video"]
        counts = ["episode_index", "length", "data/chunk_index", "data/file_index"]
        counts += [f"videos/{key}/{name}" for key in videos for name in ("chunk_index", "file_index")]
        times = [f"videos/{key}/{name}" for key in videos for name in ("from_timestamp", "to_timestamp")]
        found: dict[str, list[np.ndarray]] = {name: [] for name in counts + times}
        tasks: list[list[str]] = []
        for path in paths:
            file = ParquetRows(path)
            own = [name for name in ("tasks",) if name in file.columns]
            table = file.read(0, len(file), [*counts, *times, *own])
            file.close()
            for name in counts + times:
                missing = (
                    None if name in counts[:2] else -1.0
                )  # a camera that an episode lacks leaves its columns empty
                values = numbers(table, name, (), str(path), missing)
                found[name].append(values.astype(np.float64 if name in times else np.int64))
            listed = table.column("tasks").to_pylist() if own else [[]] * len(table)
            tasks += [[text for text in row or () if isinstance(text, str)] for row in listed]
        columns = {name: np.concatenate(parts) for name, parts in found.items()}
        order = np.argsort(columns["episode_index"], kind="stable")
        self._columns = {name: values[order] for name, values in columns.items()}
        self.index, self.length = self._columns["episode_index"], self._columns["length"]
        self.own_tasks = [tasks[i] for i in order]

    def _place(self, i: int, group: str) -> dict[str, int]:
        place = {name: int(self._columns[f"{group}/{name}"][i]) for name in ("chunk_index", "file_index")}
        if min(place.values()) < 0:
            raise DatasetError(f"{self.root}: meta/episodes: no file for {group!r} of episode {int(self.index[i])}")
        return place


def _feature(key: str, given: dict[str, Any]) -> Feature:
    shape = given.get("shape", [])
    known = isinstance(shape, list) and all(whole(side) for side in shape)
    sides = tuple(shape) if known else ()
    infos = [given[name] for name in ("info", "video_info") if isinstance(given.get(name), dict)]
    depth = any(info.get("is_depth_map") or info.get("video.is_depth_map") for info in infos)
    names = _axis_names(given.get("names"))
    fitting = len(sides) == 1 and len(names) == sides[0]
    return Feature(key, str(given.get("dtype")), sides, names if fitting else (), depth, _labels(given.get("labels")))


def _labels(given: Any) -> tuple[str, ...]:
    """The labels of one choice; of several in one vector, and of what is no list of different texts, none."""
    lists = list(given.values()) if isinstance(given, dict) else [given]
    if len(lists) != 1 or not isinstance(lists[0], list) or not all(isinstance(label, str) for label in lists[0]):
        return ()
    return tuple(lists[0]) if len(set(lists[0])) == len(lists[0]) else ()


def _axis_names(names: Any) -> tuple[str, ...]:
    """A list of names, such a list in an object of one group ("motors"), or an object from name to position."""
    if isinstance(names, dict) and names:
        if all(whole(position) for position in names.values()):
            return tuple(sorted(names, key=lambda name: names[name]))
        names = [name for group in names.values() for name in (group if isinstance(group, list) else [group])]
    return tuple(map(str, names)) if isinstance(names, list) else ()
