"""A LeRobot data set of the version before the one that `slowfast export` writes: v2.1, a parquet and an mp4 an
episode."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from slowfast.datasets.episode import Episode
from slowfast.video import VideoWriter

CAMERA = "observation.images.front"
STATE = "observation.colour"
DATA = "data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet"
VIDEO = "videos/chunk-{episode_chunk:03d}/{video_key}/episode_{episode_index:06d}.mp4"


def write(
    folder: Path, episodes: Sequence[Episode], actions: Sequence[np.ndarray], tasks: Sequence[np.ndarray]
) -> None:
    """``actions``: ``float32 [T, d]`` of each episode; ``tasks``: a sentence a step, ``object [T]``.

    The row of the last frame repeats the action before it, as in LeRobot's own sets."""
    known = list(dict.fromkeys(text for texts in tasks for text in texts.tolist()))
    lines: dict[str, list[dict[str, Any]]] = {"episodes": [], "episodes_stats": []}
    first = 0
    for number, episode in enumerate(episodes):
        count, place = len(episode) + 1, {"episode_chunk": 0, "episode_index": number}
        codes = [known.index(text) for text in tasks[number]]
        rewards = episode.rewards if episode.rewards is not None else np.zeros(len(episode), np.float32)
        columns = {
            STATE: episode.states["colour"].astype(np.float32),
            "action": np.concatenate([actions[number], actions[number][-1:]]),
            "next.reward": np.append(rewards, np.float32(0)),
            "timestamp": (np.arange(count) / episode.fps).astype(np.float32),
            "frame_index": np.arange(count),
            "episode_index": np.full(count, number),
            "index": first + np.arange(count),
            "task_index": np.array([*codes, codes[-1]]),
        }
        _write_table(folder / DATA.format(**place), columns)
        with VideoWriter(folder / VIDEO.format(**place, video_key=CAMERA), episode.fps) as video:
            video.write(next(iter(episode.frames.values())))
        said = list(dict.fromkeys(tasks[number].tolist()))
        lines["episodes"].append({"episode_index": number, "tasks": said, "length": count})
        bounds = {"min": actions[number].min(0).tolist(), "max": actions[number].max(0).tolist(), "count": [count]}
        lines["episodes_stats"].append({"episode_index": number, "stats": {"action": bounds}})
        first += count
    lines["tasks"] = [{"task_index": code, "task": text} for code, text in enumerate(known)]
    (folder / "meta").mkdir()
    for name, rows in lines.items():
        (folder / f"meta/{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    described = _info(episodes[0], actions[0].shape[1])
    described |= {"total_episodes": len(episodes), "total_frames": first, "total_tasks": len(known)}
    (folder / "meta/info.json").write_text(json.dumps(described, indent=1))


def _info(episode: Episode, width: int) -> dict[str, Any]:
    height, across, _ = next(iter(episode.frames.values())).shape[1:]
    picture = {"dtype": "video", "shape": [height, across, 3], "names": ["height", "width", "channels"]}
    single = {"shape": [1], "names": None}
    indices = ("frame_index", "episode_index", "index", "task_index")
    return {
        "codebase_version": "v2.1",
        "robot_type": None,
        "fps": episode.fps,
        "chunks_size": 1000,
        "data_path": DATA,
        "video_path": VIDEO,
        "features": {
            CAMERA: picture,
            STATE: {"dtype": "float32", "shape": [episode.states["colour"].shape[1]], "names": None},
            "action": {"dtype": "float32", "shape": [width], "names": None},
            "next.reward": {"dtype": "float32", **single},
            "timestamp": {"dtype": "float32", **single},
            **{name: {"dtype": "int64", **single} for name in indices},
        },
    }


def _write_table(path: Path, columns: dict[str, np.ndarray]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path.parent.mkdir(parents=True, exist_ok=True)
    parts = {
        name: pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), values.shape[1])
        if values.ndim == 2
        else pa.array(values)
        for name, values in columns.items()
    }
    pq.write_table(pa.table(parts), path)
