"""The ablation of SlowFast-VGen (its Table 4) on DoomRooms: which parts of the fast learner matter, and in what order?

    python benchmarks/ablation.py --world doom-rooms

Two measures. Dreams that go out and come back by themselves, as in the paper: scene revisit consistency and scene cuts;
there the memory learns from what is dreamed, in as many steps as from what is seen. And observed recall: a real turn
around is taught, a second one dreamed, and compared with the truth. Gradient steps, learning rate, rank and layers are
the world's own for all arms but the paper's printed rule, so that arms differ in what is learned alone. Validation
worlds. Writes JSON after every arm and goes on where it was interrupted.
"""

from __future__ import annotations

import tempfile
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
import tyro
from memory_tables import ablation_table
from report import RESULTS, machine, read_json, write_json
from revisit import Settings as Tour
from revisit import walk

from slowfast.cli.recall import Recall, real_rooms
from slowfast.evaluation.recall import returning
from slowfast.evaluation.recall.arms import NONE
from slowfast.evaluation.revisit import RevisitConfig, measure_recall
from slowfast.evaluation.tours import record, turn_and_return
from slowfast.fast import MemoryRule, memory_rule
from slowfast.world_model import WorldModel

PRINTED, RETRIEVAL = "the paper's rule as printed", "kept frames (retrieval)"
LOCAL = "w/o context, w/o action, last chunk alone: the paper's rule, more steps"
ARMS: dict[str, dict[str, Any]] = {
    "original Temp-LoRA: prefix, action, loss on the new frames": {"name": "ancestor", "replay": 0},
    LOCAL: {"name": "paper", "replay": 0},
    "w/o local rule: samples of the whole sequence": {"name": "paper", "replay": 256},
    "w/o chunk input: one frame of context": {"name": "paper", "replay": 0},
    "ours: episodic": {},
}
"""Settings over the world's own adapter rule."""
ONE_FRAME = "w/o chunk input: one frame of context"


@dataclass(frozen=True)
class Settings:
    """``worlds``: validation worlds; ``turns``: of a dream out, and as many back."""

    world: str = "doom-rooms"
    worlds: int = 16
    turns: int = 12
    seed: int = 0
    threads: int = 2
    out: Path = RESULTS / "ablation.json"


def main(settings: Settings) -> None:
    torch.set_num_threads(settings.threads)
    world = WorldModel.from_pretrained(settings.world)
    facts = {"base_hash": world.base_hash, "settings": {**asdict(settings), "out": None}}
    before = read_json(settings.out) or {}
    rows = before.get("rows", {}) if all(before.get(name) == value for name, value in facts.items()) else {}
    scores: dict[str, returning.Visited] = {}
    tours = returns(world, settings)
    for arm, rule in arms(world).items():
        if arm in rows:
            continue
        dreamer = shortened(settings.world) if arm == ONE_FRAME else world
        if NONE not in scores:
            scores = visits(world, world, tours, {}, settings)
        found = visits(world, dreamer, tours, {arm: rule}, settings)[arm]
        fixed = (returning.SIMULATOR, NONE, returning.FROZEN)
        chosen = {name: scores[name] for name in fixed} | {arm: found}
        rows |= returning.summary(chosen, settings.seed)["arms"]
        rows[arm] |= {"observed": observed(dreamer, rule, settings), "rule": asdict(rule)}
        write_json(settings.out, {**facts, "machine": machine(settings.threads), "rows": rows})
        print(arm, f"{rows[arm]['src']:.2f}", rows[arm]["observed"], flush=True)
    print(ablation_table(read_json(settings.out)))


def arms(world: WorldModel) -> dict[str, MemoryRule]:
    """By arm; what is dreamed is learned in as many steps as what is seen."""
    own = replace(world.memory_rule("temp_lora"), dreamed_steps=None)
    printed, kept = memory_rule("paper"), world.memory_rule("retrieval")
    return {PRINTED: printed, **{arm: replace(own, **change) for arm, change in ARMS.items()}, RETRIEVAL: kept}


def shortened(name: str) -> WorldModel:
    """The world with one frame of context."""
    world = WorldModel.from_pretrained(name)
    world.config = replace(world.config, context=1)
    return world


def returns(world: WorldModel, settings: Settings) -> Any:
    """Real tours out and back, whose first frames the dreams begin with."""
    env, seeds, _ = real_rooms(Recall(split="validation", worlds=settings.worlds, group=settings.worlds), world)
    with closing(env):
        return record(env, seeds, settings.worlds, turn_and_return(settings.turns), 0)


def visits(
    world: WorldModel, dreamer: WorldModel, tours: Any, rules: dict[str, MemoryRule], settings: Settings
) -> dict[str, returning.Visited]:
    """Scores of dreams without a memory and with those of ``rules``, by the visits that ``world``'s context does not
    span."""
    with tempfile.TemporaryDirectory() as folder:
        frames = returning.dream_returns(dreamer, tours, rules, settings.seed, settings.worlds, Path(folder))
    return returning.visited(world, frames)


def observed(world: WorldModel, rule: MemoryRule, settings: Settings) -> dict[str, float]:
    """How the memory of a real turn around changes the error of a second one that is dreamed."""
    tours, stages = walk(world, Tour(settings.world, "validation", settings.worlds))
    seen = tours.frames.shape[1] // 2
    recall, _ = measure_recall(world, tours, seen, stages, RevisitConfig(settings.seed, rule))
    return asdict(recall.effects["memory"].latent.reduction)


if __name__ == "__main__":
    main(tyro.cli(Settings, description=__doc__))
