"""How many frames a second ``slowfast/Dream-v0`` steps, and where the time goes.

    python benchmarks/env_steps.py --world doom-rooms

One environment, memory off and on, one frame a step and a chunk a step. Prints a table and writes
``benchmarks/results/env_steps.json``. A step's time is split in denoise, decode, memory (reading is in denoise) and the
rest, which is Python outside the model's calls. With memory, whole update rhythms are timed, updates included.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import gymnasium
import torch
import tyro
from report import RESULTS, machine, write_json

from slowfast.envs.dream import DreamEnv
from slowfast.envs.wrappers import ChunkedActions
from slowfast.fast.choosing import MEMORIES
from slowfast.world_model import WorldModel


@dataclass(frozen=True)
class Settings:
    """``steps``: frames that are timed, after ``warmup`` more; ``threads``: of torch."""

    world: str = "doom-rooms"
    memories: tuple[str, ...] = MEMORIES
    steps: int = 64
    warmup: int = 8
    threads: int = 2
    device: str = "cpu"
    dtype: str = "float32"
    compile: bool = False
    out: Path = RESULTS / "env_steps.json"


@dataclass
class Clock:
    """Seconds inside wrapped calls. ``synchronize`` waits for a GPU to finish what the call started."""

    synchronize: Callable[[], None]
    seconds: float = 0.0

    def around(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*arguments: Any, **named: Any) -> Any:
            self.synchronize()
            began = time.perf_counter()
            result = call(*arguments, **named)
            self.synchronize()
            self.seconds += time.perf_counter() - began
            return result

        return timed


def main(settings: Settings) -> None:
    torch.set_num_threads(settings.threads)
    world = WorldModel.from_pretrained(
        settings.world, settings.device, getattr(torch, settings.dtype), settings.compile
    )
    frames_a_step = sorted({1, world.config.chunk})
    rows = [measure(settings, world, memory, n) for memory in settings.memories for n in frames_a_step]
    result = {
        "world": world.config.name,
        "frame": list(world.config.frame_size),
        "sampling_steps": world.slow.config.steps,
        "memory_rule": DreamEnv(world, "temp_lora").rule.__dict__ if "temp_lora" in settings.memories else None,
        "settings": {name: value for name, value in asdict(settings).items() if name not in ("out", "world")},
        "machine": machine(settings.threads),
        "rows": rows,
    }
    write_json(settings.out, result)
    print(as_table(result))


def measure(settings: Settings, world: WorldModel, memory: str, n: int) -> dict[str, Any]:
    """Frames a second of one environment that takes ``n`` actions a step, and the shares of the time in percent."""
    env: gymnasium.Env[Any, Any] = gymnasium.make(
        "slowfast/Dream-v0", world=world, memory=memory, max_episode_steps=settings.steps + settings.warmup + 1
    )
    env = ChunkedActions(env, n) if n > 1 else env
    env.action_space.seed(0)
    env.reset(seed=0)
    synchronize = torch.cuda.synchronize if world.device.type == "cuda" else lambda: None
    clocks = {part: Clock(synchronize) for part in ("denoise", "decode", "memory")}
    dream = env.unwrapped.dream  # type: ignore[attr-defined]  # made as DreamEnv above
    watched = [(world.slow, "generate", "denoise"), (world, "decode", "decode")]
    if dream.memory is not None:
        watched.append((dream.memory, "append", "memory"))
    for _ in range(settings.warmup // n):
        env.step(env.action_space.sample())
    updates = int(dream.updates[0])
    for owner, name, part in watched:
        setattr(owner, name, clocks[part].around(getattr(owner, name)))
    try:
        began = time.perf_counter()
        for _ in range(settings.steps // n):
            env.step(env.action_space.sample())
        synchronize()
        seconds = time.perf_counter() - began
    finally:
        for owner, name, _ in watched:
            delattr(owner, name)  # the class's own method shows again
    frames = settings.steps // n * n
    shares = {f"{part}_percent": 100 * clock.seconds / seconds for part, clock in clocks.items()}
    return {
        "environments": 1,
        "memory": memory,
        "frames_per_step": n,
        "frames_per_second": frames / seconds,
        "milliseconds_per_frame": 1000 * seconds / frames,
        **shares,
        "else_percent": 100 - sum(shares.values()),
        "memory_updates": int(dream.updates[0]) - updates,
    }


def as_table(result: dict[str, Any]) -> str:
    parts = ("denoise", "decode", "memory", "else")
    header = f"{'memory':<10} {'frames/step':>11} {'frames/s':>9} {'ms/frame':>9} " + " ".join(f"{p:>8}" for p in parts)
    lines = [f"{result['world']}, {result['sampling_steps']} sampling steps, one environment", header]
    for row in result["rows"]:
        shares = " ".join(f"{row[f'{part}_percent']:>7.1f}%" for part in parts)
        speed = f"{row['frames_per_second']:>9.1f} {row['milliseconds_per_frame']:>9.1f}"
        lines.append(f"{row['memory']:<10} {row['frames_per_step']:>11} {speed} {shares}")
    return "\n".join(lines)


if __name__ == "__main__":
    main(tyro.cli(Settings))
