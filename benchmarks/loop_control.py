"""Is the slow-fast loop worth it? The world that it trained, beside plain fine-tuning on the same pairs.

    slowfast loop --recipe doom-rooms-loop --data data/doom-rooms
    slowfast loop --recipe doom-rooms-loop --data data/doom-rooms --run runs/doom-rooms-loop-control --loop.no-attach
    python benchmarks/loop_control.py

All worlds are asked for a second turn around after a first that was really seen (the measure of
``benchmarks/revisit.py``), without a memory, with the adapter that the loop trained for, and with another world's; from
the same noise. Validation worlds: what ships is chosen here. Prints a table and writes JSON after every world.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import tyro
from memory_tables import loop_table
from report import RESULTS, machine, write_json
from revisit import Settings as Tour
from revisit import walk

from slowfast.evaluation.intervals import compare
from slowfast.evaluation.revisit import RevisitConfig, measure_recall
from slowfast.world_model import WorldModel

START, LOOP, CONTROL = "before", "slow-fast loop", "control: plain fine-tuning"


@dataclass(frozen=True)
class Settings:
    """``start``, ``loop``, ``control``: the world before, and after either run; ``worlds``: validation worlds."""

    start: str = "doom-rooms"
    loop: str = "runs/doom-rooms-loop/model"
    control: str = "runs/doom-rooms-loop-control/model"
    worlds: int = 32
    seed: int = 0
    threads: int = 2
    out: Path = RESULTS / "loop_control.json"


def main(settings: Settings) -> None:
    torch.set_num_threads(settings.threads)
    chosen = {"worlds": settings.worlds, "seed": settings.seed}
    result: dict[str, Any] = {"settings": chosen, "machine": machine(settings.threads)}
    rows: dict[str, Any] = {}
    for name, folder in {START: settings.start, CONTROL: settings.control, LOOP: settings.loop}.items():
        rows[name] = measured(WorldModel.from_pretrained(folder), folder, settings)
        rows[name]["against_start"] = against(rows[name], rows[START], settings.seed)
        if CONTROL in rows:
            rows[name]["against_control"] = against(rows[name], rows[CONTROL], settings.seed)
        result["base_hash"] = rows[START]["base_hash"]
        write_json(settings.out, {**result, "rows": rows})
    print(loop_table({**result, "rows": rows}))


def measured(world: WorldModel, folder: str, settings: Settings) -> dict[str, Any]:
    """Errors of its arms, and what its memory changes."""
    tours, stages = walk(world, Tour(folder, "validation", settings.worlds))
    rule = world.memory_rule("temp_lora")
    config = RevisitConfig(settings.seed, rule)
    recall, _ = measure_recall(world, tours, tours.frames.shape[1] // 2, stages, config)
    arms = {arm: asdict(recall.arms[arm]) for arm in ("off", "on", "other")}
    effects = {name: asdict(effect.latent.reduction) for name, effect in recall.effects.items()}
    return {"base_hash": world.base_hash, "rule": asdict(rule), "arms": arms, "effects": effects}


def against(row: dict[str, Any], reference: dict[str, Any], seed: int) -> dict[str, dict[str, float]]:
    """Of each arm, how much lower its latent error is than the same arm's in ``reference``; paired by world."""
    return {
        arm: asdict(
            compare(
                np.array(row["arms"][arm]["latent_worlds"]),
                np.array(reference["arms"][arm]["latent_worlds"]),
                seed=seed,
            ).reduction
        )
        for arm in ("off", "on")
    }


if __name__ == "__main__":
    main(tyro.cli(Settings, description=__doc__))
