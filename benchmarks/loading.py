"""How many clips a second the loader delivers, beside decoding mp4 files and the same episodes in other formats.

Episodes of DoomRooms (or of --data) are written in every way that our store has, as mp4 files, and through `slowfast
export` for Minari and LeRobot; then the same random windows are read from each, one after another, in one thread.
What a training step takes in stands beside it. Prints a table and writes JSON.

    python benchmarks/loading.py --step-seconds 0.65 --batch-size 16
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from loading_sources import LeRobotVideos, MinariEpisodes, VideoFiles
from report import NOT_MEASURED, RESULTS, machine, markdown_table, write_json

from slowfast.datasets import mp4
from slowfast.datasets.collect import collect
from slowfast.datasets.export.formats import ExportOptions
from slowfast.datasets.export.pipeline import export
from slowfast.datasets.latents import LatentStore, encode_latents
from slowfast.datasets.sources import EpisodeSource
from slowfast.datasets.store import Store, episode_path, write_episode
from slowfast.datasets.windows import WindowLoader, WindowShape

OPEN_FILES = 16  # far fewer than there are: files are opened anew, as in a set of many thousands
POLICY = "slowfast.envs.policies:make_policy:explore"
OURS = ("none", "lzf", "gzip", "mp4")
YARDSTICK = f"mp4 files, a keyframe every {mp4.KEYFRAMES_EVERY}"
BAR = 10
"""So many times as fast as decoding mp4 files has the store that is the default at 64x64 to be."""
DEFAULT = "ours, none"
ALL = 1_000_000
"""Frames between keyframes, where a whole episode has but one."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="a folder of episodes; collected from DoomRooms if not given")
    parser.add_argument("--sides", type=int, nargs="+", default=[64, 256], help="of DoomRooms' pictures, in pixels")
    parser.add_argument("--episodes", type=int, default=256, help="files of 64x64 in a store; fewer of larger pictures")
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--window", type=int, default=8, help="frames in a window")
    parser.add_argument("--batches", type=int, default=100, help="read from each, or as many as --seconds allow")
    parser.add_argument("--seconds", type=float, default=15.0, help="longest time for one row of the table")
    parser.add_argument("--step-seconds", type=float, default=0.65, help="seconds of a training step on one batch")
    parser.add_argument("--out", type=Path, default=RESULTS / "loading.json")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        result = measure(arguments, Path(scratch))
    write_json(arguments.out, result)
    print(as_table(result))


def measure(arguments: argparse.Namespace, scratch: Path) -> dict[str, Any]:
    where = {**machine(threads=1), "load_before": round(os.getloadavg()[0], 2)}
    parts = []
    for side in [0] if arguments.data else arguments.sides:
        folder = scratch / str(side)
        original = Store(arguments.data) if arguments.data else _doom_rooms(folder / "collected", side)
        parts.append(measure_size(original, arguments, folder))
        shutil.rmtree(folder)
    settings = {name: getattr(arguments, name) for name in ("window", "batch_size", "step_seconds")}
    needed = arguments.batch_size / arguments.step_seconds
    return {"machine": where, "settings": settings, "clips_per_second_needed": needed, "bar": BAR, "sizes": parts}


