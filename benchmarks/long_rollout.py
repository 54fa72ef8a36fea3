"""What becomes of a long dream of DoomRooms: memory use, drift away from real frames, and whether it still obeys.

    python benchmarks/long_rollout.py --world doom-rooms

Real episodes of the exploring policy on test seeds are dreamed over again from their first frames, with their actions.
Prints a table and writes ``benchmarks/results/long_rollout.json``.

- **Memory use**: resident bytes of the process between frames 50 and 100 and over the last 50.
- **Drift**: squared maximum mean discrepancy (cubic polynomial kernel, unbiased) from real frames of other worlds, in
  EfficientNet-Lite0 features of length 1, of frames 10 to 60 and of the last 50. The same figures stand beside it for
  the real episodes themselves (the floor), for them through the codec (what the decoder alone costs), and for noise.
- **Obedience**: a turn of the camera is a known warp of the picture. ``wrong_turn_rise`` is how much worse a frame
  fits its predecessor warped by the opposite turn than by the one that was asked for; 0 where the dream is frozen.
"""

from __future__ import annotations

import tempfile
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch
import tyro
import yaml
from report import RESULTS, machine, write_json
from sampling_steps import through_codec
from torch.nn import functional

from slowfast.actions import ActionSpec
from slowfast.datasets.collect import collect
from slowfast.datasets.store import Store
from slowfast.dream import Dream
from slowfast.envs.doom_rooms.env import TURN_DEGREES
from slowfast.envs.doom_rooms.splits import world_seeds
from slowfast.evaluation.features import EfficientNetLite0
from slowfast.fast import MemoryRule
from slowfast.slow.config import SamplingConfig
from slowfast.world_model import WorldModel

POLICY = "slowfast.envs.policies:make_policy:explore"
EARLY = slice(10, 60)
LATE = slice(-50, None)
DRIFT_BAR = 1.5
TURNS = {0: 1.0, 1: -1.0}
"""Of the action index: left is positive."""


@dataclass(frozen=True)
class Way:
    """To dream: ``chunk`` frames at a time, by default the world's own; a prefix rolls from frame to frame alone."""

    memory: str
    sampling: SamplingConfig
    chunk: int | None = None


@dataclass(frozen=True)
class Settings:
    """``episodes``: dreamed side by side, each from ``context`` real frames; ``frames``: dreamed in each; ``real``:
    frames of other worlds that the distances are taken to; ``size``: pixels that enter the feature network; ``split``:
    validation to choose by, test to report; ``rule``: settings of the memory over the world's own, as YAML;
    ``sampling``: how it samples, where that is not as the world says; ``others``: also dream without a memory as
    :func:`other_ways` says."""

    world: str = "doom-rooms"
    split: str = "test"
    rule: str = "{}"
    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    memories: tuple[str, ...] = ("off", "temp_lora", "retrieval")
    others: bool = True
    episodes: int = 8
    frames: int = 500
    context: int = 4
    real: int = 1024
    size: int = 128
    threads: int = 2
    device: str = "cpu"
    out: Path = RESULTS / "long_rollout.json"


