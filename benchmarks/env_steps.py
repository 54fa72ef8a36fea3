"""How many frames a second ``slowfast/Dream-v0`` steps, and where the time goes.

    python benchmarks/env_steps.py --world doom-rooms
    python benchmarks/env_steps.py --sampling-steps 1 --roll-prefix True --batched off retrieval --add
    python benchmarks/env_steps.py --sampling-steps 1 --roll-prefix True --environments 1 16 --memories off \\
        --batched off --no-chunked --compile --add

One environment and batches of them, memory off and on, one frame a step; one environment also a chunk a step. Prints a
table and writes ``benchmarks/results/env_steps.json`` after every row; with ``--add`` the rows join those that are
there. A step's time is split in denoise, decode, memory (learning and keeping; reading is in denoise), head (odometry
and the like, wherever it is called) and the rest, which is Python outside the model's calls. With memory, whole update
rhythms are timed, updates included. ``--compile`` compiles the network for the usual kinds of calls, which takes
minutes each. A row carries what ``benchmarks/sampling_steps.py`` and ``recall_by_sampling.py`` found of its way to
sample: speed that costs quality or recall shows.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import gymnasium
import torch
import tyro
from report import RESULTS, machine, read_json, write_json
from tables import step_table

from slowfast.envs.wrappers import ChunkedActions
from slowfast.fast.choosing import MEMORIES
from slowfast.heads.registry import HEADS
from slowfast.slow.compiled import RARE
from slowfast.slow.config import SamplingConfig
from slowfast.world_model import WorldModel

PARTS = ("denoise", "decode", "memory", "head")
QUALITY = ("first_frame_ratio", "walk_ratio", "walk_detail")
WAY = ("environments", "memory", "frames_per_step", "sampling_steps", "keep_prefix", "roll_prefix", "compiled")
"""What tells one row from another."""
LEAST = 16
"""Steps that are timed at least, four rhythms of updates."""


@dataclass(frozen=True)
class Settings:
    """``environments``: batch sizes, 1 with every one of ``memories``, others with ``batched``; ``steps``: frames that
    are timed, by fewer steps where more environments take them; ``warmup``: steps before; ``threads``: of torch;
    ``chunked``: whether one environment also takes a chunk a step; ``sampling_steps``, ``keep_prefix``,
    ``roll_prefix``: by default the world's own."""

    world: str = "doom-rooms"
    environments: tuple[int, ...] = (1, 4, 16, 64)
    memories: tuple[str, ...] = MEMORIES
    batched: tuple[str, ...] = ("off", "temp_lora", "retrieval")
    chunked: bool = True
    sampling_steps: int | None = None
    keep_prefix: bool | None = None
    roll_prefix: bool | None = None
    steps: int = 64
    warmup: int = 8
    threads: int = 2
    device: str = "cpu"
    dtype: str = "float32"
    compile: bool = False
    add: bool = False
    quality: Path = RESULTS / "sampling_steps.json"
    recall: Path = RESULTS / "recall_by_sampling.json"
    out: Path = RESULTS / "env_steps.json"


@dataclass
class Clocks:
    """Seconds inside wrapped calls by part, without those of calls inside them. ``synchronize`` waits for a GPU to
    finish what a call started."""

    synchronize: Callable[[], None]
    seconds: dict[str, float] = field(default_factory=lambda: dict.fromkeys(PARTS, 0.0))
    inside: list[float] = field(default_factory=list)

    def around(self, part: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*arguments: Any, **named: Any) -> Any:
            self.synchronize()
            began = time.perf_counter()
            self.inside.append(0.0)
            result = call(*arguments, **named)
            self.synchronize()
            whole = time.perf_counter() - began
            self.seconds[part] += whole - self.inside.pop()
            if self.inside:
                self.inside[-1] += whole
            return result

        return timed


def main(settings: Settings) -> None:
    torch.set_num_threads(settings.threads)
    world = WorldModel.from_pretrained(
        settings.world, settings.device, getattr(torch, settings.dtype), settings.compile
    )
    prefix = {"keep_prefix": settings.keep_prefix, "roll_prefix": settings.roll_prefix}
    world.slow.set_sampling(SamplingConfig(settings.sampling_steps, **prefix))
    before = read_json(settings.out) if settings.add else None
    result: dict[str, Any] = {
        "world": world.config.name,
        "frame": list(world.config.frame_size),
        "memory_rule": asdict(world.memory_rule("temp_lora")),
        "settings": {name: getattr(settings, name) for name in ("steps", "warmup", "device", "dtype")},
        "machine": machine(settings.threads),
        "rows": before["rows"] if before else [],
    }
    told = json.loads(json.dumps({name: own for name, own in result.items() if name != "rows"}))
    if before and any(before[name] != own for name, own in told.items()):
        raise ValueError(
            f"{settings.out} was measured otherwise; its rows cannot stand beside new ones: leave out --add"
        )
    for environments in settings.environments:
        for memory in settings.memories if environments == 1 else settings.batched:
            for n in sorted({1, world.config.chunk}) if environments == 1 and settings.chunked else (1,):
                row = measure(settings, world, memory, n, environments)
                row |= quality_of(world, row, settings.quality) | recall_of(world, row, settings.recall)
                rows = [old for old in result["rows"] if any(old[name] != row[name] for name in WAY)]
                result["rows"] = sorted([*rows, row], key=lambda row: [row[name] for name in WAY if name != "memory"])
                write_json(settings.out, result)
    print(step_table(result))


