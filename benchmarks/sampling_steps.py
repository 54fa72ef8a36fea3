"""How many sampling steps, and how spaced? Error against detail, of a chunk and frame by frame, on validation worlds.

    python benchmarks/sampling_steps.py --world doom-rooms

Every step adds detail of the model's own making, which the true frame may lack: few steps give the smaller error and
the smoother picture. *Detail* is the mean absolute difference of neighbouring pixels, as a share of that of the true
frames through the codec. *Spacing* is the shift of flow matching's sampling steps: 1 spreads them evenly over the
noise levels, less puts the later ones where there is little noise. *Kept* prefixes: later steps run the new frames
alone (``keep_prefix``); *rolled* ones are kept from frame to frame as well (``roll_prefix``), which shows in a *walk*
alone, an environment's steps of one frame each. The defaults of the world that ships were chosen here. Prints a table
and writes JSON.
"""

from __future__ import annotations

import tempfile
import time
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import tyro
import world_quality
from report import NOT_MEASURED, RESULTS, machine, markdown_table, write_json
from tqdm import tqdm

from slowfast.datasets.store import Store
from slowfast.datasets.windows import WindowLoader, WindowShape
from slowfast.dream import Dream
from slowfast.evaluation.one_chunk import TrueWindows, imagined, route, squared_errors
from slowfast.slow.config import SamplingConfig
from slowfast.world_model import WorldModel


@dataclass(frozen=True)
class Settings:
    """``windows``: drawn over all ``worlds``; ``walks``: as many are dreamed, ``walk`` frames one by one; ``clips``:
    where their episodes are kept (default: nowhere); ``shifts``: spacings, for worlds that sample by flow matching."""

    world: str = "doom-rooms"
    split: str = "validation"
    steps: tuple[int, ...] = (1, 2, 4, 8)
    shifts: tuple[float, ...] = (0.5, 1.0)
    worlds: int = 64
    windows: int = 256
    walks: int = 32
    walk: int = 12
    seed: int = 0
    threads: int = 2
    clips: Path | None = None
    out: Path = RESULTS / "sampling_steps.json"


