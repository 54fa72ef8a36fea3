"""How many clips a second the loader delivers, beside what a training step takes in.

Episodes of DoomRooms (or of --data) are written uncompressed, with lzf, and as latents; then random windows are read
from each, in one thread. Prints a table and writes JSON.

    python benchmarks/loading.py --step-seconds 0.65 --batch-size 16
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from slowfast.datasets.collect import collect
from slowfast.datasets.latents import LatentStore, encode_latents
from slowfast.datasets.sources import EpisodeSource
from slowfast.datasets.store import Store, write_episode
from slowfast.datasets.windows import WindowLoader, WindowShape

OPEN_FILES = 16  # far fewer than there are: files are opened anew, as in a set of many thousands
POLICY = "slowfast.envs.policies:make_policy:explore"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="a folder of episodes; collected from DoomRooms if not given")
    parser.add_argument("--episodes", type=int, default=256, help="files in each store")
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--window", type=int, default=8, help="frames in a window")
    parser.add_argument("--batches", type=int, default=100)
    parser.add_argument("--step-seconds", type=float, default=0.65, help="seconds of a training step on one batch")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/loading.json"))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        result = measure(arguments, Path(scratch))
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(result, indent=1) + "\n")
    print(as_table(result))


def measure(arguments: argparse.Namespace, scratch: Path) -> dict[str, Any]:
    original = Store(arguments.data) if arguments.data else _doom_rooms(scratch / "collected")
    sources: dict[str, Callable[[], EpisodeSource]] = {}
    for compression in ("none", "lzf"):
        folder = scratch / compression
        for number in range(arguments.episodes):  # the same few episodes in as many files as a real set has
            write_episode(folder, original[number % len(original)], compression, number, index=False)
        sources[f"frames, {compression}"] = partial(Store, folder, open_files=OPEN_FILES)
    encode_latents(Store(scratch / "none"), scratch / "latents", _average_pooling, "average pooling")
    sources["latents, float16"] = partial(LatentStore, scratch / "latents")
    needed = arguments.batch_size / arguments.step_seconds
    rows = []
    for name, open_source in sources.items():
        started = time.perf_counter()
        source = open_source()
        for i in range(len(source)):
            source.actions(i)  # read once an episode and kept
        first = time.perf_counter() - started
        wall, busy = clips_per_second(source, arguments.window, arguments.batch_size, arguments.batches)
        row = {"store": name, "clips_per_second": wall, "clips_per_processor_second": busy}
        rows.append({**row, "times_needed": wall / needed, "seconds_to_open": first, **_size(scratch, name)})
    return {
        "episodes": arguments.episodes,
        "frames_per_episode": int(original.lengths[0]) + 1,
        "frame": list(original.shape(0)),
        "window_frames": arguments.window,
        "batch_size": arguments.batch_size,
        "step_seconds": arguments.step_seconds,
        "clips_per_second_needed": needed,
        "rows": rows,
    }


def clips_per_second(source: EpisodeSource, window: int, batch_size: int, batches: int) -> tuple[float, float]:
    """Windows a second of one loading thread, by the clock and by its processor time (which other work spares)."""
    loader = WindowLoader(source, [WindowShape(window // 2, window - window // 2)], batch_size)
    for step in range(batches // 10):
        loader[step]
    clock, busy = time.perf_counter(), time.process_time()
    for step in range(batches // 10, batches + batches // 10):
        loader[step]
    clips = batches * batch_size
    return clips / (time.perf_counter() - clock), clips / (time.process_time() - busy)


def as_table(result: dict[str, Any]) -> str:
    height, width, _ = result["frame"]
    lines = [
        f"{result['episodes']} files of {result['frames_per_episode']} frames {height}x{width}, "
        f"windows of {result['window_frames']}, batches of {result['batch_size']}",
        f"a training step of {result['step_seconds']} s needs {result['clips_per_second_needed']:.0f} clips/s",
        f"{'store':<18} {'clips/s':>9} {'/cpu s':>9} {'x needed':>9} {'opening s':>9} {'MiB':>9}",
    ]
    for row in result["rows"]:
        speed = f"{row['clips_per_second']:>9.0f} {row['clips_per_processor_second']:>9.0f} {row['times_needed']:>9.0f}"
        lines.append(f"{row['store']:<18} {speed} {row['seconds_to_open']:>9.2f} {row['mebibytes']:>9.0f}")
    return "\n".join(lines)


def _doom_rooms(folder: Path) -> Store:
    return collect("slowfast/DoomRooms-v0", POLICY, range(8), folder, steps=128)


def _average_pooling(frames: np.ndarray) -> np.ndarray:
    """A stand-in for a codec, of its usual size: 8x smaller in space, 8 channels."""
    count, height, width, _ = frames.shape
    blocks = frames.reshape(count, height // 8, 8, width // 8, 8, 3).mean((2, 4)) / 127.5 - 1
    return np.tile(blocks.transpose(0, 3, 1, 2), (1, 3, 1, 1))[:, :8]


def _size(scratch: Path, name: str) -> dict[str, float]:
    folder = scratch / (name.split(", ")[1] if name.startswith("frames") else "latents")
    return {"mebibytes": sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 2**20}


if __name__ == "__main__":
    main()
