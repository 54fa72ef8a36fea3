"""Does the memory bring back what was seen? A second turn around, dreamed with the memory off and on.

    python benchmarks/revisit.py --world doom-rooms

In unseen worlds the real view turns around once and the memory is taught what it sees. Then the world dreams the second
turn: every frame shows what was last seen 16 frames ago, far outside the context (``slowfast.evaluation.revisit``).
Prints a table, writes JSON and the picture of the README: the first test worlds, not chosen ones.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import cast

import numpy as np
import torch
import tyro
from pictures import save_sheet
from report import RESULTS, machine, write_json

from slowfast.envs.doom_rooms.env import DoomRoomsEnv
from slowfast.envs.doom_rooms.splits import world_seeds
from slowfast.evaluation.revisit import Frames, RevisitConfig, measure_recall
from slowfast.evaluation.tours import Stage, Tours, known_rooms, lap, record
from slowfast.evaluation.verdicts import recall_table, recall_verdicts
from slowfast.world_model import WorldModel

ARMS = {"off": "memory off", "on": "memory on"}
"""The dreams that are shown beside the truth."""


@dataclass(frozen=True)
class Settings:
    """``worlds``: unseen worlds of ``split``; ``pictured``: how many of them the picture shows; ``walk``: steps away
    and back that follow each turn around."""

    world: str = "doom-rooms"
    split: str = "test"
    worlds: int = 16
    walk: int = 0
    pictured: int = 2
    seed: int = 0
    threads: int = 2
    out: Path = RESULTS / "revisit.json"
    picture: Path = Path(__file__).parents[1] / "docs/images/revisit.png"


def main(settings: Settings) -> None:
    torch.set_num_threads(settings.threads)
    world = WorldModel.from_pretrained(settings.world)
    tours, stages = walk(world, settings)
    seen = tours.frames.shape[1] // 2
    recall, frames = measure_recall(world, tours, seen, stages, RevisitConfig(settings.seed))
    result = {
        "world": world.config.name,
        "base_hash": world.base_hash,
        "split": settings.split,
        "seeds": list(tours.seeds),
        "chunk": world.config.chunk,
        "rule": asdict(world.new_memory().rule),
        "seed": settings.seed,
        "machine": machine(settings.threads),
        "recall": asdict(recall),
    }
    write_json(settings.out, result)
    draw(frames, settings.pictured, seen, settings.picture)
    print(recall_table(result["recall"]))
    print("\n".join(f"- {sentence}" for sentence in recall_verdicts(result["recall"])))


def walk(world: WorldModel, settings: Settings) -> tuple[Tours, list[Stage]]:
    """Two laps through each real world, and the parts of a lap."""
    candidates = world_seeds(settings.split, 20 * settings.worlds)
    env = known_rooms(world, settings.split)
    moves, stages = lap(cast(DoomRoomsEnv, env.unwrapped).motion.turn_degrees, settings.walk)
    try:
        return record(env, candidates, settings.worlds, moves * 2, settings.walk), stages
    finally:
        env.close()


def draw(frames: Frames, worlds: int, seen: int, path: Path) -> None:
    """Eight frames of the second turn around: the truth, then the dream without and with memory."""
    columns = np.linspace(0, len(frames["truth"][0]) - 1, 8).round().astype(int)
    rows: list[tuple[str, np.ndarray]] = []
    for world in range(worlds):
        rows += [("", frames["truth"][world])] if rows else []
        rows += [("truth", frames["truth"][world][columns])]
        rows += [(label, frames[arm][world][columns]) for arm, label in ARMS.items()]
    save_sheet(path, rows, [f"frame {seen + 1 + column}" for column in columns])


if __name__ == "__main__":
    main(tyro.cli(Settings, description=__doc__))
