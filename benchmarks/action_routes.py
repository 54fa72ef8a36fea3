"""How should actions enter the network? Short trainings that differ in nothing else, and how much each one listens.

    python benchmarks/action_routes.py --data data/doom-rooms --codec runs/doom-rooms-codec/model --runs runs/routes

Every variant is a run of ``slowfast train slow --recipe doom-rooms`` with fewer steps, on the same training data, with
the same seed, batches and noise. Runs are resumed where they stopped, finished ones are only read.
Prints the last validation of each and writes JSON after every variant.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro
from report import RESULTS, machine, write_json

VARIANTS: dict[str, tuple[str, ...]] = {
    "vector and tokens, scaling": (),
    "vector alone, scaling": ("--unet.action-route", "time_embedding"),
    "tokens alone": ("--unet.action-route", "cross_attention"),
    "vector and tokens, additive": ("--unet.modulation", "default"),
    "vector and tokens, scaling, uniform noise levels": ("--diffusion.training-shift", "1.0"),
}
"""What the recipe does, and one change to it each."""
FIGURES = ("action_sensitivity", "text_action_sensitivity", "shuffled_actions", "first_frame_ratio", "chunk_ratio")


@dataclass(frozen=True)
class Settings:
    """``data``: a folder with train and validation; ``steps``: of each training; ``windows``: of its validation."""

    data: Path
    codec: Path
    runs: Path = Path("runs/routes")
    latents: Path | None = None
    steps: int = 600
    windows: int = 128
    threads: int = 2
    out: Path = RESULTS / "action_routes.json"


def main(settings: Settings) -> None:
    rows: list[dict[str, Any]] = []
    for number, (name, change) in enumerate(VARIANTS.items()):
        figures = trained(settings, settings.runs / str(number), change)
        rows.append({"variant": name, "change": " ".join(change), **{key: figures[key] for key in FIGURES}})
        print(name, *(f"{key} {figures[key]:.3f}" for key in FIGURES), sep="  ", flush=True)
        result = {"steps": settings.steps, "windows": settings.windows, "machine": machine(settings.threads)}
        write_json(settings.out, {**result, "rows": rows})


def trained(settings: Settings, run: Path, change: tuple[str, ...]) -> dict[str, Any]:
    """The last validation of a variant's run, which is trained as far as it is not yet."""
    command = [sys.executable, "-m", "slowfast.cli", "train", "slow", "--recipe", "doom-rooms"]
    options = {
        "--data": settings.data,
        "--codec": settings.codec,
        "--run": run,
        "--latents": settings.latents or settings.runs / "latents",
        "--train.steps": settings.steps,
        "--train.validate-every": settings.steps,
        "--train.ema-decay": 0.99,
        "--task.horizon": 0,
        "--task.validation-windows": settings.windows,
    }
    arguments = [str(word) for pair in options.items() for word in pair]
    done = subprocess.run([*command, *arguments, *change])
    if done.returncode not in (0, 1):  # 1: trained, and below the recipe's gate, which is made for the whole training
        raise SystemExit(done.returncode)
    lines = (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return [line for line in map(json.loads, lines) if line["kind"] == "validation"][-1]


if __name__ == "__main__":
    main(tyro.cli(Settings, description=__doc__))
