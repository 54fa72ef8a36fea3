"""Is it a picture that an adapter does not bring back, or a place that it does not know again?

    python benchmarks/recognising.py --world doom-rooms

A real turn around is seen and taught, and what comes next is dreamed: views that were seen, after a prefix that was
not, because the tour had come round only once. Then the same after a turn and as much of a second one as the network
looks back on: now each view was seen after this very prefix. What the second way of asking brings back over the first
is there, and was not recognised. Every rule with its own defaults, against the same dreams without memory, and with
another world's. Validation worlds; test worlds stay out of it. Writes JSON after every rule; the same command goes on
where it was interrupted.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import tyro
from memory_tables import recognising_table
from memory_tuning import varied
from report import RESULTS, machine, read_json, write_json
from revisit import Settings as Walk
from revisit import walk

from slowfast.evaluation.intervals import compare
from slowfast.evaluation.recall.teaching import teach
from slowfast.evaluation.revisit import ARMS, dreamed_errors, encoded, memory_of, seeds
from slowfast.fast import MemoryRule
from slowfast.slow.windows import ActionTensors, select_actions
from slowfast.world_model import WorldModel

RULES: dict[str, dict[str, Any]] = {
    "an adapter that learns": {},
    "pictures under keys": {"name": "associative"},
    "many steps (imprint)": {"name": "imprint"},
    "kept frames": {"memory": "retrieval"},
}
"""What is tried: the world's own adapter rule, another rule, or another kind of memory."""


@dataclass(frozen=True)
class Settings:
    """``rules``: which of them (default: all)."""

    world: str = "doom-rooms"
    worlds: int = 12
    rules: tuple[str, ...] = tuple(RULES)
    seed: int = 0
    threads: int = 2
    out: Path = RESULTS / "recognising.json"


def main(settings: Settings) -> None:
    torch.set_num_threads(settings.threads)
    world = WorldModel.from_pretrained(settings.world)
    facts = {"base_hash": world.base_hash, "worlds": settings.worlds, "seed": settings.seed}
    before = read_json(settings.out) or {}
    rows = before.get("rows", []) if all(before.get(name) == value for name, value in facts.items()) else []
    tours, _ = walk(world, Walk(settings.world, "validation", settings.worlds))
    latents, actions = encoded(world, tours)
    own = world.memory_rule("temp_lora")
    for name in settings.rules:
        rule = varied(world, own, RULES[name])
        if any((row["memory"], row["rule"]) == (name, rule.settings()) for row in rows):
            continue
        rows = [row for row in rows if row["memory"] != name]
        new = {"memory": name, "rule": rule.settings(), **recognised(world, rule, latents, actions, settings)}
        rows.append(new)
        rows.sort(key=lambda row: list(RULES).index(row["memory"]))
        write_json(settings.out, {**facts, "machine": machine(settings.threads), "rows": rows})
        print(name, *(f"{new[way]['own']['value']:+.3f}" for way in ("once", "again")), flush=True)
    print(recognising_table(read_json(settings.out)))


def recognised(
    world: WorldModel, rule: MemoryRule, latents: torch.Tensor, actions: ActionTensors, settings: Settings
) -> dict[str, Any]:
    """What a memory of ``rule`` changes after a turn (``once``) and after a turn and a context more (``again``)."""
    dream_seed, memory_seed = seeds(settings.seed)
    turn, context = latents.shape[1] // 2, world.config.context
    memory, taught, found = world.new_memory(len(latents), memory_seed, rule), 0, {}
    for way, seen in (("once", turn + 1), ("again", turn + 1 + context)):
        piece = (slice(None), slice(taught, seen))
        teach(memory, latents[piece], select_actions(actions, piece))
        taught = seen
        errors = {
            arm: dreamed_errors(world, memory_of(arm, memory), latents, actions, seen, turn - context, dream_seed)
            for arm in ARMS
        }
        found[way] = {
            "off": float(errors["off"].mean()),
            "own": change(errors["on"], errors["off"], settings),
            "first": change(*(errors[arm][:, : world.config.chunk] for arm in ("on", "off")), settings),
            "other": change(errors["other"], errors["off"], settings),
        }
    return found


def change(errors: np.ndarray, without: np.ndarray, settings: Settings) -> dict[str, float]:
    """Of errors ``[W, n]`` against those without memory, paired by world."""
    return asdict(compare(errors.mean(1), without.mean(1), seed=settings.seed).reduction)


if __name__ == "__main__":
    main(tyro.cli(Settings, description=__doc__))
