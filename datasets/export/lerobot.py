"""LeRobot v3.0: rows of all episodes in parquet files, frames in H.264, and tables of where each episode lies.

What LeRobot has no place for - the labels of choices, the names of our components - is in ``meta/slowfast.json``; its
own readers pass it by.
"""

from __future__ import annotations

import json
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from slowfast.datasets import mp4
from slowfast.datasets.episode import DatasetError, Episode
from slowfast.datasets.export.formats import ExportOptions
from slowfast.datasets.export.lerobot_features import Feature, camera_key, features, task_component, task_texts
from slowfast.datasets.export.lerobot_files import DATA_MIB, FILES_A_FOLDER, VIDEO_MIB, ParquetFiles, VideoFiles
from slowfast.datasets.export.lerobot_statistics import NAMES, Total, of_pictures, of_rows
from slowfast.datasets.export.survey import Survey

VERSION = "v3.0"
DATA = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
VIDEO = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"
EPISODES_A_GROUP = 64


class LeRobotWriter:
    """See :class:`~slowfast.datasets.export.pipeline.Writer`. All episodes need one rate and one size a camera."""

    def __init__(self, folder: Path, name: str, survey: Survey, options: ExportOptions) -> None:
        self._folder, self._survey = folder, survey
        self.fps = float(mp4.rate(survey.one_fps()))  # timestamps have to be the video's own
        self._sizes = {camera: survey.size(camera) for camera in survey.cameras}
        self._task = task_component(survey)
        self._features, left_out = features(survey, self._task)
        self.left_out = tuple(left_out)
        self._features += _indices(self.fps)
        keys = [feature.key for feature in self._features] + [camera_key(camera) for camera in survey.cameras]
        twice = sorted({key for key in keys if keys.count(key) > 1})
        if twice:
            raise DatasetError(f"{survey.store.folder}: two columns would be called {twice[0]!r}; rename a state")
        self._videos = {
            camera: VideoFiles(folder / "videos" / camera_key(camera), self.fps, options.quality)
            for camera in survey.cameras
        }
        self._rows = ParquetFiles(folder / "data", _row_schema(self._features))
        self._table = ParquetFiles(folder / "meta/episodes", self._episode_schema())
        self._pending: list[dict[str, Any]] = []
        self._tasks: dict[str, int] = {}
        self._totals = {key: Total() for key in self._statistics_keys()}
        self._frames = 0
        self._licences: set[Any] = set()

    def add(self, number: int, episode: Episode) -> None:
        count = len(episode) + 1
        texts = task_texts(episode, self._task)
        codes = np.array([self._tasks.setdefault(text, len(self._tasks)) for text in texts], np.int64)
        given = {"episode_index": np.full(count, number), "index": self._frames + np.arange(count), "task_index": codes}
        rows = {
            feature.key: given[feature.key][:, None] if feature.key in given else feature.rows(episode)
            for feature in self._features
        }
        place = self._rows.write({feature.key: _arrow(feature, rows[feature.key]) for feature in self._features})
        row: dict[str, Any] = {
            "episode_index": number,
            "tasks": list(dict.fromkeys(texts.tolist())),
            "length": count,
            "dataset_from_index": self._frames,
            "dataset_to_index": self._frames + count,
            **{f"data/{name}": value for name, value in place.indices.items()},
        }
        found = {f.key: of_rows(rows[f.key]) for f in self._features if f.dtype != "string"}
        for camera, videos in self._videos.items():
            key = camera_key(camera)
            row |= {f"videos/{key}/{name}": value for name, value in videos.add(episode.frames[camera]).items()}
            found[key] = of_pictures(episode.frames[camera])
        for key, statistics in found.items():
            self._totals[key].add(statistics)
            row |= {f"stats/{key}/{name}": statistics[name].tolist() for name in NAMES}
        row["slowfast/metadata"] = json.dumps(episode.metadata, sort_keys=True)
        self._licences.add(episode.metadata.get("licence"))
        self._frames += count
        self._pending.append(row)
        if len(self._pending) == EPISODES_A_GROUP:
            self._flush()

    def __enter__(self) -> LeRobotWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._flush()
        self._rows.close()
        self._table.close()
        for videos in self._videos.values():
            videos.close()
        if kind is None:
            self._write_meta()

    def _flush(self) -> None:
        if not self._pending:
            return
        for name, value in self._table.place().indices.items():
            for row in self._pending:
                row[f"meta/episodes/{name}"] = value
        self._table.write({name: [row[name] for row in self._pending] for name in self._pending[0]})
        self._pending.clear()

    def _write_meta(self) -> None:
        meta = self._folder / "meta"
        _write_tasks(meta / "tasks.parquet", self._tasks)
        totals = {key: total.result() for key, total in self._totals.items()}
        listed = {key: {name: total[name].tolist() for name in NAMES} for key, total in totals.items()}
        _write_json(meta / "stats.json", listed)
        _write_json(meta / "info.json", self._info())
        spec = json.loads(self._survey.spec.to_json())
        _write_json(meta / "slowfast.json", {"version": 1, "action_spec": spec, "task": self._task})
        if len(self._licences) == 1 and None not in self._licences:
            front = yaml.safe_dump({"license": str(*self._licences), "tags": ["LeRobot"]})
            (self._folder / "README.md").write_text(f"---\n{front}---\n\nA data set in LeRobot's format {VERSION}.\n")

    def _info(self) -> dict[str, Any]:
        count = len(self._survey.episodes)
        described = {camera_key(camera): self._camera_info(*size) for camera, size in self._sizes.items()}
        return {
            "codebase_version": VERSION,
            "robot_type": None,
            "total_episodes": count,
            "total_frames": self._frames,
            "total_tasks": len(self._tasks),
            "chunks_size": FILES_A_FOLDER,
            "data_files_size_in_mb": DATA_MIB,
            "video_files_size_in_mb": VIDEO_MIB,
            "fps": int(self.fps) if self.fps.is_integer() else self.fps,
            "splits": {"train": f"0:{count}"},
            "data_path": DATA,
            "video_path": VIDEO,
            "features": described | {feature.key: feature.info() for feature in self._features},
        }

    def _camera_info(self, height: int, width: int) -> dict[str, Any]:
        height, width = height + height % 2, width + width % 2  # as the video has it
        return {
            "dtype": "video",
            "shape": [height, width, 3],
            "names": ["height", "width", "channels"],
            "info": {
                "video.height": height,
                "video.width": width,
                "video.codec": "h264",
                "video.pix_fmt": "yuv420p",
                "video.is_depth_map": False,
                "video.fps": self.fps,
                "video.channels": 3,
                "has_audio": False,
            },
        }

    def _statistics_keys(self) -> list[str]:
        return [f.key for f in self._features if f.dtype != "string"] + [camera_key(name) for name in self._sizes]

    def _episode_schema(self) -> pa.Schema:
        whole = ["episode_index", "length", "dataset_from_index", "dataset_to_index"]
        whole += [f"{group}/{name}" for group in ("data", "meta/episodes") for name in ("chunk_index", "file_index")]
        fields: dict[str, pa.DataType] = {name: pa.int64() for name in whole}
        fields |= {"tasks": pa.list_(pa.string()), "slowfast/metadata": pa.string()}
        numbers = pa.list_(pa.float64())
        for camera in self._sizes:
            key = f"videos/{camera_key(camera)}"
            fields |= {f"{key}/chunk_index": pa.int64(), f"{key}/file_index": pa.int64()}
            fields |= {f"{key}/from_timestamp": pa.float64(), f"{key}/to_timestamp": pa.float64()}
        for key in self._statistics_keys():
            picture = key in map(camera_key, self._sizes)
            shaped = pa.list_(pa.list_(numbers)) if picture else numbers
            fields |= {f"stats/{key}/{name}": pa.list_(pa.int64()) if name == "count" else shaped for name in NAMES}
        return pa.schema(list(fields.items()))


