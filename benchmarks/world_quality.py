"""How good a learned world of DoomRooms is, on worlds it was not trained on. Prints a table and writes JSON.

    python benchmarks/world_quality.py --world doom-rooms

Windows of true frames come from the exploring policy on the validation, test and held-out-texture seeds, the same ones
every time. Errors are squared errors of 8-bit frames, averaged before they are compared; intervals are 95 % bootstrap
intervals over worlds. ``slowfast.evaluation.one_chunk`` says what the figures mean.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import tyro
from call_times import DENOISER_FRAMES, denoiser_ms, step_ms
from report import RESULTS, machine, read_json, write_json

from slowfast.actions import ActionSpec
from slowfast.datasets.collect import collect
from slowfast.datasets.store import Store
from slowfast.datasets.windows import WindowLoader, WindowShape
from slowfast.envs.doom_rooms.splits import split_env_kwargs, world_seeds
from slowfast.evaluation.one_chunk import (
    TrueWindows,
    imagined,
    route,
    shuffled_actions,
    squared_errors,
    swapped_actions,
)
from slowfast.world_model import WorldModel

POLICY = "slowfast.envs.policies:make_policy:explore"
SWAP = {"turn left": "turn right", "turn right": "turn left"}
KINDS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "ratio": lambda ratio: ratio,
    "rise": lambda ratio: ratio - 1,
    "psnr": lambda error: 10 * np.log10(255.0**2 / np.maximum(error, 1e-12)),
}
BARS = {
    "codec_psnr": 26.0,
    "first_frame_ratio": 0.5,
    "chunk_ratio": 0.75,
    "action_sensitivity": 1.0,
    "text_action_sensitivity": 1.0,
    "shuffled_actions": 0.3,
}
"""Of validation and test. Ratios may not exceed theirs, the others have to reach it."""
DENOISER_BAR_MS = 25.0


@dataclass(frozen=True)
class Settings:
    """``windows``: drawn from each split, over all ``worlds`` of ``steps`` actions; ``clips``: where the episodes are
    kept (default: nowhere); ``threads``: of torch, for the times; ``repeats``: timed calls;
    ``compiled``: also time the network after ``torch.compile``, which takes minutes and a C++ compiler; ``times_only``:
    keep the figures of ``out`` and take the times again, when the machine is quiet.
    """

    world: str = "doom-rooms"
    splits: tuple[str, ...] = ("validation", "test", "held_out")
    worlds: int = 64
    windows: int = 512
    steps: int = 96
    seed: int = 0
    resamples: int = 1000
    threads: int = 2
    repeats: int = 50
    compiled: bool = False
    times_only: bool = False
    batch: int = 64
    clips: Path | None = None
    out: Path = RESULTS / "world_quality.json"


@dataclass(frozen=True)
class Figure:
    """sum(``numerator``) / sum(``denominator``) over windows ``[N]``, shown as ``kind`` says."""

    numerator: np.ndarray
    denominator: np.ndarray
    kind: str = "ratio"

    def value(self) -> float:
        return float(KINDS[self.kind](self.numerator.sum() / self.denominator.sum()))

    def interval(self, worlds: np.ndarray, resamples: int, rng: np.random.Generator) -> tuple[float, float]:
        """95 % of the values when worlds are drawn with replacement; ``worlds`` ``[N]`` says whose a window is."""
        names, index = np.unique(worlds, return_inverse=True)
        sums = [np.bincount(index, part, len(names)) for part in (self.numerator, self.denominator)]
        drawn = rng.integers(len(names), size=(resamples, len(names)))
        values = KINDS[self.kind](sums[0][drawn].sum(1) / np.maximum(sums[1][drawn].sum(1), 1e-12))
        low, high = np.quantile(values, [0.025, 0.975])
        return float(low), float(high)


def main(settings: Settings) -> None:
    torch.set_num_threads(settings.threads)
    world = WorldModel.from_pretrained(settings.world)
    splits = known_splits(world, settings.out) if settings.times_only else all_splits(world, settings)
    times = denoiser_ms(settings.world, settings.repeats, settings.compiled)
    result = {
        "world": world.config.name,
        "base_hash": world.base_hash,
        "prefix": world.config.context,
        "new": world.config.chunk,
        "sampling_steps": world.slow.config.steps,
        "seed": settings.seed,
        "parameters": {name: parameters(part) for name, part in (("slow", world.slow), ("codec", world.codec))},
        "megabytes": folder_bytes(world.folder) / 1e6 if world.folder else None,
        "machine": machine(settings.threads),
        "denoiser": {"frames": DENOISER_FRAMES, **{name: asdict(found) for name, found in times.items()}},
        "step": {"milliseconds": step_ms(world, settings.repeats)},
        "bars": {**BARS, "denoiser_ms": DENOISER_BAR_MS},
        "splits": splits,
    }
    write_json(settings.out, result)
    print(as_table(result))


def all_splits(world: WorldModel, settings: Settings) -> dict[str, Any]:
    """The figures of every split, of clips that are recorded for it."""
    with tempfile.TemporaryDirectory() if settings.clips is None else nullcontext(str(settings.clips)) as folder:
        return {
            split: measure(world, clips(world, split, Path(folder) / split, settings), settings)
            for split in settings.splits
        }


def known_splits(world: WorldModel, path: Path) -> dict[str, Any]:
    """The figures that were measured before. Raises ValueError where they are another network's."""
    known = read_json(path) or {}
    if known.get("base_hash") != world.base_hash:
        raise ValueError(f"{path}: holds no figures of this network; measure them first, without --times-only")
    found: dict[str, Any] = known["splits"]
    return found


