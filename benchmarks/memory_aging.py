"""How long does an adapter remember? The same views asked for again and again, while an episode goes on elsewhere.

    python benchmarks/memory_aging.py --world doom-rooms

A turn around is really seen and taught, then a long walk through the rest of that world. At several moments of the
walk, the first turn is dreamed again from the four true frames that it began with: the change of the squared error of
its latents against the same dream without a memory, and the same with another world's memory. Every arm varies what
keeps an adapter of the world's own rule from losing what it learned long ago. Validation worlds; test worlds stay out
of it. Writes JSON after every arm; the same command goes on where it was interrupted.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
import tyro
from memory_tables import aging_table
from memory_tuning import varied
from report import RESULTS, machine, read_json, write_json

from slowfast.envs.doom_rooms.env import DoomRoomsEnv
from slowfast.envs.doom_rooms.motion import FORWARD, TURN_LEFT, TURN_RIGHT
from slowfast.envs.doom_rooms.splits import world_seeds
from slowfast.envs.doom_rooms.tours import full_turn
from slowfast.evaluation.intervals import compare
from slowfast.evaluation.revisit import ARMS, dreamed_errors, encoded, memory_of, seeds
from slowfast.evaluation.tours import Tours, known_rooms, record
from slowfast.fast import EpisodicMemory, MemoryRule
from slowfast.slow.windows import ActionTensors, select_actions
from slowfast.world_model import WorldModel

WAYS: dict[str, dict[str, Any]] = {
    "its own rule": {},
    "no decay": {"weight_decay": 0.0},
    "decay 3": {"weight_decay": 3.0},
    "decay 3, to a copy that follows by 0.02": {"weight_decay": 3.0, "consolidate": 0.02},
    "no windows kept": {"replay": 0},
    "no windows kept, decay 3, to such a copy": {"replay": 0, "weight_decay": 3.0, "consolidate": 0.02},
    "64 windows kept": {"replay": 64},
    "64 windows kept, no decay": {"replay": 64, "weight_decay": 0.0},
    "the last layer in closed form": {"name": "readout"},
    "pictures under keys": {"name": "associative"},
    "kept frames": {"memory": "retrieval"},
}
"""What is tried: settings over the world's own adapter rule, another rule, or another kind of memory."""
MOVES = {FORWARD: 0.6, TURN_LEFT: 0.2, TURN_RIGHT: 0.2}
"""How a walk goes on after the turn around: each move drawn with this chance, the same in all worlds."""


@dataclass(frozen=True)
class Settings:
    """``ages``: real frames after the turn around at which it is asked for; ``room``: steps that are free at the start
    in at least one direction, or the walk would stay where it was; ``ways``: which arms (default: all)."""

    world: str = "doom-rooms"
    worlds: int = 8
    ages: tuple[int, ...] = (0, 32, 128)
    room: int = 6
    ways: tuple[str, ...] = tuple(WAYS)
    seed: int = 0
    threads: int = 2
    out: Path = RESULTS / "memory_aging.json"


def main(settings: Settings) -> None:
    torch.set_num_threads(settings.threads)
    world = WorldModel.from_pretrained(settings.world)
    facts = {"base_hash": world.base_hash, "worlds": settings.worlds, "ages": list(settings.ages)}
    facts |= {"room": settings.room, "seed": settings.seed}
    before = read_json(settings.out) or {}
    rows = before.get("rows", []) if all(before.get(name) == value for name, value in facts.items()) else []
    walks, turn = walk(world, settings)
    latents, actions = encoded(world, walks)
    own = replace(world.memory_rule("temp_lora"), start="random")
    for way in settings.ways:
        rule = varied(world, own, WAYS[way])
        if any((row["way"], row["rule"]) == (way, rule.settings()) for row in rows):
            continue
        rows = [row for row in rows if row["way"] != way]
        new = {"way": way, "rule": rule.settings(), **aged(world, rule, latents, actions, turn, settings)}
        rows.append(new)
        rows.sort(key=lambda row: list(WAYS).index(row["way"]))
        write_json(settings.out, {**facts, "turn": turn, "machine": machine(settings.threads), "rows": rows})
        print(way, *(f"{age['own']['value']:+.3f}" for age in new["ages"]), flush=True)
    print(aging_table(read_json(settings.out)))


def walk(world: WorldModel, settings: Settings) -> tuple[Tours, int]:
    """A turn around and a long walk in each real world, and the steps of the turn."""
    env = known_rooms(world, "validation")
    rooms = cast(DoomRoomsEnv, env.unwrapped)
    drawn = np.random.default_rng(settings.seed).choice(list(MOVES), max(settings.ages), p=list(MOVES.values()))
    turn = full_turn(rooms.motion.turn_degrees)
    candidates = world_seeds("validation", 20 * settings.worlds)
    try:
        return record(env, candidates, settings.worlds, [*turn, *drawn.tolist()], settings.room), len(turn)
    finally:
        env.close()


def aged(
    world: WorldModel,
    rule: MemoryRule,
    latents: torch.Tensor,
    actions: ActionTensors,
    turn: int,
    settings: Settings,
) -> dict[str, Any]:
    """Of one rule: at each age what its memory changes, and another world's; and how much it learned."""
    dream_seed, memory_seed = seeds(settings.seed)
    memory = world.new_memory(len(latents), memory_seed, rule)
    ages, taught = [], 0
    for age in settings.ages:
        piece = (slice(None), slice(taught, turn + 1 + age))
        memory.append(latents[piece], select_actions(actions, piece))
        taught = turn + 1 + age
        errors = asked(world, memory, latents, actions, turn, dream_seed)
        changes = {arm: asdict(compare(errors[arm], errors["off"]).reduction) for arm in ("on", "other")}
        ages.append(
            {"frames": age, "own": changes["on"], "other": changes["other"], "off": float(errors["off"].mean())}
        )
    return {"ages": ages, "updates": (taught - 1) // memory.every, "gradient_steps": int(memory.steps.max())}


def asked(
    world: WorldModel,
    memory: EpisodicMemory,
    latents: torch.Tensor,
    actions: ActionTensors,
    turn: int,
    seed: int,
) -> dict[str, np.ndarray]:
    """Squared errors ``[W]`` of the first turn, dreamed from the true frames that it began with to the one before it
    ends (which is the first again), by arm."""
    context = world.config.context
    how = (latents, actions, context, turn - context, seed)
    return {arm: dreamed_errors(world, memory_of(arm, memory), *how).mean(1) for arm in ARMS}


if __name__ == "__main__":
    main(tyro.cli(Settings, description=__doc__))