def _indices(fps: float) -> list[Feature]:
    """The columns that say where a row is; what an episode does not know of itself is filled in by the writer."""

    def positions(episode: Episode) -> np.ndarray:
        return np.arange(len(episode) + 1)[:, None]

    def times(episode: Episode) -> np.ndarray:
        return (positions(episode) / fps).astype(np.float32)

    whole = [Feature(key, "int64", (), positions) for key in ("frame_index", "episode_index", "index", "task_index")]
    return [Feature("timestamp", "float32", (), times), *whole]


def _row_schema(columns: list[Feature]) -> pa.Schema:
    """LeRobot keeps a single number as a scalar, and several as a list of fixed length."""
    fields = []
    for feature in columns:
        kind = pa.string() if feature.dtype == "string" else pa.from_numpy_dtype(np.dtype(feature.dtype))
        fields.append((feature.key, kind if len(feature.names) <= 1 else pa.list_(kind, len(feature.names))))
    return pa.schema(fields)


def _arrow(feature: Feature, rows: np.ndarray) -> pa.Array:
    if feature.dtype == "string":
        return pa.array(rows.tolist(), pa.string())
    values = pa.array(np.ascontiguousarray(rows.astype(feature.dtype)).reshape(-1))
    return values if len(feature.names) <= 1 else pa.FixedSizeListArray.from_arrays(values, len(feature.names))


def _write_tasks(path: Path, tasks: dict[str, int]) -> None:
    """A pandas table whose index are the texts, since that is how LeRobot looks them up."""
    index = {"name": "task", "field_name": "task", "pandas_type": "unicode", "numpy_type": "object", "metadata": None}
    code = {"name": "task_index", "field_name": "task_index", "pandas_type": "int64", "numpy_type": "int64"}
    axes = {"name": None, "field_name": None, "pandas_type": "unicode", "numpy_type": "object", "metadata": None}
    pandas = {
        "index_columns": ["task"],
        "column_indexes": [axes],
        "columns": [{**code, "metadata": None}, index],
        "creator": {"library": "pyarrow", "version": pa.__version__},
    }
    table = pa.table({"task_index": pa.array(list(tasks.values()), pa.int64()), "task": list(tasks)})
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table.replace_schema_metadata({"pandas": json.dumps(pandas)}), path)


def _write_json(path: Path, value: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