def quality_of(world: WorldModel, own: dict[str, Any], path: Path) -> dict[str, float]:
    """What was found of the way in which the row ``own`` samples, of memory off; nothing, where it was not measured."""
    measured = read_json(path)
    if measured is None or measured["base_hash"] != world.base_hash:
        return {}
    spacing = float(world.slow.noise.scheduler.shift) if world.slow.noise.flow else 1.0
    kept = own["keep_prefix"] or own["roll_prefix"]
    for row in measured["rows"]:
        alike = row["steps"] == 1 or (row["shift"] == spacing and row["keep_prefix"] == kept)
        if row["steps"] == own["sampling_steps"] and row["roll_prefix"] == own["roll_prefix"] and alike:
            return {name: row[name] for name in QUALITY}
    return {}


def recall_of(world: WorldModel, own: dict[str, Any], path: Path) -> dict[str, float]:
    """How the memory of the row ``own`` was found to change the error of what was seen before; nothing, where it was
    not measured."""
    measured = read_json(path)
    if measured is None or measured["base_hash"] != world.base_hash or own["keep_prefix"]:
        return {}
    for row in measured["rows"]:
        if row["memory"] == own["memory"] and row["sampling_steps"] == own["sampling_steps"]:
            return {"recall_change": -row["effects"]["memory"]["value"]}
    return {}


def measure(settings: Settings, world: WorldModel, memory: str, n: int, environments: int = 1) -> dict[str, Any]:
    """Frames a second of ``environments`` that take ``n`` actions a step, and the shares of the time in percent."""
    env: Any
    made = {"world": world, "memory": memory, "max_episode_steps": None}
    if environments == 1:
        env = gymnasium.make("slowfast/Dream-v0", **(made | {"max_episode_steps": 10**6}))
        env = ChunkedActions(env, n) if n > 1 else env
    else:
        env = gymnasium.make_vec(
            "slowfast/Dream-v0", num_envs=environments, vectorization_mode="vector_entry_point", **made
        )
    env.action_space.seed(0)
    env.reset(seed=0)
    clocks = Clocks(torch.cuda.synchronize if world.device.type == "cuda" else lambda: None)
    dream = env.unwrapped.dream
    watched = [(world.slow, "generate", "denoise"), (world, "decode", "decode")]
    watched += [(head, "forward", "head") for name in HEADS if (head := getattr(world, name)) is not None]
    if dream.memory is not None:
        watched.append((dream.memory, "append", "memory"))
    growing = world.config.context + RARE if settings.compile else 0  # until the usual kinds of calls are compiled
    for _ in range(settings.warmup // n + growing):
        env.step(env.action_space.sample())
    updates, steps = int(dream.updates[0]), max(settings.steps // environments, LEAST) // n
    actions = [env.action_space.sample() for _ in range(steps)]
    for owner, name, part in watched:
        setattr(owner, name, clocks.around(part, getattr(owner, name)))
    try:
        began = time.perf_counter()
        for action in actions:
            env.step(action)
        clocks.synchronize()
        seconds = time.perf_counter() - began
    finally:
        for owner, name, _ in watched:
            delattr(owner, name)  # the class's own method shows again
        env.close()
    frames = steps * n * environments
    shares = {f"{part}_percent": 100 * spent / seconds for part, spent in clocks.seconds.items()}
    return {
        "environments": environments,
        "memory": memory,
        "frames_per_step": n,
        "sampling_steps": world.slow.config.steps,
        "keep_prefix": world.slow.config.keep_prefix,
        "roll_prefix": world.slow.config.roll_prefix and memory == "off" and n < world.config.context,
        "compiled": settings.compile,
        "frames_per_second": frames / seconds,
        "milliseconds_per_frame": 1000 * seconds / frames,
        **shares,
        "else_percent": 100 - sum(shares.values()),
        "memory_updates": int(dream.updates[0]) - updates,
    }


if __name__ == "__main__":
    main(tyro.cli(Settings))
