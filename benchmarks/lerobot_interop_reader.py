"""The half of lerobot_interop.py that runs beside LeRobot and without slowfast: loads FOLDER/lerobot with LeRobot's own
reader, compares it with FOLDER/expected.npz, and writes FOLDER/found.json."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch

OPERATORS = torch.library.Library("torchvision", "DEF")
if not hasattr(torch.ops.torchvision, "nms"):
    # torchvision describes this operator when it is imported, and its compiled half is for CUDA builds of torch;
    # reading a data set calls none of its operators
    OPERATORS.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")

from lerobot.datasets.lerobot_dataset import LeRobotDataset  # noqa: E402 - imports torchvision, which needs the above


def main(folder: Path) -> None:
    with np.load(folder / "expected.npz", allow_pickle=False) as file:
        expected = dict(file)
    fps, lengths = float(expected.pop("fps")), expected.pop("lengths")
    frames = {name.partition("/")[2]: expected.pop(name) for name in list(expected) if name.startswith("frames/")}
    dataset = LeRobotDataset("local/export", root=folder / "lerobot", video_backend="pyav")
    different = []
    if (dataset.num_episodes, len(dataset)) != (len(lengths), int(lengths.sum())):
        different.append(f"{dataset.num_episodes} episodes and {len(dataset)} rows")
    decibels: dict[str, list[float]] = {name: [] for name in frames}
    starts = np.concatenate([[0], np.cumsum(lengths)])
    for row in range(len(dataset)):
        item = dataset[row]
        episode = int(np.searchsorted(starts, row, side="right")) - 1
        place = (episode, row - int(starts[episode]), row)
        if tuple(int(item[name]) for name in ("episode_index", "frame_index", "index")) != place:
            different.append(f"place of row {row}")
        if abs(float(item["timestamp"]) - place[1] / fps) > 1e-5:
            different.append(f"timestamp of row {row}")
        different += [f"{name} of row {row}" for name in expected if not _same(item, name, expected[name][row])]
        for name, pictures in frames.items():
            decibels[name].append(_psnr(item[f"observation.images.{name}"], pictures[row]))
    different += _windows(folder, fps, starts, expected["action"])
    found = {
        "same": not different,
        "different": different[:10],
        "episodes": dataset.num_episodes,
        "rows": len(dataset),
        "psnr": {
            name: {"worst": round(min(values), 2), "median": round(float(np.median(values)), 2)}
            for name, values in decibels.items()
        },
        "statistics": sorted(dataset.meta.stats),
        "columns": sorted(dataset.features),
    }
    (folder / "found.json").write_text(json.dumps(found))


def _same(item: dict[str, Any], name: str, expected: np.ndarray) -> bool:
    if name == "task":
        return bool(item["task"] == str(expected))
    key = name if name in item else "observation.state"
    return np.array_equal(np.atleast_1d(item[key].numpy()), np.atleast_1d(expected).astype(item[key].numpy().dtype))


def _psnr(read: torch.Tensor, written: np.ndarray) -> float:
    """LeRobot gives ``float32 [3, H, W]`` in 0 to 1."""
    height, width = written.shape[:2]
    pictures = (read.numpy().transpose(1, 2, 0)[:height, :width] * 255).round()
    return float(10 * np.log10(255**2 / max(((pictures - written) ** 2).mean(), 1e-9)))


def _windows(folder: Path, fps: float, starts: np.ndarray, actions: np.ndarray) -> list[str]:
    """Windows over time, as policies are trained on: LeRobot repeats rows at the ends of an episode."""
    times = {"action": [0.0, 1 / fps, 2 / fps]}
    dataset = LeRobotDataset("local/export", root=folder / "lerobot", delta_timestamps=times, video_backend="pyav")
    wrong = []
    for last in starts[1:]:
        window = dataset[int(last) - 2]["action"].numpy()
        rows = actions[[last - 2, last - 1, last - 1]]
        if not np.array_equal(window.reshape(3, -1), rows.reshape(3, -1).astype(window.dtype)):
            wrong.append(f"window at row {last - 2}")
    return wrong


if __name__ == "__main__":
    main(Path(sys.argv[1]))