def main(settings: Settings) -> None:
    torch.set_num_threads(settings.threads)
    if settings.frames < 200:
        raise ValueError("frames has to be at least 200: the early and the late part would overlap")
    world = WorldModel.from_pretrained(settings.world, settings.device)
    with tempfile.TemporaryDirectory() as scratch:
        steps = settings.context - 1 + settings.frames
        walked = world_seeds(settings.split, settings.episodes)
        walks = _episodes(Path(scratch) / "walked", walked, steps)
        count = max(settings.real // 32, 2)
        known = [seed for seed in world_seeds("validation", count + len(walked)) if seed not in walked]
        others = _episodes(Path(scratch) / "real", known[:count], 128)
    frames = np.stack([walk[0] for walk in walks])
    actions = ActionSpec.stack([walk[1] for walk in walks])
    truth, moves = frames[:, settings.context :], actions["move"][:, settings.context - 1 :]
    network = EfficientNetLite0.from_package(settings.size)
    bank = np.concatenate([other[0][:: 128 // 32][:32] for other in others])
    real = unit_features(network, bank)
    noise = np.random.default_rng(0).integers(0, 256, truth.shape, np.uint8)
    rows = [
        {"frames": "real", **drift(network, real, truth), **obedience(truth, moves)},
        {"frames": "real, through the codec", **drift(network, real, through_codec(world, truth))},
        {"frames": "noise", **drift(network, real, noise)},
    ]
    ways = {f"memory {memory}": Way(memory, settings.sampling) for memory in settings.memories}
    for label, way in {**ways, **(other_ways(world) if settings.others else {})}.items():
        world.slow.set_sampling(way.sampling)
        rule = None if way.memory == "off" else world.memory_rule(yaml.safe_load(settings.rule), memory=way.memory)
        dreamed, use = dream(world, frames[:, : settings.context], actions, rule, way.chunk)
        rows.append(
            {"frames": f"dreamed, {label}", **drift(network, real, dreamed), **obedience(dreamed, moves), **use}
        )
    result = {
        "world": world.config.name,
        "base_hash": world.base_hash,
        "features": f"EfficientNet-Lite0 at {settings.size} pixels",
        "settings": {name: value for name, value in asdict(settings).items() if name not in ("out", "world")},
        "drift_bar": DRIFT_BAR,
        "machine": machine(settings.threads),
        "rows": rows,
    }
    write_json(settings.out, result)
    print(as_table(result))


def other_ways(world: WorldModel) -> dict[str, Way]:
    """Sharper, and quicker, than the world samples by itself; where it can."""
    ways: dict[str, Way] = {}
    if world.slow.noise.flow:
        ways["8 steps, evenly spaced"] = Way("off", SamplingConfig(steps=8, shift=1.0))
    if world.slow.config.prefix_timestep == "own":
        evenly = 1.0 if world.slow.noise.flow else None
        for steps in (1, 4):
            sampling = SamplingConfig(steps, evenly, roll_prefix=True)
            ways[f"frame by frame, {steps} step{'s' * (steps > 1)}, rolled"] = Way("off", sampling, 1)
    return ways


def dream(
    world: WorldModel,
    context: np.ndarray,
    actions: dict[str, np.ndarray],
    rule: MemoryRule | None,
    chunk: int | None = None,
) -> tuple[np.ndarray, dict[str, float]]:
    """Frames ``uint8 [E, T, H, W, 3]`` after ``context``, ``chunk`` at a time, and the process's mebibytes early and
    late."""
    episodes, given = context.shape[:2]
    future = {name: column[:, given - 1 :] for name, column in actions.items()}
    total = future["move"].shape[1]
    dream = Dream(world, episodes, world.new_memory(episodes, 1, rule) if rule else None, seed=0)
    dream.start(context, {name: column[:, : given - 1] for name, column in actions.items()})
    made = np.ones((episodes, total, *context.shape[2:]), np.uint8)  # written once, so that filling it takes no memory
    resident: list[float] = []
    done = 0
    for new in dream.rollout(future, chunk):
        made[:, done : done + new.shape[1]] = new
        done += new.shape[1]
        resident += [psutil.Process().memory_info().rss / 2**20] * new.shape[1]
    early, late = float(np.median(resident[50:100])), float(np.median(resident[-50:]))
    return made, {"resident_early_mib": early, "resident_late_mib": late, "memory_updates": int(dream.updates[0])}


def drift(network: EfficientNetLite0, real: np.ndarray, frames: np.ndarray) -> dict[str, float]:
    """Distances of ``frames`` ``[E, T, H, W, 3]`` from ``real`` ``[N, 1280]``: early, late, late / early."""
    figures: dict[str, float] = {}
    for name, part in (("early", EARLY), ("late", LATE)):
        features = unit_features(network, frames[:, part].reshape(-1, *frames.shape[2:]))
        figures[f"drift_{name}"] = kernel_distance(features, real)
    return {**figures, "drift_ratio": figures["drift_late"] / figures["drift_early"]}


def unit_features(network: EfficientNetLite0, frames: np.ndarray) -> np.ndarray:
    """``uint8 [N, H, W, 3]`` to directions ``float32 [N, 1280]``: a dull picture is not near to everything."""
    features = network.features(frames)
    return features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-6)


def kernel_distance(one: np.ndarray, other: np.ndarray) -> float:
    """The unbiased squared maximum mean discrepancy of two sets ``[N, D]``, with the kernel (x·y + 1)³."""

    def kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return (a.astype(np.float64) @ b.T + 1) ** 3

    def within(a: np.ndarray) -> float:
        gram = kernel(a, a)
        return float((gram.sum() - np.trace(gram)) / (len(a) * (len(a) - 1)))

    return within(one) + within(other) - 2 * float(kernel(one, other).mean())


def obedience(frames: np.ndarray, moves: np.ndarray) -> dict[str, float]:
    """Over frames ``[E, T, H, W, 3]`` that ``moves`` ``[E, T]`` led into, early and late."""
    figures = {}
    for name, part in (("early", EARLY), ("late", LATE)):
        steps = np.arange(frames.shape[1])[part]
        before, after = frames[:, steps[1:] - 1], frames[:, steps[1:]]
        turns = np.vectorize(lambda move: TURNS.get(int(move), 0.0))(moves[:, steps[1:]])
        turning = turns != 0
        asked = _warp_error(before[turning], after[turning], turns[turning])
        opposite = _warp_error(before[turning], after[turning], -turns[turning])
        figures[f"wrong_turn_rise_{name}"] = opposite / asked - 1
    return figures


def _warp_error(before: np.ndarray, after: np.ndarray, turns: np.ndarray) -> float:
    """Mean squared error of ``after`` against ``before`` seen after a turn, where both show the same part of the room.

    The view is 90 degrees wide: column x in [-1, 1] looks x = tan(angle) to the right.
    """
    old, new = (torch.from_numpy(frames).permute(0, 3, 1, 2).float() for frames in (before, after))
    height, width = old.shape[-2:]
    columns = (torch.arange(width) + 0.5) / width * 2 - 1
    rows = (torch.arange(height) + 0.5) / height * 2 - 1
    angle = columns.atan()
    source = angle - torch.from_numpy(turns).float()[:, None] * np.deg2rad(TURN_DEGREES)  # [N, W]
    x = source.tan()[:, None, :].expand(-1, height, -1)
    y = rows[:, None] * (angle.cos() / source.cos())[:, None, :]
    warped = functional.grid_sample(old, torch.stack([x, y], -1), align_corners=False)
    seen = ((x.abs() <= 1) & (y.abs() <= 1))[:, None].expand_as(warped)
    return float((warped - new).square()[seen].mean())


def _episodes(folder: Path, seeds: list[int], steps: int) -> list[tuple[np.ndarray, dict[str, np.ndarray]]]:
    collect("slowfast/DoomRooms-v0", POLICY, seeds, folder, steps=steps, compression="none")
    store = Store(folder)
    return [(store.frames(number), store.actions(number)) for number in range(len(store))]


def as_table(result: dict[str, Any]) -> str:
    columns = {
        "drift_early": "drift 10-60",
        "drift_late": "last 50",
        "drift_ratio": "ratio",
        "wrong_turn_rise_early": "obeys",
        "wrong_turn_rise_late": "late",
        "resident_early_mib": "MiB",
        "resident_late_mib": "late",
    }
    settings = result["settings"]
    lines = [
        f"{result['world']}: {settings['episodes']} rollouts of {settings['frames']} frames; {result['features']}",
        f"{'':<40}" + "".join(f"{title:>12}" for title in columns.values()),
    ]
    for row in result["rows"]:
        cells = (f"{row[name]:>12.4g}" if name in row else f"{'':>12}" for name in columns)
        lines.append(f"{row['frames']:<40}" + "".join(cells))
    lines.append(f"bar: the ratio of the dreams at most {result['drift_bar']}, obedience above 0 to the end")
    return "\n".join(lines)


if __name__ == "__main__":
    main(tyro.cli(Settings))
