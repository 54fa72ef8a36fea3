"""How fast DoomRooms steps and resets on one core; prints a table and writes JSON.

python benchmarks/doom_speed.py --out benchmarks/results/doom_speed.json
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from slowfast.envs.doom_rooms.env import DoomRoomsEnv
from slowfast.envs.policies import make_policy


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=2000, help="steps a measurement")
    parser.add_argument("--resets", type=int, default=50, help="worlds a measurement")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/doom_speed.json"))
    options = parser.parse_args()

    results = {
        "first reset, ms": _first_reset(),
        "reset to a new world, ms": _resets(options.resets),
        "exploring, frames/s at 64x64": _exploring(options.steps, (64, 64)),
        "exploring, frames/s at 128x128": _exploring(options.steps, (128, 128)),
        "turning, frames/s at 64x64": _repeating(options.steps, lambda step: 0),
        "walking, frames/s at 64x64": _repeating(options.steps, lambda step: 2 + step % 2),
    }
    width = max(map(len, results))
    for name, value in results.items():
        print(f"{name:<{width}}  {value:10.1f}")
    report = {"results": results, "machine": {"cpus": os.cpu_count(), "python": platform.python_version()}}
    options.out.parent.mkdir(parents=True, exist_ok=True)
    temporary = options.out.with_suffix(".tmp")
    temporary.write_text(json.dumps(report, indent=2) + "\n")
    temporary.replace(options.out)


def _first_reset() -> float:
    start = time.perf_counter()
    env = DoomRoomsEnv()
    env.reset(seed=0)
    milliseconds = (time.perf_counter() - start) * 1000
    env.close()
    return milliseconds


def _resets(count: int) -> float:
    env = DoomRoomsEnv()
    env.reset(seed=0)
    start = time.perf_counter()
    for seed in range(1, count + 1):
        env.reset(seed=seed)
    milliseconds = (time.perf_counter() - start) * 1000 / count
    env.close()
    return milliseconds


def _exploring(steps: int, size: tuple[int, int]) -> float:
    env = DoomRoomsEnv(size=size)
    observation, info = env.reset(seed=2)
    policy = make_policy("explore", env, np.random.default_rng(0))
    policy.reset(info)
    start = time.perf_counter()
    for _ in range(steps):
        observation, *_, info = env.step(policy.act(observation, info))
    rate = steps / (time.perf_counter() - start)
    env.close()
    return rate


def _repeating(steps: int, action: Callable[[int], int]) -> float:
    env = DoomRoomsEnv()
    env.reset(seed=2)
    start = time.perf_counter()
    for step in range(steps):
        env.step(action(step))
    rate = steps / (time.perf_counter() - start)
    env.close()
    return rate


if __name__ == "__main__":
    main()
