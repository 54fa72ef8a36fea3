"""Small LeRobot data sets, v2.1 and v3.0, as its own writer lays them out: real parquet, real H.264.

Every frame shows its number in the whole set (:func:`clips.counting`), the camera "wrist" that number plus 100.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from clips import counting
from PIL import Image

FRONT, WRIST = "observation.images.front", "observation.images.wrist"
TASKS = ("push the block", "open the drawer")
JOINTS = ["shoulder", "elbow", "gripper"]


@dataclass
class LeRobotSet:
    """``lengths``: rows of each episode. ``pictures``: the cameras are in the rows, not in videos. ``split_files``:
    v3.0 begins a new file after so many episodes. ``one_group``: a file is one row group, else an episode is.
    ``change_rows(episode, columns)`` may spoil the columns of an episode; ``change_info(info)`` the info.json."""

    root: Path
    version: str = "v3.0"
    lengths: Sequence[int] = (7, 12, 5)
    fps: int = 10
    cameras: Sequence[str] = (FRONT,)
    pictures: bool = False
    split_files: int = 100
    one_group: bool = False
    stats: bool = True
    tasks: Sequence[str] = TASKS
    gop: int = 8
    codec: str = "libx264"
    features: dict[str, Any] = field(default_factory=dict)
    columns: Callable[[int, int], dict[str, Any]] = lambda episode, length: {}
    change_rows: Callable[[int, dict[str, Any]], None] = lambda episode, columns: None
    change_info: Callable[[dict[str, Any]], None] = lambda info: None

    def write(self) -> Path:
        self.starts = np.cumsum([0, *self.lengths])
        (self.root / "meta").mkdir(parents=True)
        info: dict[str, Any] = {
            "codebase_version": self.version,
            "robot_type": "so100",
            "total_episodes": len(self.lengths),
            "total_frames": int(sum(self.lengths)),
            "chunks_size": 1000,
            "fps": self.fps,
            "splits": {"train": f"0:{len(self.lengths)}"},
            "features": self._features(),
        }
        many = self.version == "v3.0"
        info["data_path"] = (
            "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
            if many
            else "data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet"
        )
        info["video_path"] = (
            "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"
            if many
            else "videos/chunk-{episode_chunk:03d}/{video_key}/episode_{episode_index:06d}.mp4"
        )
        self.change_info(info)
        (self.root / "meta/info.json").write_text(json.dumps(info, indent=4))
        (self.root / "README.md").write_text("---\nlicense: apache-2.0\ntags:\n- LeRobot\n---\n# A set\n")
        if many:
            self._write_v3()
        else:
            self._write_v2()
        return self.root

    def rows(self, episode: int) -> dict[str, Any]:
        """The columns of an episode, as they are written."""
        length, start = self.lengths[episode], int(self.starts[episode])
        steps = np.arange(length)
        columns: dict[str, Any] = {
            "observation.state": np.stack([steps, steps * 2, np.full(length, episode)], 1).astype(np.float32),
            "action": np.stack([steps, np.full(length, episode), -steps], 1).astype(np.float32),
            "next.reward": (steps + 0.5).astype(np.float32),
            "next.done": steps == length - 1,
            "timestamp": (steps / self.fps).astype(np.float32),
            "frame_index": steps,
            "episode_index": np.full(length, episode),
            "index": start + steps,
            "task_index": np.full(length, episode % max(len(self.tasks), 1)),
        }
        if self.pictures:
            for camera in self.cameras:
                frames = self.frames(camera, start, length)
                columns[camera] = [
                    {"bytes": png(frame), "path": f"frame-{i:06d}.png"} for i, frame in enumerate(frames)
                ]
        columns |= self.columns(episode, length)
        self.change_rows(episode, columns)
        return columns

    def frames(self, camera: str, start: int, length: int) -> np.ndarray:
        return counting(length, 32, first=start + (100 if camera == WRIST else 0))

    def _features(self) -> dict[str, Any]:
        picture = {"shape": [32, 32, 3], "names": ["height", "width", "channels"]}
        kind = "image" if self.pictures else "video"
        single = {"shape": [1], "names": None}
        return {
            **{camera: {"dtype": kind, **picture} for camera in self.cameras},
            "observation.state": {"dtype": "float32", "shape": [3], "names": JOINTS},
            "action": {"dtype": "float32", "shape": [3], "names": {"motors": JOINTS}},
            "next.reward": {"dtype": "float32", **single},
            "next.done": {"dtype": "bool", **single},
            "timestamp": {"dtype": "float32", **single},
            **{name: {"dtype": "int64", **single} for name in ("frame_index", "episode_index", "index", "task_index")},
            **self.features,
        }

    def _stats(self, episodes: Sequence[int]) -> dict[str, Any]:
        actions = np.concatenate([np.asarray(self.rows(k)["action"], np.float64) for k in episodes])
        return {"action": {"min": actions.min(0).tolist(), "max": actions.max(0).tolist(), "count": [len(actions)]}}

    def _write_v2(self) -> None:
        episodes, stats = [], []
        for k, length in enumerate(self.lengths):
            write_table(self.root / f"data/chunk-000/episode_{k:06d}.parquet", [self.rows(k)])
            for camera in () if self.pictures else self.cameras:
                path = self.root / f"videos/chunk-000/{camera}/episode_{k:06d}.mp4"
                encode(path, self.frames(camera, int(self.starts[k]), length), self.fps, self.gop, self.codec)
            own = [self.tasks[k % len(self.tasks)]] if self.tasks else []
            episodes.append({"episode_index": k, "tasks": own, "length": length})
            stats.append({"episode_index": k, "stats": self._stats([k])} if self.stats else {})
        lines(self.root / "meta/episodes.jsonl", episodes)
        lines(self.root / "meta/tasks.jsonl", [{"task_index": i, "task": task} for i, task in enumerate(self.tasks)])
        if self.stats:
            lines(self.root / "meta/episodes_stats.jsonl", stats)

    def _write_v3(self) -> None:
        table: list[dict[str, Any]] = []
        for file, first in enumerate(range(0, len(self.lengths), self.split_files)):
            inside = range(first, min(first + self.split_files, len(self.lengths)))
            path = self.root / f"data/chunk-000/file-{file:03d}.parquet"
            write_table(path, [self.rows(k) for k in inside], self.one_group)
            start, stop = int(self.starts[inside[0]]), int(self.starts[inside[-1] + 1])
            for camera in () if self.pictures else self.cameras:
                video = self.root / f"videos/{camera}/chunk-000/file-{file:03d}.mp4"
                encode(video, self.frames(camera, start, stop - start), self.fps, self.gop, self.codec)
            for k in inside:
                row: dict[str, Any] = {
                    "episode_index": k,
                    "tasks": [self.tasks[k % len(self.tasks)]] if self.tasks else [],
                    "length": self.lengths[k],
                    "data/chunk_index": 0,
                    "data/file_index": file,
                    "dataset_from_index": int(self.starts[k]),
                    "dataset_to_index": int(self.starts[k + 1]),
                }
                for camera in () if self.pictures else self.cameras:
                    row[f"videos/{camera}/chunk_index"], row[f"videos/{camera}/file_index"] = 0, file
                    row[f"videos/{camera}/from_timestamp"] = (self.starts[k] - start) / self.fps
                    row[f"videos/{camera}/to_timestamp"] = (self.starts[k + 1] - start) / self.fps
                table.append(row)
        path = self.root / "meta/episodes/chunk-000/file-000.parquet"
        path.parent.mkdir(parents=True)
        pq.write_table(pa.Table.from_pylist(table), path)
        if self.tasks:
            index = {"task_index": list(range(len(self.tasks))), "__index_level_0__": list(self.tasks)}
            pq.write_table(pa.table(index), self.root / "meta/tasks.parquet")
        if self.stats:
            (self.root / "meta/stats.json").write_text(json.dumps(self._stats(range(len(self.lengths)))))


def write_table(path: Path, episodes: Sequence[dict[str, Any]], one_group: bool = False) -> None:
    """A parquet file of the columns of several episodes, vectors as lists."""
    path.parent.mkdir(parents=True, exist_ok=True)
    tables = [pa.table({name: _arrow(values) for name, values in columns.items()}) for columns in episodes]
    with pq.ParquetWriter(path, tables[0].schema) as writer:
        for table in [pa.concat_tables(tables)] if one_group else tables:
            writer.write_table(table)


def encode(path: Path, frames: np.ndarray, fps: int, gop: int, codec: str = "libx264") -> None:
    """One keyframe every ``gop`` frames."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        options = {"g": str(gop), "crf": "18"} | ({"preset": "12"} if codec == "libsvtav1" else {})
        stream = container.add_stream(codec, rate=fps, options=options)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode(None))


def lines(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def change_table(path: Path, change: Callable[[list[dict[str, Any]]], None]) -> None:
    """Rewrite a parquet file with its rows changed."""
    rows = pq.read_table(path).to_pylist()
    change(rows)
    pq.write_table(pa.Table.from_pylist(rows), path)


def _arrow(values: Any) -> Any:
    if isinstance(values, np.ndarray) and values.ndim == 2:
        return pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), values.shape[1])
    return pa.array(values)


def png(frame: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(frame).save(buffer, "PNG")
    return buffer.getvalue()