def clips(world: WorldModel, split: str, folder: Path, settings: Settings) -> Store:
    """Episodes of the first ``settings.worlds`` worlds of a split, recorded unless they are in ``folder`` already."""
    environment = world.config.environment
    if environment is None or environment["id"] != "slowfast/DoomRooms-v0":
        raise ValueError(f"{world.config.name!r} was not trained on slowfast/DoomRooms-v0, which this measures against")
    kwargs = {**environment["kwargs"], **split_env_kwargs(split)}
    seeds = world_seeds(split, settings.worlds)
    return collect(environment["id"], POLICY, seeds, folder, steps=settings.steps, env_kwargs=kwargs)


def measure(world: WorldModel, store: Store, settings: Settings) -> dict[str, Any]:
    """All figures of a split: value, 95 % interval; and the share of each action with its own first-frame ratio."""
    shape = WindowShape(world.config.context, world.config.chunk)
    raw = WindowLoader(store, [shape], settings.windows, settings.seed + 1)[0]
    truth = TrueWindows(raw["frames"], raw["actions"], shape.prefix)
    figures = {**errors(world, truth, settings), **effects(world, truth, settings)}
    rng = np.random.default_rng(settings.seed)
    measured = {}
    for name, figure in {"codec_psnr": codec_psnr(world, store), **figures}.items():
        worlds = np.arange(len(store)) if name == "codec_psnr" else raw["episodes"]
        low, high = figure.interval(worlds, settings.resamples, rng)
        measured[name] = {"value": figure.value(), "low": low, "high": high}
    seeds = [int(store.metadata(i)["seed"]) for i in range(len(store))]
    frames = int(store.lengths.sum()) + len(store)
    counted = {"windows": len(truth.frames), "frames": frames, "worlds": len(store), "seeds": [min(seeds), max(seeds)]}
    return {**counted, "figures": measured, "by_action": by_action(world.action_spec, truth, figures)}


def codec_psnr(world: WorldModel, store: Store) -> Figure:
    """Of all frames of all episodes, an episode a world."""
    found = [store.frames(i)[None] for i in range(len(store))]
    means = [float(squared_errors(world.decode(world.encode(frames)), frames).mean()) for frames in found]
    return Figure(np.array(means), np.ones(len(means)), "psnr")


def errors(world: WorldModel, truth: TrueWindows, settings: Settings) -> dict[str, Figure]:
    """One chunk beside the last frame repeated, with the action by its index."""
    plain = route(world.action_spec, truth, text=False)
    dreamed = _imagined_errors(world, plain, plain.actions, settings)
    repeated = squared_errors(np.broadcast_to(truth.frames[:, truth.prefix - 1, None], truth.new.shape), truth.new)
    ones = np.ones(len(dreamed))
    return {
        "first_frame_ratio": Figure(dreamed[:, 0], repeated[:, 0]),
        "chunk_ratio": Figure(dreamed.mean(1), repeated.mean(1)),
        "first_frame_psnr": Figure(dreamed[:, 0], ones, "psnr"),
        "chunk_psnr": Figure(dreamed.mean(1), ones, "psnr"),
        "repeat_psnr": Figure(repeated.mean(1), ones, "psnr"),
    }