def measure_size(original: Store, arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """All rows for the pictures of one store."""
    height, width, _ = original.shape(0)
    files = max(arguments.episodes * 64 * 64 // (height * width), len(original))
    rows: list[dict[str, Any]] = []
    reference: np.ndarray | None = None
    for candidate in _candidates(original, files, folder):
        started = time.perf_counter()
        source = candidate.opens()
        for i in range(len(source)):
            source.actions(i)  # read once an episode and kept
        first = time.perf_counter() - started
        loader = WindowLoader(source, [_shape(arguments.window)], arguments.batch_size)
        frames = loader[0].get("frames")
        reference = frames if reference is None else reference
        wall, busy = clips_per_second(loader, arguments.batches, arguments.seconds)
        speed = {"clips_per_second": wall, "clips_per_processor_second": busy, "seconds_to_open": first}
        size = _mebibytes(candidate.folder) / candidate.episodes
        psnr = _psnr(frames, reference)
        rows.append({"name": candidate.name, **speed, "mebibytes_an_episode": size, "psnr": psnr})
    yardstick = next(row for row in rows if row["name"] == YARDSTICK)
    for row in rows:
        row["times_mp4"] = row["clips_per_processor_second"] / yardstick["clips_per_processor_second"]
    return {
        "frame": [height, width, 3],
        "files": files,
        "distinct_episodes": len(original),
        "frames_per_episode": int(original.lengths[0]) + 1,
        "rows": rows,
    }


def clips_per_second(loader: WindowLoader, batches: int, seconds: float) -> tuple[float, float]:
    """Windows a second of one loading thread, by the clock and by its processor time (which other work spares).

    Every loader reads the same windows, in the same order; a slow one is stopped earlier.
    """
    warm = batches // 10
    for step in range(min(warm, 1 + int(seconds))):
        loader[step]
    clock, busy, done = time.perf_counter(), time.process_time(), 0
    for step in count(warm):
        loader[step]
        done += 1
        if done == batches or time.perf_counter() - clock > seconds:
            break
    clips = done * loader.sampler.batch_size
    return clips / (time.perf_counter() - clock), clips / (time.process_time() - busy)


def as_table(result: dict[str, Any] | None) -> str:
    """A Markdown table a size, what a step needs, and whether the bar is met."""
    if result is None:
        return NOT_MEASURED
    needed, settings = result["clips_per_second_needed"], result["settings"]
    header = ["clips/s", "a processor second", "× mp4", "× needed", "MiB an episode", "dB"]
    parts = []
    for part in result["sizes"]:
        height, width, _ = part["frame"]
        rows = [_cells(row, needed) for row in part["rows"]]
        parts.append(markdown_table([f"{height}x{width}, {part['files']} episodes", *header], rows))
    where = result["machine"]
    parts.append(
        f"The same random windows of {settings['window']} frames from each, in one thread of {where['cpu']}, with a "
        f"load of {where['load_before']:g} before. *× mp4*: by processor time, against mp4 files of one episode each "
        f"with a keyframe every {mp4.KEYFRAMES_EVERY} frames. *× needed*: by the clock, against a training step of "
        f"{settings['step_seconds']:g} s, which takes in {needed:.0f} clips/s. *dB*: of pictures that are not exact. "
        "Minari reads whole episodes; LeRobot's layout is read as LeRobot reads it with PyAV."
    )
    if small := next((part for part in result["sizes"] if part["frame"][:2] == [64, 64]), None):
        times = next(row["times_mp4"] for row in small["rows"] if row["name"] == DEFAULT)
        said = f"{'met' if times >= result['bar'] else 'missed'} ({DEFAULT}, the default there: {times:.0f})"
        parts.append(f"Bar: {result['bar']} times as fast as mp4 files at 64x64: {said}.")
    return "\n\n".join(parts)


def _cells(row: dict[str, Any], needed: float) -> list[str]:
    speeds = [row["clips_per_second"], row["clips_per_processor_second"], row["times_mp4"]]
    shown = [f"{speed:.0f}" if speed >= 10 else f"{speed:.1f}" for speed in (*speeds, row["clips_per_second"] / needed)]
    decibels = "" if row["psnr"] is None else f"{row['psnr']:.1f}"
    return [row["name"], *shown, f"{row['mebibytes_an_episode']:.2f}", decibels]


@dataclass(frozen=True)
class Candidate:
    """A row of the table: where its bytes lie, of how many episodes these are, and how it is opened."""

    name: str
    folder: Path
    episodes: int
    opens: Callable[[], EpisodeSource]


def _candidates(original: Store, files: int, folder: Path) -> Iterator[Candidate]:
    """Ours first, of which the first is exact. Each is written when its turn comes."""
    fps, camera, distinct = original.fps(0), original.camera, len(original)
    episodes = [replace(episode, frames={camera: episode.frames[camera]}) for episode in original]
    for compression in OURS:
        part = folder / compression
        for number, episode in enumerate(episodes):
            write_episode(part, episode, compression, number, index=False)
        for number in range(distinct, files):  # the same few episodes in as many files as a real set has
            shutil.copy(episode_path(part, number % distinct), episode_path(part, number))
        yield Candidate(f"ours, {compression}", part, files, partial(Store, part, open_files=OPEN_FILES))
    store = Store(folder / "none", open_files=OPEN_FILES)
    for name, keyframes_every in ((YARDSTICK, mp4.KEYFRAMES_EVERY), ("mp4 files, one keyframe", ALL)):
        part = folder / f"videos-{keyframes_every}"
        part.mkdir()
        paths = [part / f"{number:06d}.mp4" for number in range(files)]
        for number, path in enumerate(paths):
            if number >= distinct:
                shutil.copy(paths[number % distinct], path)
                continue
            with mp4.Mp4Writer(path, fps, keyframes_every=keyframes_every) as video:
                video.write(episodes[number].frames[camera])
        yield Candidate(name, part, files, partial(VideoFiles, store, paths, fps))
    plain = folder / "plain"
    for number, episode in enumerate(episodes):
        write_episode(plain, replace(episode, states={}, infos={}), "none", number, index=False)
    for back_end in ("hdf5", "arrow"):
        part = folder / f"minari-{back_end}-v0"
        export(plain, "minari", part, options=ExportOptions(back_end=back_end))
        yield Candidate(f"Minari, {back_end}", part, distinct, partial(MinariEpisodes, store, part))
    part = folder / "lerobot"
    export(plain, "lerobot", part)
    yield Candidate("LeRobot v3.0", part, distinct, partial(LeRobotVideos, store, part, fps))
    encode_latents(store, folder / "latents", _average_pooling, "average pooling")
    yield Candidate("ours, latents", folder / "latents", files, partial(LatentStore, folder / "latents"))


def _shape(window: int) -> WindowShape:
    return WindowShape(window // 2, window - window // 2)


def _psnr(read: np.ndarray | None, exact: np.ndarray) -> float | None:
    """In decibels; None where there are no frames, or none that differ."""
    if read is None or np.array_equal(read, exact):
        return None
    return float(10 * np.log10(255**2 / ((read.astype(np.float64) - exact) ** 2).mean()))


def _doom_rooms(folder: Path, side: int) -> Store:
    return collect("slowfast/DoomRooms-v0", POLICY, range(8), folder, steps=128, env_kwargs={"size": [side, side]})


def _average_pooling(frames: np.ndarray) -> np.ndarray:
    """A stand-in for a codec, of its usual size: 8x smaller in space, 8 channels."""
    number, height, width, _ = frames.shape
    blocks = frames.reshape(number, height // 8, 8, width // 8, 8, 3).mean((2, 4)) / 127.5 - 1
    return np.tile(blocks.transpose(0, 3, 1, 2), (1, 3, 1, 1))[:, :8]


def _mebibytes(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 2**20


if __name__ == "__main__":
    main()
