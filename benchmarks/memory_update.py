"""What learning costs: E stacked memories in one pass, against a Python loop over E PEFT adapters.

    python benchmarks/memory_update.py

One gradient step on one window an episode, and one forward of the network that reads the memories, each beside the same
with PEFT's adapters and beside the network alone: time, and what is allocated at the peak beyond what lay there before.
A single memory is read from a copy of the weights that it is merged into, once after each update; that time stands
apart. Reading costs a few percent of a call, less than calls differ from each other: it is the median of many pairs of
calls that follow each other, one with memories and one without. Prints a table and writes
``benchmarks/results/memory_update.json`` after every row; ``--add`` goes on there. In PEFT a convolution's adapter is a
3x3 kernel, ours a 1x1 path.
"""

from __future__ import annotations

import copy
import json
import math
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import tyro
from peft import LoraConfig, get_peft_model
from report import RESULTS, machine, read_json, write_json
from tables import update_table
from torch.profiler import ProfilerActivity, profile

from slowfast.actions import ActionSpec, Discrete
from slowfast.fast import EpisodicMemory, memory_rule
from slowfast.fast.generators import episode_generator
from slowfast.slow.build import SchedulerConfig, UNetConfig, create, parameter_count
from slowfast.slow.masked_diffusion import MaskedDiffusionConfig, MaskedVideoDiffusion
from slowfast.slow.windows import ActionTensors, Windows


@dataclass(frozen=True)
class Settings:
    """A network like the shipped checkpoint's; ``repeats``: timings a cell, of which the median counts; ``pairs``: of
    calls that tell what reading costs; both are counts at the most episodes, and grow with the square root of how many
    times fewer there are; ``clock``: with one thread, ``cpu`` counts the time of this process alone, which
    other work on the machine disturbs least; ``precision``: bf16 autocast pays on processors with bf16 arithmetic
    only."""

    episodes: tuple[int, ...] = (1, 4, 16, 64)
    layers: tuple[str, ...] = ("temporal_attention", "attention", "attention_and_convolutions")
    rank: int = 16
    widths: tuple[int, ...] = (64, 128)
    latents: tuple[int, int, int] = (8, 8, 8)
    context: int = 4
    chunk: int = 4
    repeats: int = 3
    pairs: int = 24
    threads: int = 2
    clock: Literal["wall", "cpu"] = "wall"
    precision: Literal["float32", "bf16"] = "float32"
    device: str = "cpu"
    add: bool = False
    out: Path = RESULTS / "memory_update.json"


Row = dict[str, str | int | float]


def main(settings: Settings) -> None:
    torch.set_num_threads(settings.threads)
    torch.manual_seed(0)
    spec = ActionSpec((Discrete("move", ("left", "right", "forward")),))
    network = UNetConfig(widths=settings.widths, norm_groups=16)
    window = settings.context + settings.chunk
    slow = create(spec, settings.latents[0], network, SchedulerConfig(), MaskedDiffusionConfig(window)).eval()
    slow.to(settings.device)
    result: dict[str, Any] = {
        "settings": json.loads(json.dumps({k: v for k, v in asdict(settings).items() if k not in ("out", "add")})),
        "parameters": parameter_count(slow.unet),
        "machine": machine(settings.threads),
        "rows": [],
    }
    before = read_json(settings.out) if settings.add else None
    if before:
        if any(before[name] != result[name] for name in ("settings", "parameters", "machine")):
            raise ValueError(f"{settings.out} was measured otherwise: leave out --add")
        result["rows"] = before["rows"]
    done = {(row["layers"], row["episodes"]) for row in result["rows"]}
    for layers in settings.layers:
        for episodes in settings.episodes:
            if (layers, episodes) in done:
                continue
            result["rows"].append(measure(slow, settings, layers, episodes))
            print(result["rows"][-1], flush=True)
            write_json(settings.out, result)
    print(update_table(result))


def measure(slow: MaskedVideoDiffusion, settings: Settings, layers: str, episodes: int) -> Row:
    window = settings.context + settings.chunk
    latents = torch.randn(episodes, window + 1, *settings.latents, device=settings.device)
    actions = slow.null_actions(episodes, window + 1)
    rule = memory_rule("paper", rank=settings.rank, layers=layers)
    memory = EpisodicMemory(slow, rule, episodes, 0, settings.context, settings.chunk, base_hash="benchmark")
    memory.append(latents[:, : settings.chunk + 1], _frames(actions, 0, settings.chunk + 1))
    loop = PeftLoop(slow, memory, episodes)
    level = torch.full((episodes, window), 500.0, device=settings.device)
    read_actions = _frames(actions, 0, window)

    def stacked_update() -> None:
        memory.append(latents[:, -settings.chunk :], _frames(actions, window + 1 - settings.chunk, window + 1))

    @torch.no_grad()
    def attaching() -> None:
        with memory.attached():
            pass

    @torch.no_grad()
    def stacked_forward() -> None:
        with memory.attached():
            slow.predict(latents[:, :window], level, read_actions)

    @torch.no_grad()
    def forward_alone() -> None:
        slow.predict(latents[:, :window], level, read_actions)

    calls = {
        "update_stacked": stacked_update,
        "update_peft": lambda: loop.update(latents[:, :window]),
        "attach": attaching,  # the first reading after an update: a single memory is merged here
        "forward_stacked": stacked_forward,
        "forward_peft": lambda: loop.forward(latents[:, :window], level, read_actions),
        "forward_alone": forward_alone,
    }
    with torch.autocast(slow.device.type, torch.bfloat16, enabled=settings.precision == "bf16"):
        more = math.sqrt(max(settings.episodes) / episodes)
        timed = timings(calls, round(more * settings.repeats), settings)
        overhead = reading_overhead(stacked_forward, forward_alone, round(more * settings.pairs), settings)
        peaks = {name: peak_bytes(call, slow.device) for name, call in calls.items() if name != "attach"}
    row: Row = {"layers": layers, "episodes": episodes, "numbers_an_episode": memory.layout.width}
    row |= {f"{name}_ms": round(1000 * seconds, 2) for name, seconds in timed.items()}
    row |= {f"{name}_mib": round(peak / 2**20, 1) for name, peak in peaks.items()}
    row["update_ratio"] = round(timed["update_peft"] / timed["update_stacked"], 3)
    row["forward_ratio"] = round(timed["forward_peft"] / timed["forward_stacked"], 3)
    value, low, high = (round(figure, 4) for figure in overhead)
    row |= {"forward_overhead": value, "forward_overhead_low": low, "forward_overhead_high": high}
    return row


