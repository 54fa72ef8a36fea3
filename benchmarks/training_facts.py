"""What the run folders of a world's training say: data, steps, and the commands that do it again."""

from __future__ import annotations

import json
import shlex
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from report import markdown_table

from slowfast import config as configs
from slowfast.cli._mappings import on_one_line
from slowfast.cli.train.codec import TrainCodec
from slowfast.cli.train.inverse_dynamics import TrainInverseDynamics
from slowfast.cli.train.odometry import TrainOdometry
from slowfast.cli.train.slow import TrainSlow
from slowfast.datasets.store import Store
from slowfast.training.checkpoint import checkpoints

Config = TrainCodec | TrainSlow | TrainOdometry | TrainInverseDynamics
PLACES = ("data", "run", "codec", "latents", "resume", "start", "init", "world")
"""Options of a run that say where, not what."""
CHOSEN_LATER = ("memory", "memory_kind")
"""Options that no training reads: the recipe names what was chosen for the world when it was trained."""
UNUSED = {"start": ("model.",), "init": ("unet.", "scheduler.", "diffusion.")}
"""Options that say what a new network is made of, which a run that starts from another does not read."""
RECIPES = {
    "doom-rooms-codec": "",
    "doom-rooms": "--codec runs/doom-rooms-codec/model",
    "doom-rooms-codec-2": "--start runs/doom-rooms/model/vae",
    "doom-rooms-2": "--init runs/doom-rooms/model --codec runs/doom-rooms-codec-2/model",
    "doom-rooms-codec-3": "--start runs/doom-rooms-codec-2/model",
    "doom-rooms-3": "--init runs/doom-rooms-2/model --codec runs/doom-rooms-codec-3/model",
    "doom-rooms-4": "--init runs/doom-rooms-3/model --codec runs/doom-rooms-codec-3/model",
    "doom-rooms-codec-4": "--start runs/doom-rooms-codec-3/model",
    "doom-rooms-5": "--init runs/doom-rooms-4/model --codec runs/doom-rooms-codec-3/model",
    "doom-rooms-odometry": "--world runs/doom-rooms-5/model --codec runs/doom-rooms-codec-3/model",
    "doom-rooms-codec-5": "--start runs/doom-rooms-codec-4/model",
    "doom-rooms-inverse-dynamics": "--world runs/doom-rooms-odometry/model --codec runs/doom-rooms-codec-3/model",
}
"""The recipes that ship, in the order of their runs, with what each takes from those before it."""
COLLECT = "slowfast collect --env slowfast/DoomRooms-v0 --policy {policy} --split {split} --episodes {episodes} \\\n"
COLLECT += "    --steps {steps} --workers 2 --out data/{folder}/{split}"


