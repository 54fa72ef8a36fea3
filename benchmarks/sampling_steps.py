"""How many sampling steps, and how spaced? Error against detail of one chunk ahead, on validation worlds.

    python benchmarks/sampling_steps.py --world doom-rooms

Every step adds detail of the model's own making, which the true frame may lack: few steps give the smaller error and
the smoother picture. *Detail* is the mean absolute difference of neighbouring pixels, as a share of that of the true
frames through the codec. *Spacing* is the shift of flow matching's sampling steps: 1 spreads them evenly over the
noise levels, less puts the later ones where there is little noise. *Kept prefix*: later steps run the new frames alone
(``keep_prefix``). The defaults of the world that ships were chosen here. Prints a table and writes JSON.
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

from slowfast.datasets.windows import WindowLoader, WindowShape
from slowfast.evaluation.one_chunk import TrueWindows, imagined, route, squared_errors
from slowfast.slow.config import SamplingConfig
from slowfast.world_model import WorldModel


@dataclass(frozen=True)
class Settings:
    """``windows``: drawn over all ``worlds``; ``clips``: where their episodes are kept (default: nowhere); ``shifts``:
    spacings, for worlds that sample by flow matching."""

    world: str = "doom-rooms"
    split: str = "validation"
    steps: tuple[int, ...] = (1, 2, 4, 8)
    shifts: tuple[float, ...] = (0.5, 1.0)
    worlds: int = 64
    windows: int = 256
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
        shape = WindowShape(world.config.context, world.config.chunk)
        raw = WindowLoader(store, [shape], settings.windows, settings.seed + 1)[0]
    truth = route(world.action_spec, TrueWindows(raw["frames"], raw["actions"], shape.prefix), text=False)
    repeated = squared_errors(np.broadcast_to(truth.frames[:, shape.prefix - 1, None], truth.new.shape), truth.new)
    ceiling = detail(np.concatenate([world.decode(world.encode(clip[None])) for clip in truth.new]))
    shifts = settings.shifts if world.slow.noise.flow else (1.0,)
    own = world.slow.config.prefix_timestep == "own"
    ways = [
        SamplingConfig(steps, shift if world.slow.noise.flow else None, keep_prefix=keep)
        for steps in settings.steps
        for shift in (shifts if steps > 1 else shifts[:1])
        for keep in ((False, True) if steps > 1 and own else (False,))
    ]
    rows = [measure(world, truth, repeated, ceiling, way, settings.seed) for way in ways]
    result = {
        "world": world.config.name,
        "base_hash": world.base_hash,
        "split": settings.split,
        "windows": len(truth.frames),
        "worlds": settings.worlds,
        "default": [world.slow.config.steps, spacing(world), world.slow.config.keep_prefix],
        "machine": machine(settings.threads),
        "rows": rows,
    }
    write_json(settings.out, result)
    print(steps_table(result))


def measure(
    world: WorldModel, truth: TrueWindows, repeated: np.ndarray, ceiling: float, sampling: SamplingConfig, seed: int
) -> dict[str, Any]:
    """Errors as ratios to the last shown frame's, detail as a share of the codec's, seconds for all windows."""
    slow = world.slow
    usual = SamplingConfig(
        slow.config.steps, spacing(world) if slow.noise.flow else None, keep_prefix=slow.config.keep_prefix
    )
    slow.set_sampling(sampling)
    began = time.perf_counter()
    made = imagined(world, truth, truth.actions, seed)
    seconds = time.perf_counter() - began
    row = {"steps": slow.config.steps, "shift": spacing(world), "keep_prefix": slow.config.keep_prefix}
    slow.set_sampling(usual)
    errors = squared_errors(made, truth.new)
    return {
        **row,
        "first_frame_ratio": float(errors[:, 0].mean() / repeated[:, 0].mean()),
        "chunk_ratio": float(errors.mean() / repeated.mean()),
        "detail": detail(made) / ceiling,
        "seconds": seconds,
    }


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
    header = [
        "sampling steps",
        "spacing",
        "prefix",
        "first frame / repeating",
        "chunk / repeating",
        "detail / codec",
        "seconds",
    ]
    rows = []
    for row in result["rows"]:
        several = row["steps"] > 1
        cells = [str(row["steps"]), f"{row['shift']:g}" if several else "-"]
        cells.append(("kept" if row["keep_prefix"] else "anew") if several else "-")
        if [row[name] for name in ("steps", "shift", "keep_prefix")] == result["default"]:
            cells = [f"**{cell}**" for cell in cells]
        cells += [f"{row[name]:.2f}" for name in ("first_frame_ratio", "chunk_ratio", "detail")]
        rows.append([*cells, f"{row['seconds']:.0f}"])
    return (
        f"{markdown_table(header, rows)}\n\n{result['windows']} windows of {result['worlds']} {result['split']} "
        f"worlds, squared errors; the default is in bold. Seconds for all windows, {result['machine']['threads']} "
        f"threads of {result['machine']['cpu']}."
    )


if __name__ == "__main__":
    main(tyro.cli(Settings, description=__doc__))
