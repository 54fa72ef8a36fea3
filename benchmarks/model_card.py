"""Fills the model card of a world: its figures, its training facts, and the picture of left and right.

    python benchmarks/world_quality.py --world doom-rooms
    python benchmarks/model_card.py --world doom-rooms --codec-run runs/doom-rooms-codec-5 \\
        --slow-run runs/doom-rooms-5 --odometry-run runs/doom-rooms-odometry \\
        --inverse-dynamics-run runs/doom-rooms-inverse-dynamics

The card is ``README.md`` in the world's folder, with parts between markers (``benchmarks/report.py``); ``--check`` only
says whether they are what the results say. Facts of the training runs are read once and kept in
``benchmarks/results/training.json``: name the runs that are new, the others are known.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import tyro
from memory_tables import loop_table
from pictures import save_sheet
from report import NOT_MEASURED, RESULTS, Parts, filled, filled_parts, read_json, write_json, write_text
from sampling_steps import steps_table
from tables import long_table, quality_table, revisit_table
from training_facts import training_facts, training_text

from slowfast.envs.doom_rooms.splits import split_env_kwargs, world_seeds
from slowfast.world_folder import find_world
from slowfast.world_model import WorldModel

TURNS = 6
SIDES = {"left": 0, "right": 1}
"""Directions and the index of their action."""

PARTS: Parts = {
    "figures": ("world_quality.json", quality_table),
    "sampling": ("sampling_steps.json", steps_table),
    "memory": ("revisit.json", revisit_table),
    "loop": ("loop_control.json", loop_table),
    "long": ("long_rollout.json", long_table),
}
"""The marked parts of the card but for the training."""


@dataclass(frozen=True)
class Settings:
    """``results``: folder of the benchmarks' JSON; ``picture``: make the picture of left and right anew."""

    world: str = "doom-rooms"
    codec_run: Path | None = None
    slow_run: Path | None = None
    odometry_run: Path | None = None
    inverse_dynamics_run: Path | None = None
    results: Path = RESULTS
    picture: bool = True
    check: bool = False


def main(settings: Settings) -> int:
    folder = find_world(settings.world)
    card = folder / "README.md"
    runs = (settings.codec_run, settings.slow_run, settings.odometry_run, settings.inverse_dynamics_run)
    if any(runs) and not settings.check:
        known = settings.results / "training.json"
        write_json(known, training_facts(*runs, earlier=read_json(known)))
    page = card.read_text(encoding="utf-8")
    new = fill(page, settings.results)
    if settings.check:
        if new != page:
            print(f"{card} does not say what {settings.results} says: run benchmarks/model_card.py")
        return int(new != page)
    write_text(card, new)
    if settings.picture:
        draw_left_and_right(WorldModel.from_pretrained(folder), folder / "left_right.png")
    print(f"{card} is up to date")
    return 0


def fill(page: str, results: Path) -> str:
    """The card with all its parts as the results say."""
    training = read_json(results / "training.json")
    page = filled(page, "training", training_text(training) if training else NOT_MEASURED)
    return filled_parts(page, PARTS, results)


def draw_left_and_right(world: WorldModel, path: Path) -> None:
    """From the same frame of the first test world, six turns to the left and six to the right: truth and dream."""
    environment = world.config.environment or {"id": "slowfast/DoomRooms-v0", "kwargs": {}}
    env = gymnasium.make(environment["id"], **{**environment["kwargs"], **split_env_kwargs("test")})
    real: Any = env.unwrapped
    seen = [env.reset(seed=world_seeds("test", 1)[0])[0]]
    approach = [1] * (world.config.context - 1)  # turning on the spot, so that the dream has seen the view move
    seen += [env.step(action)[0] for action in approach]
    here = real.snapshot()
    rows = []
    for side, action in SIDES.items():
        real.restore(here)
        truth = np.stack([real.step(action)[0] for _ in range(TURNS)])
        dream = world.imagine(np.stack(seen), [*approach, *[action] * TURNS])
        for label, frames in ((f"{side}, truth", truth), (f"{side}, dream", dream)):
            rows.append((label, np.concatenate([seen[-1][None], frames])))
    env.close()
    save_sheet(path, rows, ["now", *(f"{turn}" for turn in range(1, TURNS + 1))])


if __name__ == "__main__":
    sys.exit(main(tyro.cli(Settings, description=__doc__)))
