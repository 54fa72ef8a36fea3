"""Which settings of the fast learner remember best? A second turn around in validation worlds, for each of a list.

    python benchmarks/memory_tuning.py --world doom-rooms

The measure is that of ``benchmarks/revisit.py``: error of the dreamed second turn with the world's own memory, as a
ratio to the error without, and the same for another world's memory. Test worlds stay out of it: a recipe's ``memory``
is chosen here and measured there. Prints the table and writes JSON after every row, so that it may be interrupted.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Any

import torch
import tyro
from report import RESULTS, machine, write_json
from revisit import Settings as Tour
from revisit import walk

from slowfast.evaluation.revisit import RevisitConfig, measure_recall
from slowfast.fast import memory_rule
from slowfast.world_model import WorldModel

COLUMNS = (
    "rule",
    "steps",
    "every",
    "levels",
    "learning rate",
    "decay",
    "rank",
    "layers",
    "own memory",
    "another's",
    "seconds",
)


@dataclass(frozen=True)
class Settings:
    """Every combination of the lists is measured. ``worlds``: validation worlds; ``every``: new frames between
    two updates; ``replay``: windows kept; ``betas``: of Adam."""

    world: str = "doom-rooms"
    worlds: int = 16
    rules: tuple[str, ...] = ("ancestor", "paper")
    steps: tuple[int, ...] = (8, 24)
    learning_rates: tuple[float, ...] = (5e-4, 1.5e-3, 3e-3)
    weight_decays: tuple[float, ...] = (0.0,)
    levels: tuple[str, ...] = ("sampled",)
    every: tuple[int, ...] = (4,)
    ranks: tuple[int, ...] = (16,)
    layers: tuple[str, ...] = ("attention_and_convolutions",)
    replay: int = 16
    replay_batch: int = 2
    betas: tuple[float, float] = (0.9, 0.999)
    seed: int = 0
    threads: int = 2
    out: Path = RESULTS / "memory_tuning.json"


def main(settings: Settings) -> None:
    torch.set_num_threads(settings.threads)
    world = WorldModel.from_pretrained(settings.world)
    tours, stages = walk(world, Tour(settings.world, "validation", settings.worlds))
    seen = tours.frames.shape[1] // 2
    rows: list[dict[str, Any]] = []
    print(" | ".join(COLUMNS), flush=True)
    shared = {"replay": settings.replay, "replay_batch": settings.replay_batch, "clip": 1.0, "betas": settings.betas}
    networks = product(settings.layers, settings.ranks)
    rhythms = product(settings.every, settings.steps)
    rates = product(settings.levels, settings.learning_rates, settings.weight_decays)
    for name, (layers, rank), (every, steps), (levels, rate, decay) in product(
        settings.rules, networks, rhythms, rates
    ):
        options = {**shared, "weight_decay": decay, "every": every, "steps": steps, "learning_rate": rate}
        options |= {"levels": "trained" if name == "paper" else levels}
        rule = memory_rule(name, rank=rank, layers=layers, **options)
        recall, _ = measure_recall(world, tours, seen, stages, RevisitConfig(settings.seed, rule))
        effects = {arm: 1 - recall.effects[effect].latent.reduction.value for arm, effect in ARMS.items()}
        rows.append({"rule": asdict(rule), **effects, "teach_seconds": recall.taught.seconds})
        shown = (
            name,
            steps,
            every,
            rule.levels,
            rate,
            decay,
            rank,
            layers,
            *(f"{value:.3f}" for value in effects.values()),
        )
        print(" | ".join(map(str, (*shown, f"{recall.taught.seconds:.0f}"))), flush=True)
        write_json(settings.out, {"base_hash": world.base_hash, "machine": machine(settings.threads), "rows": rows})


ARMS = {"own": "memory", "another's": "other_memory"}
"""Columns of the table and the effects (``slowfast.evaluation.revisit.Recall``) that they show."""


if __name__ == "__main__":
    main(tyro.cli(Settings, description=__doc__))