def training_facts(
    codec_run: Path | None,
    slow_run: Path | None,
    odometry_run: Path | None = None,
    inverse_dynamics_run: Path | None = None,
    earlier: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Data sets by folder, and runs, as JSON; of ``earlier`` facts, other data and the runs of other recipes are kept.

    Raises FileNotFoundError where a run folder has no config or no checkpoint.
    """
    facts = earlier or {}
    kinds: dict[str, tuple[type[Any], Path | None]] = {
        "codec": (TrainCodec, codec_run),
        "slow": (TrainSlow, slow_run),
        "odometry": (TrainOdometry, odometry_run),
        "inverse-dynamics": (TrainInverseDynamics, inverse_dynamics_run),
    }
    parts: dict[str, tuple[Config, Path]] = {
        part: (configs.load(kind, run / "config.yaml"), run) for part, (kind, run) in kinds.items() if run
    }
    slow = parts.get("slow", (None, None))[0]
    runs = {run["recipe"]: run for run in facts.get("runs", [])}
    runs |= {run["recipe"]: run for run in (_run(part, *found) for part, found in parts.items())}
    folders = dict.fromkeys(config.data for part, (config, _) in parts.items() if part in ("codec", "slow"))
    return {
        "world": slow.name if isinstance(slow, TrainSlow) else facts.get("world"),
        "data": facts.get("data", {}) | {path.name: data_facts(path) for path in folders},
        "runs": [runs[recipe] for recipe in RECIPES if recipe in runs],
    }


def data_facts(folder: Path) -> dict[str, dict[str, Any]]:
    """Episodes, frames and seeds of each split's data set in ``folder``."""
    found = {}
    for path in sorted(path for path in folder.iterdir() if (path / "episodes").is_dir()):
        store = Store(path)
        seeds = [int(store.metadata(i)["seed"]) for i in range(len(store))]
        found[path.name] = {
            "policy": str(store.metadata(0)["policy"]).rpartition(":")[2],
            "episodes": len(store),
            "steps": int(store.lengths.max()),
            "frames": int(store.lengths.sum()) + len(store),
            "seeds": [min(seeds), max(seeds)],
        }
    return found


def training_text(facts: dict[str, Any]) -> str:
    """Tables of the data and the runs, then the commands."""
    data = [
        [
            f"`{folder}/{name}`",
            f"`{part['policy']}`",
            str(part["episodes"]),
            f"{part['frames']:,}",
            f"{part['seeds'][0]:,} to {part['seeds'][1]:,}",
        ]
        for folder, splits in facts["data"].items()
        for name, part in splits.items()
    ]
    labels = {"slow": "slow learner", "inverse-dynamics": "inverse dynamics"}
    runs = [
        [
            labels.get(run["part"], run["part"]),
            f"`{run['recipe']}`",
            f"`{run['data']}`",
            f"{run['steps']:,}",
            str(run["batch_size"]),
            run["precision"],
            _validated(run.get("validation", {})),
        ]
        for run in facts["runs"]
    ]
    return "\n\n".join(
        [
            markdown_table(["data set", "policy", "episodes", "frames", "seeds"], data),
            markdown_table(["run", "recipe", "data", "steps", "batch", "mixed precision", "last validation"], runs),
            f"```bash\n{commands(facts)}\n```",
        ]
    )


def commands(facts: dict[str, Any]) -> str:
    """Every command from nothing to the trained world."""
    lines = [
        COLLECT.format(**part, folder=folder, split=split)
        for folder, splits in facts["data"].items()
        for split, part in splits.items()
    ]
    for run in facts["runs"]:
        line = f"{_launched(run['processes'])}slowfast train {run['part']} --recipe {run['recipe']}"
        line += f" --data data/{run['data']}"
        given = RECIPES[run["recipe"]]
        lines.append(" \\\n    ".join([line, *([given] if given else []), *run["options"]]))
    return "\n".join(lines)


def options(config: Any, recipe: str) -> list[str]:
    """Command-line options that turn a recipe that ships into ``config``; places are left out."""
    places = {name: getattr(config, name) for name in PLACES if getattr(config, name, None) is not None}
    own, other = _flat(config), _flat(configs.load(type(config), recipe, places))
    unread = tuple(part for name, parts in UNUSED.items() if own.get(name) for part in parts)
    changed = {
        key: value
        for key, value in own.items()
        if value != other.get(key) and key not in (*PLACES, *CHOSEN_LATER) and not key.startswith(unread)
    }
    return [_option(key, value) for key, value in changed.items()]


def _run(part: str, config: Config, folder: Path) -> dict[str, Any]:
    """Its recipe is the one that its folder is named after, else the one that it departs from least."""
    done = checkpoints(folder / "checkpoints")
    if not done:
        raise FileNotFoundError(f"{folder / 'checkpoints'}: no checkpoint, so nothing was trained here")
    goes_on = bool(getattr(config, "start", None) or getattr(config, "init", None))
    same = [recipe for recipe in RECIPES if _part(recipe) == part]
    fitting = [recipe for recipe in same if goes_on == ("--start" in RECIPES[recipe] or "--init" in RECIPES[recipe])]
    named = folder.resolve().name
    recipe = named if named in same else min(fitting, key=lambda recipe: len(options(config, recipe)))
    processes = len(json.loads((done[-1] / "state.json").read_text(encoding="utf-8"))["random"])  # a random state each
    return {
        "part": part,
        "recipe": recipe,
        "data": config.data.name,
        "options": options(config, recipe),
        "steps": int(done[-1].name.removeprefix("step-")),
        "batch_size": config.task.batch_size * config.train.gradient_accumulation * processes,
        "processes": processes,
        "precision": config.train.mixed_precision,
        "validation": _last_validation(folder / "metrics.jsonl"),
    }


def _part(recipe: str) -> str:
    """What a recipe that ships trains."""
    return next((part for part in ("codec", "odometry", "inverse-dynamics") if f"-{part}" in recipe), "slow")


def _last_validation(path: Path) -> dict[str, float]:
    """The figures of the last validation that a run has logged."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    found = [entry for entry in map(json.loads, lines) if entry.get("kind") == "validation"]
    return {name: value for name, value in found[-1].items() if name not in ("kind", "step")} if found else {}


def _validated(figures: dict[str, float]) -> str:
    """Of a codec its PSNR, of a slow learner the first new frame's error beside repeating the last, of an odometry how
    far it is off after its steps, of an inverse dynamics what share of actions it reads right."""
    named = {"first_frame_ratio": ("first frame ", "{:.2f}"), "codec_psnr": ("", "{:.2f} dB")}
    named |= {"drift": ("drift ", "{:.2f} steps"), "accuracy": ("right ", "{:.0%}")}
    for name, (label, form) in named.items():
        if name in figures:
            held_out = figures.get(f"held_out_{name}")
            beside = "" if held_out is None else f" (held-out textures {form.format(held_out)})"
            return label + form.format(figures[name]) + beside
    return ""


def _launched(processes: int) -> str:
    """What stands before a command that ran in several processes on CPU cores, a thread each."""
    if processes == 1:
        return ""
    return f"OMP_NUM_THREADS=1 torchrun --nproc-per-node {processes} --no-python -- \\\n    "


def _flat(config: Any, prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for field in fields(config):
        value = getattr(config, field.name)
        key = f"{prefix}{field.name}"
        if is_dataclass(value):
            found |= _flat(value, f"{key}.")
        else:
            found[key] = value
    return found


def _option(key: str, value: Any) -> str:
    name = key.replace("_", "-")
    if isinstance(value, dict):
        return f"--{name} {shlex.quote(on_one_line(value))}"
    if isinstance(value, bool):
        parent, _, last = name.rpartition(".")
        return f"--{name}" if value else f"--{parent}{'.' if parent else ''}no-{last}"
    words = value if isinstance(value, (list, tuple)) else [value]
    return " ".join([f"--{name}", *(_word(word) for word in words)])


def _word(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return " ".join(map(_word, value))
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return f'"{text}"' if " " in text else text