def effects(world: WorldModel, truth: TrueWindows, settings: Settings) -> dict[str, Figure]:
    """What swapped turns and shuffled actions do, through the index alone and through words alone."""
    spec, found = world.action_spec, {}
    for text in (False, True):
        told = route(spec, truth, text=text)
        right = _imagined_errors(world, told, told.actions, settings)
        turns, swapped = swapped_actions(spec, told, SWAP)
        wrong = np.zeros(len(right))
        chosen = TrueWindows(truth.frames[turns], ActionSpec.select(told.actions, turns), truth.prefix)
        actions, numbers = ActionSpec.select(swapped, turns), np.flatnonzero(turns)
        wrong[turns] = _imagined_errors(world, chosen, actions, settings, numbers)[:, 0]
        shuffled = _imagined_errors(world, told, shuffled_actions(spec, told, settings.seed), settings)
        prefix = "text_" if text else ""
        found[f"{prefix}action_sensitivity"] = Figure(wrong, np.where(turns, right[:, 0], 0.0), "rise")
        found[f"{prefix}shuffled_actions"] = Figure(shuffled.mean(1), right.mean(1), "rise")
    return found


def by_action(spec: ActionSpec, truth: TrueWindows, figures: dict[str, Figure]) -> dict[str, dict[str, float]]:
    """Windows by the action that led into the first new frame: their number and ratio to repeating."""
    component = spec.components[0]
    first, ratio = truth.actions[component.name][:, truth.prefix], figures["first_frame_ratio"]
    found = {}
    for index, label in enumerate(component.labels):  # type: ignore[union-attr]  # DoomRooms has moves
        rows = first == index
        if rows.any() and ratio.denominator[rows].sum():
            value = Figure(ratio.numerator[rows], ratio.denominator[rows]).value()
            found[label] = {"windows": int(rows.sum()), "first_frame_ratio": value}
    return found


def parameters(part: Any) -> int:
    return sum(parameter.numel() for parameter in part.parameters())


def folder_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def as_table(result: dict[str, Any]) -> str:
    """The figures for a terminal."""
    splits = result["splits"]
    lines = [f"{'':<26}" + "".join(f"{name:>26}" for name in splits) + f"{'bar':>8}"]
    for name in next(iter(splits.values()))["figures"]:
        cells = [split["figures"][name] for split in splits.values()]
        shown = "".join(f"{cell['value']:10.3f} [{cell['low']:6.2f}, {cell['high']:5.2f}]" for cell in cells)
        bar = result["bars"].get(name)
        lines.append(f"{name:<26}{shown}{'' if bar is None else bar:>8}")
    counted = next(iter(splits.values()))
    calls = ", ".join(
        f"{name} {result['denoiser'][name]['median']:.1f} ({result['denoiser'][name]['quietest']:.1f} at best)"
        for name in ("own", "stock", "compiled")
        if name in result["denoiser"]
    )
    lines += [
        f"{counted['windows']} windows of {counted['worlds']} worlds a split; held_out stands without a bar",
        f"{result['machine']['threads']} threads, ms a call of the denoiser on {DENOISER_FRAMES} frames: {calls}, bar "
        f"{result['bars']['denoiser_ms']:g}; from an action to its frame: {result['step']['milliseconds']:.1f}",
    ]
    return "\n".join(lines)


def _imagined_errors(
    world: WorldModel, truth: TrueWindows, actions: Any, settings: Settings, numbers: np.ndarray | None = None
) -> np.ndarray:
    """Squared errors ``[N, n]`` of the dream; window i draws from generator (seed, i)."""
    return squared_errors(imagined(world, truth, actions, settings.seed, settings.batch, numbers), truth.new)


if __name__ == "__main__":
    main(tyro.cli(Settings, description=__doc__))
