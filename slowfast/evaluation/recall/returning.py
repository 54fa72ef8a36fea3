"""Scene revisit consistency (the paper's SRC, §4.1): a dream goes out and comes back; does it meet what it dreamed?

Nothing but the first frames is true. A dream that stands still scores 100, so a frozen control, the simulator's own
score and how much each arm moves stand beside every score.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from slowfast.datasets.files import replacing
from slowfast.evaluation.dreamed_return import dream_tours, returning_pairs
from slowfast.evaluation.features import EfficientNetLite0
from slowfast.evaluation.intervals import drawn, interval
from slowfast.evaluation.recall.arms import NONE
from slowfast.evaluation.recall.scores import FEATURE_SIZE, unit_features
from slowfast.evaluation.recall.teaching import Progress
from slowfast.evaluation.revisit import seeds
from slowfast.evaluation.scene_cuts import DETECTORS, scene_cuts
from slowfast.evaluation.tours import Tours
from slowfast.evaluation.verdicts import Table
from slowfast.fast import MemoryRule
from slowfast.world_model import WorldModel

FROZEN, SIMULATOR = "frozen dream", "simulator"


@dataclass(frozen=True)
class Visited:
    """One arm, a figure a world, ``float64 [W]``.

    ``src``: cosine of features between later and first visits, times 100, over all views that come back from beyond
    the context; ``motion``: 100 minus that of views f_p frames apart on the way out; ``cuts``: scene cuts by detector.
    """

    src: np.ndarray
    motion: np.ndarray
    cuts: dict[str, np.ndarray]


def dream_returns(
    world: WorldModel,
    tours: Tours,
    rules: Mapping[str, MemoryRule],
    seed: int,
    group: int,
    parts: Path,
    progress: Progress | None = None,
) -> dict[str, np.ndarray]:
    """Whole tours ``uint8 [W, T + 1, H, W, 3]`` of every arm: no memory, each rule by its name, the simulator, and a
    frozen dream, which repeats its last given frame. What is in ``parts`` already is not dreamed again."""
    jobs = [(arm, first) for arm in (NONE, *rules) for first in range(0, len(tours), group)]
    found: dict[str, list[np.ndarray]] = {}
    for number, (arm, first) in enumerate(jobs):
        part = tours.part(slice(first, first + group))
        path = parts / f"return--{arm.replace(' ', '-')}--{first:04d}.safetensors"
        if not path.exists():
            dream_seed, memory_seed = seeds(seed + first)
            memory = world.new_memory(len(part), memory_seed, rules[arm]) if arm in rules else None
            made, _ = dream_tours(world, part, memory, dream_seed)
            with replacing(path) as temporary:
                save_file({"frames": torch.from_numpy(made)}, temporary)
        with safe_open(path, framework="numpy") as file:
            found.setdefault(arm, []).append(file.get_tensor("frames"))
        if progress:
            progress(number + 1, len(jobs), arm=arm)
    given = world.config.context
    still = tours.frames.copy()
    still[:, given:] = still[:, given - 1 : given]
    arms = {arm: np.concatenate(frames) for arm, frames in found.items()}
    return {SIMULATOR: tours.frames, **arms, FROZEN: still}


def visited(
    world: WorldModel, frames: Mapping[str, np.ndarray], progress: Progress | None = None
) -> dict[str, Visited]:
    """Scores of every arm."""
    network = EfficientNetLite0.from_package(FEATURE_SIZE)
    found = {}
    for number, (arm, clips) in enumerate(frames.items()):
        total, apart = clips.shape[1] - 1, world.config.context
        first, later = (list(visits) for visits in zip(*returning_pairs(world, total), strict=True))
        features = unit_features(network, clips)
        out = features[:, : total // 2 + 1]
        found[arm] = Visited(
            src=100 * (features[:, later] * features[:, first]).sum(-1).mean(1).astype(np.float64),
            motion=100 * (1 - (out[:, apart:] * out[:, :-apart]).sum(-1).mean(1).astype(np.float64)),
            cuts={name: np.array([len(scene_cuts(clip, name)) for clip in clips], float) for name in DETECTORS},
        )
        if progress:
            progress(number + 1, len(frames), arm=arm)
    return found


def summary(found: Mapping[str, Visited], seed: int = 0) -> dict[str, Any]:
    """By arm: means, and ``closed``: the share of the distance between no memory and the simulator that it closes, with
    95 % of its values when worlds are drawn with replacement (paired)."""
    none, best = found[NONE].src, found[SIMULATOR].src
    chosen = drawn(len(none), seed=seed)
    arms = {}
    for arm, scores in found.items():
        gained, missing = scores.src - none, best - none
        shares = gained[chosen].mean(1) / missing[chosen].mean(1)
        closed = vars(interval(float(gained.mean() / missing.mean()), shares))
        arms[arm] = {
            "src": float(scores.src.mean()),
            "src_worlds": scores.src.tolist(),
            "closed": None if arm in (NONE, SIMULATOR) else closed,
            "motion": float(scores.motion.mean()),
            "cuts": {name: float(count.mean()) for name, count in scores.cuts.items()},
        }
    return {"arms": arms, "worlds": len(none)}


def table(result: Mapping[str, Any]) -> Table:
    """Every arm: its score, the share of the distance that it closes, what it moves, and its scene cuts a clip."""
    rows = []
    for arm, figures in result["arms"].items():
        closed = figures["closed"]
        share = (
            ""
            if closed is None
            else " ".join(
                [f"{100 * closed['value']:.0f} %", f"[{100 * closed['low']:.0f}, {100 * closed['high']:.0f}]"]
            )
        )
        cuts = [f"{figures['cuts'][name]:.2f}" for name in DETECTORS]
        rows.append([arm, f"{figures['src']:.2f}", share, f"{figures['motion']:.2f}", *cuts])
    return Table(["arm", "SRC", "of the way closed [95 %]", "motion", "cuts (adaptive)", "cuts (content)"], rows)
