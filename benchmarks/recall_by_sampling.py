"""What a memory brings back, by how the world samples: a second turn around, on validation worlds.

    python benchmarks/recall_by_sampling.py --world doom-rooms

The measure of ``revisit.py`` for every kind of memory, sampled in one step, as the world samples by itself, and in
eight steps. An adapter learns at the noise levels that are sampled, so it learns anew for each. Prints a table and
writes ``benchmarks/results/recall_by_sampling.json`` after every row; ``env_steps.py`` shows the figures beside the
speed that they were had at.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import tyro
from memory_tables import sampling_table
from report import RESULTS, machine, write_json
from revisit import Settings as Tour
from revisit import walk

from slowfast.evaluation.revisit import RevisitConfig, measure_recall
from slowfast.slow.config import SamplingConfig
from slowfast.world_model import WorldModel

KINDS = ("retrieval", "hybrid", "temp_lora")


@dataclass(frozen=True)
class Settings:
    """``worlds``: of ``split``; ``steps``: of sampling, evenly spaced but for the world's own number of them."""

    world: str = "doom-rooms"
    split: str = "validation"
    worlds: int = 16
    steps: tuple[int, ...] = (1, 2, 8)
    memories: tuple[str, ...] = KINDS
    seed: int = 0
    threads: int = 2
    out: Path = RESULTS / "recall_by_sampling.json"


def main(settings: Settings) -> None:
    torch.set_num_threads(settings.threads)
    world = WorldModel.from_pretrained(settings.world)
    tours, stages = walk(world, Tour(settings.world, settings.split, settings.worlds))
    result: dict[str, Any] = {
        "base_hash": world.base_hash,
        "settings": {name: value for name, value in asdict(settings).items() if name not in ("out", "world")},
        "machine": machine(settings.threads),
        "rows": [],
    }
    own = world.slow.config.steps
    for steps in settings.steps:
        sampled = WorldModel.from_pretrained(settings.world)
        evenly = 1.0 if sampled.slow.noise.flow and steps not in (1, own) else None
        sampled.slow.set_sampling(SamplingConfig(steps, evenly))
        for memory in settings.memories:
            began = time.perf_counter()
            config = RevisitConfig(settings.seed, sampled.memory_rule(memory=memory))
            recall, _ = measure_recall(sampled, tours, tours.frames.shape[1] // 2, stages, config)
            row = {"sampling_steps": steps, "default": steps == own, "memory": memory}
            row |= {arm: {"latent": found.latent, "psnr": found.psnr} for arm, found in recall.arms.items()}
            effects = {name: asdict(effect.latent.reduction) for name, effect in recall.effects.items()}
            result["rows"].append(row | {"effects": effects, "seconds": time.perf_counter() - began})
            write_json(settings.out, result)
    print(sampling_table(result))


if __name__ == "__main__":
    main(tyro.cli(Settings, description=__doc__))
