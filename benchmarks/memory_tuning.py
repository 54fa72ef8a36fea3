"""Which settings of the fast learner remember best? A second turn around in validation worlds, for each of a list.

    python benchmarks/memory_tuning.py --world doom-rooms

The measure is that of ``benchmarks/revisit.py``: error of the dreamed second turn with the world's own memory, as a
ratio to the error without, and the same for another world's memory. Test worlds stay out of it: a recipe's ``memory``
is chosen here and measured there. Prints the table and writes JSON after every row, so that it may be interrupted.
"""

from __future__ import annotations

from collections.abc import Iterator
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
from slowfast.fast import MemoryRule, memory_rule
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
    "recalled",
    "a look for",
    "own memory",
    "another's",
    "seconds",
)


@dataclass(frozen=True)
class Settings:
    """Every combination of the lists is measured. ``worlds``: validation worlds; ``every``: new frames between
    two updates; ``replay``: windows kept; ``betas``: of Adam; ``recalled``: frames shown again, in ``looks`` of so many
    new frames (0: all of a chunk). Of ``retrieval``, which learns nothing, only these two vary."""

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
    recalled: tuple[int, ...] = (0,)
    looks: tuple[int, ...] = (0,)
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
    for rule in rules(settings):
        recall, _ = measure_recall(world, tours, seen, stages, RevisitConfig(settings.seed, rule))
        effects = {arm: 1 - recall.effects[effect].latent.reduction.value for arm, effect in ARMS.items()}
        rows.append({"rule": asdict(rule), **effects, "teach_seconds": recall.taught.seconds})
        shown = (
            rule.name,
            rule.steps,
            rule.every,
            rule.levels,
            rule.learning_rate,
            rule.weight_decay,
            rule.rank,
            rule.layers,
            rule.recalled,
            rule.recall_chunk,
            *(f"{value:.3f}" for value in effects.values()),
        )
        print(" | ".join(map(str, (*shown, f"{recall.taught.seconds:.0f}"))), flush=True)
        write_json(settings.out, {"base_hash": world.base_hash, "machine": machine(settings.threads), "rows": rows})


def rules(settings: Settings) -> Iterator[MemoryRule]:
    """All combinations, each once."""
    shared = {"replay": settings.replay, "replay_batch": settings.replay_batch, "clip": 1.0, "betas": settings.betas}
    networks = product(settings.layers, settings.ranks)
    rhythms = product(settings.every, settings.steps)
    rates = product(settings.levels, settings.learning_rates, settings.weight_decays)
    looks = product(settings.recalled, settings.looks)
    done = set()
    for name, (layers, rank), (every, steps), (levels, rate, decay), (recalled, look) in product(
        settings.rules, networks, rhythms, rates, looks
    ):
        kept = {"recalled": recalled, "recall_chunk": look or None}
        options = {**shared, "weight_decay": decay, "every": every, "steps": steps, "learning_rate": rate}
        options |= {"levels": "trained" if name == "paper" else levels, "rank": rank, "layers": layers}
        rule = memory_rule(name, **kept, **({} if name == "retrieval" else options))
        if rule not in done and (rule.steps or rule.recalled):
            done.add(rule)
            yield rule


ARMS = {"own": "memory", "other": "other_memory"}
"""Columns of the table and the effects (``slowfast.evaluation.revisit.Recall``) that they show."""


if __name__ == "__main__":
    main(tyro.cli(Settings, description=__doc__))