def main(settings: Settings) -> None:
    torch.set_num_threads(settings.threads)
    world = WorldModel.from_pretrained(settings.world)
    with tempfile.TemporaryDirectory() if settings.clips is None else nullcontext(str(settings.clips)) as folder:
        quality = world_quality.Settings(worlds=settings.worlds)
        store = world_quality.clips(world, settings.split, Path(folder) / settings.split, quality)
        chunks = drawn(world, store, world.config.chunk, settings.windows, settings.seed)
        walks = drawn(world, store, settings.walk, settings.walks, settings.seed)
    shifts = settings.shifts if world.slow.noise.flow else (1.0,)
    own = world.slow.config.prefix_timestep == "own"
    ways = [
        SamplingConfig(steps, shift if world.slow.noise.flow else None, keep_prefix=keep, roll_prefix=roll)
        for steps in settings.steps
        for shift in (shifts if steps > 1 else shifts[:1])
        for keep, roll in ((False, False), (True, False), (steps > 1, True))
        if own or not (keep or roll)
        if steps > 1 or not keep  # one step has no later ones
    ]
    end = slice(-max(settings.walk // 4, 1), None)
    sharp = [detail(through_codec(world, frames)) for frames in (chunks.new, walks.new[:, end])]
    rows = [measure(world, chunks, walks, way, settings.seed, end, *sharp) for way in tqdm(ways, leave=False)]
    result = {
        "world": world.config.name,
        "base_hash": world.base_hash,
        "split": settings.split,
        "windows": settings.windows,
        "walks": settings.walks,
        "walk": settings.walk,
        "worlds": settings.worlds,
        "default": list(way_of(world).values()),
        "machine": machine(settings.threads),
        "rows": rows,
    }
    write_json(settings.out, result)
    print(steps_table(result))


def drawn(world: WorldModel, store: Store, new: int, count: int, seed: int) -> TrueWindows:
    """``count`` windows with ``new`` frames to foretell; their actions come without words."""
    raw = WindowLoader(store, [WindowShape(world.config.context, new)], count, seed + 1)[0]
    return route(world.action_spec, TrueWindows(raw["frames"], raw["actions"], world.config.context), text=False)


def measure(
    world: WorldModel,
    chunks: TrueWindows,
    walks: TrueWindows,
    sampling: SamplingConfig,
    seed: int,
    end: slice,
    chunks_sharp: float,
    end_sharp: float,
) -> dict[str, Any]:
    """Errors as ratios to the last shown frame's; detail as a share of the codec's (``*_sharp``), of a walk at its
    ``end``; seconds for all walks."""
    slow, usual = world.slow, way_of(world)
    slow.set_sampling(sampling)
    made = imagined(world, chunks, chunks.actions, seed)
    began = time.perf_counter()
    walked = steps_of(world, walks, seed)
    seconds, way = time.perf_counter() - began, way_of(world)
    slow.set_sampling(SamplingConfig(**(usual if slow.noise.flow else {**usual, "shift": None})))
    errors, repeated, far = squared_errors(made, chunks.new), standing(chunks), squared_errors(walked, walks.new)
    return {
        **way,
        "first_frame_ratio": float(errors[:, 0].mean() / repeated[:, 0].mean()),
        "chunk_ratio": float(errors.mean() / repeated.mean()),
        "detail": detail(made) / chunks_sharp,
        "walk_ratio": float(far.mean() / standing(walks).mean()),
        "walk_detail": detail(walked[:, end]) / end_sharp,
        "seconds": seconds,
    }


def steps_of(world: WorldModel, truth: TrueWindows, seed: int) -> np.ndarray:
    """The new frames ``uint8 [N, n, H, W, 3]``, dreamed one by one as an environment does."""
    dream = Dream(world, len(truth.frames), None, seed)
    dream.start(
        truth.frames[:, : truth.prefix], {name: own[:, 1 : truth.prefix] for name, own in truth.actions.items()}
    )
    future = {name: own[:, truth.prefix :] for name, own in truth.actions.items()}
    return np.concatenate(list(dream.rollout(future, chunk=1)), 1)


def standing(truth: TrueWindows) -> np.ndarray:
    """Squared errors of the last shown frame, shown again and again."""
    return squared_errors(np.broadcast_to(truth.frames[:, truth.prefix - 1, None], truth.new.shape), truth.new)


def through_codec(world: WorldModel, frames: np.ndarray) -> np.ndarray:
    return np.concatenate([world.decode(world.encode(clip[None])) for clip in frames])


def way_of(world: WorldModel) -> dict[str, Any]:
    """How ``world`` samples now."""
    config = world.slow.config
    rolled = {"keep_prefix": config.keep_prefix, "roll_prefix": config.roll_prefix}
    return {"steps": config.steps, "shift": spacing(world), **rolled}


def spacing(world: WorldModel) -> float:
    """The shift of the world's sampling steps; 1 for schedulers that have none."""
    return float(world.slow.noise.scheduler.shift) if world.slow.noise.flow else 1.0


def detail(frames: np.ndarray) -> float:
    """Mean absolute difference of neighbouring pixels of ``uint8 [..., H, W, 3]``."""
    values = frames.astype(np.float32)
    return float(np.abs(np.diff(values, axis=-2)).mean() + np.abs(np.diff(values, axis=-3)).mean())


def steps_table(result: dict[str, Any] | None) -> str:
    if result is None:
        return NOT_MEASURED
    header = ["sampling steps", "spacing", "prefix", "first frame / repeating", "chunk / repeating", "detail / codec"]
    header += [f"{result['walk']} frames one by one / repeating", "their detail at the end", "seconds"]
    rows = []
    for row in result["rows"]:
        several = row["steps"] > 1
        prefix = "rolled" if row["roll_prefix"] else "kept" if row["keep_prefix"] else "anew" if several else "-"
        cells = [str(row["steps"]), f"{row['shift']:g}" if several else "-", prefix]
        if [row[name] for name in ("steps", "shift", "keep_prefix", "roll_prefix")] == result["default"]:
            cells = [f"**{cell}**" for cell in cells]
        figures = ("first_frame_ratio", "chunk_ratio", "detail", "walk_ratio", "walk_detail")
        rows.append([*cells, *(f"{row[name]:.2f}" for name in figures), f"{row['seconds']:.0f}"])
    return (
        f"{markdown_table(header, rows)}\n\n{result['windows']} windows of {result['worlds']} {result['split']} "
        f"worlds, squared errors, and {result['walks']} that are walked frame by frame; the default is in bold. "
        f"Seconds for all walks, {result['machine']['threads']} threads of {result['machine']['cpu']}."
    )


if __name__ == "__main__":
    main(tyro.cli(Settings, description=__doc__))