class PeftLoop:
    """E adapters of the same layers and rank in one network, one episode after the other."""

    def __init__(self, slow: MaskedVideoDiffusion, memory: EpisodicMemory, episodes: int) -> None:
        self.slow = copy.deepcopy(slow)
        names = [layer.name for layer in memory.layout.layers]
        config = LoraConfig(r=memory.rule.rank, lora_alpha=memory.rule.rank, target_modules=names)
        self.model = get_peft_model(self.slow.unet, config, adapter_name="0")
        for episode in range(1, episodes):
            self.model.add_adapter(str(episode), config)
        self.slow.eval()
        self.optimisers = []
        for episode in range(episodes):
            mine = [p for name, p in self.model.named_parameters() if f".{episode}.weight" in name and "lora_" in name]
            self.optimisers.append(torch.optim.Adam(mine, memory.rule.learning_rate))
        self.generators = [episode_generator(0, episode) for episode in range(episodes)]

    def update(self, latents: torch.Tensor) -> None:
        for episode, optimiser in enumerate(self.optimisers):
            self.model.set_adapter(str(episode))
            null = self.slow.null_actions(1, latents.shape[1])
            windows = Windows(latents[episode : episode + 1], null, prefix=0)
            self.slow.loss(windows, self.generators[episode : episode + 1]).sum().backward()
            optimiser.step()
            optimiser.zero_grad()

    @torch.no_grad()
    def forward(self, latents: torch.Tensor, level: torch.Tensor, actions: ActionTensors) -> None:
        for episode in range(len(self.optimisers)):
            self.model.set_adapter(str(episode))
            own = slice(episode, episode + 1)
            self.slow.predict(latents[own], level[own], {name: tensor[own] for name, tensor in actions.items()})


def timings(calls: dict[str, Callable[[], None]], repeats: int, settings: Settings) -> dict[str, float]:
    """Median seconds of each call, after one that does not count; in turns, so that other work disturbs all."""
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(repeats + 1):
        for name, call in calls.items():
            taken = seconds_of(call, settings)
            if turn:
                seconds[name].append(taken)
    return {name: statistics.median(values) for name, values in seconds.items()}


def reading_overhead(
    reading: Callable[[], None], alone: Callable[[], None], pairs: int, settings: Settings
) -> tuple[float, float, float]:
    """How much longer a call takes that reads memories, as a share: the median of pairs, and its 95 % bootstrap
    interval. One pair before does not count, and each goes first in every other pair."""
    shares = []
    for turn in range(pairs + 1):
        if turn % 2:
            second, first = seconds_of(alone, settings), seconds_of(reading, settings)
        else:
            first, second = seconds_of(reading, settings), seconds_of(alone, settings)
        if turn:
            shares.append(first / second - 1)
    drawn = np.random.default_rng(0).choice(shares, (2000, len(shares)))
    low, high = np.quantile(np.median(drawn, axis=1), (0.025, 0.975))
    return statistics.median(shares), float(low), float(high)


def seconds_of(call: Callable[[], None], settings: Settings) -> float:
    """By the clock of the settings; a GPU has finished before and after."""
    clock = time.perf_counter if settings.clock == "wall" else time.process_time
    wait = torch.cuda.synchronize if settings.device.startswith("cuda") else lambda: None
    wait()
    start = clock()
    call()
    wait()
    return clock() - start


def peak_bytes(call: Callable[[], None], device: torch.device) -> int:
    """The most that ``call`` has allocated at once, beyond what there was before it."""
    if device.type == "cuda":
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        call()
        torch.cuda.synchronize()
        return torch.cuda.max_memory_allocated() - before
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiled:
        call()
    results = profiled.profiler.kineto_results  # type: ignore[union-attr]  # there is one while it profiles
    changes = sorted((e.start_ns(), e.nbytes()) for e in results.events() if e.name() == "[memory]")
    return max(accumulate((change for _, change in changes), initial=0))


def _frames(actions: ActionTensors, start: int, stop: int) -> ActionTensors:
    return {name: tensor[:, start:stop] for name, tensor in actions.items()}


if __name__ == "__main__":
    main(tyro.cli(Settings, description=__doc__))
