"""Show in minutes what a world remembers: real rooms, the dream beside them, memory on and off."""

from __future__ import annotations

import json
import math
import shlex
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slowfast import config as configs
from slowfast.cli.progress import Bar

if TYPE_CHECKING:
    from slowfast.evaluation.tours import Stage, Tours
    from slowfast.fast import MemoryRule
    from slowfast.world_model import WorldModel

FORMAT_VERSION = 1


@dataclass(frozen=True)
class Demo:
    """Walk through unseen generated rooms, let a learned world dream the same walk, and compare, memory on and off.

    Writes a page to look at (index.html, everything inside), its figures (metrics.json) and prints them as tables.
    Needs the extras doom and eval.

    Example:
        slowfast demo --worlds 8 --out out/demo
    """

    world: str = "doom-rooms"
    """Name of a world that ships, or a folder."""
    env: str = "slowfast/DoomRooms-v0"
    """Gymnasium id of the real world: DoomRooms, or another id that makes it."""
    out: Path = Path("out/demo")
    """Folder for index.html, metrics.json and config.yaml."""
    worlds: int = 8
    """Unseen worlds that are walked, taught and dreamed, all in one batch; at least 2."""
    walk: int = 4
    """Steps away and back after the look around; 0 only looks around."""
    return_worlds: int = 2
    """Worlds in which the dream goes out and back by itself."""
    return_turns: int = 12
    """Turns out, and as many back."""
    split: str = "test"
    """Which worlds: test, or held_out for textures that were never trained on."""
    memory_rule: str | None = None
    """How the memory learns (paper, ancestor, episodic, readout, imprint, associative); else as the world says."""
    seed: int = 0
    """Of the noise and the memories; the same seed gives the same figures."""
    device: str = "cpu"
    """cpu, cuda, cuda:1, ..."""

    def __post_init__(self) -> None:
        for name, least in {"worlds": 2, "walk": 0, "return_worlds": 1, "return_turns": 1, "seed": 0}.items():
            if getattr(self, name) < least:
                raise ValueError(f"{name} has to be at least {least}, got {getattr(self, name)}")


def run(config: Demo) -> int:
    from slowfast.evaluation.dreamed_return import measure_return
    from slowfast.evaluation.report import require_packages, write_report
    from slowfast.evaluation.revisit import RevisitConfig, measure_recall
    from slowfast.evaluation.verdicts import recall_table, recall_verdicts, return_table, return_verdicts
    from slowfast.fast.files import write_text
    from slowfast.world_model import WorldModel

    require_packages()
    began, clock = time.perf_counter(), Clock()
    world = WorldModel.from_pretrained(config.world, config.device)
    with clock("rooms"):
        lap_tours, stages, return_tours = walk_rooms(config, world)
    rule = world.memory_rule(config.memory_rule)
    revisits = RevisitConfig(config.seed, rule)
    with clock("seen, then dreamed"), Bar("memory learns", unit="frame") as bar:
        recall, recall_frames = measure_recall(
            world, lap_tours, lap_tours.frames.shape[1] // 2, stages, revisits, progress=bar
        )
    with clock("dreamed out and back"), Bar("out and back", unit="frame") as bar:
        back, return_frames = measure_return(world, return_tours, revisits, progress=bar)

    clock.seconds["all but this page"] = time.perf_counter() - began
    metrics = finite(
        {
            **described(config, world, rule),
            "environment": {
                **environment(config, world),
                "recall_seeds": lap_tours.seeds,
                "return_seeds": return_tours.seeds,
            },
            "seconds": clock.seconds,
            "recall": asdict(recall),
            "return": asdict(back),
        }
    )
    configs.save(config, config.out / "config.yaml")
    write_text(config.out / "metrics.json", json.dumps(metrics, indent=1, allow_nan=False) + "\n")
    write_report(config.out / "index.html", metrics, recall_frames, return_frames)

    for table, sentences in (
        (recall_table(metrics["recall"]), recall_verdicts(metrics["recall"])),
        (return_table(metrics["return"]), return_verdicts(metrics["return"])),
    ):
        print(f"\n{table}\n")
        print("\n".join(f"- {sentence}" for sentence in sentences))
    print(f"\n{config.out / 'index.html'}: {time.perf_counter() - began:.0f} s; open it in a browser")
    return 0


def walk_rooms(config: Demo, world: WorldModel) -> tuple[Tours, list[Stage], Tours]:
    """Two laps through each of ``worlds`` real worlds, the parts of a lap, and the tours out and back."""
    from slowfast.envs.doom_rooms.env import TURN_DEGREES
    from slowfast.envs.doom_rooms.splits import world_seeds
    from slowfast.evaluation.tours import lap, record, rooms, turn_and_return

    arguments = environment(config, world)["arguments"]
    moves, stages = lap(arguments.get("turn_degrees", TURN_DEGREES), config.walk)
    candidates = world_seeds(config.split, 20 * max(config.worlds, config.return_worlds))
    env = rooms(config.env, world.config.frame_size, world.action_spec, arguments)
    try:
        laps = record(env, candidates, config.worlds, moves * 2, config.walk)
        returns = record(env, candidates, config.return_worlds, turn_and_return(config.return_turns), 0)
    finally:
        env.close()
    return laps, stages, returns


def environment(config: Demo, world: WorldModel) -> dict[str, Any]:
    """Which real worlds: as the world model knows them, with the textures of the split."""
    from slowfast.envs.doom_rooms.splits import split_env_kwargs

    known = world.config.environment or {}
    arguments = dict(known.get("kwargs", {})) if known.get("id") == config.env else {}
    arguments.pop("size", None)
    return {"id": config.env, "split": config.split, "arguments": {**arguments, **split_env_kwargs(config.split)}}


def described(config: Demo, world: WorldModel, rule: MemoryRule) -> dict[str, Any]:
    """What the figures belong to."""
    import torch

    from slowfast import __version__

    settings = {item.name: getattr(config, item.name) for item in fields(config)} | {"out": str(config.out)}
    changed = {
        item.name: str(getattr(config, item.name))
        for item in fields(config)
        if getattr(config, item.name) != item.default
    }
    options = [f"--{name.replace('_', '-')} {shlex.quote(value)}" for name, value in changed.items()]
    return {
        "format_version": FORMAT_VERSION,
        "command": " ".join(["slowfast demo", *options]),
        "settings": settings,
        "world": {
            "name": world.config.name,
            "base_hash": world.base_hash,
            "frame_size": world.config.frame_size,
            "context": world.config.context,
            "chunk": world.config.chunk,
            "sampling_steps": world.slow.config.steps,
        },
        "memory_rule": asdict(rule),
        "machine": {"device": config.device, "threads": torch.get_num_threads()},
        "versions": {"slowfast": __version__, "torch": str(torch.__version__)},
    }


def finite(value: Any) -> Any:
    """``value`` as JSON takes it: lists for tuples, None for what is not a finite number."""
    if isinstance(value, Mapping):
        return {name: finite(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


@dataclass
class Clock:
    """Seconds that named blocks took."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        began = time.perf_counter()
        yield
        self.seconds[name] = time.perf_counter() - began
