"""Train a world's slow learner with frozen memories attached: the slow-fast loop."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from slowfast.cli.train.slow import TrainSlow
from slowfast.training.config import TrainConfig
from slowfast.training.gate import SlowGate
from slowfast.training.loop_config import LoopConfig
from slowfast.training.slow_config import SlowTaskConfig


@dataclass(frozen=True)
class Loop:
    """Train a world's slow learner with frozen memories attached (SlowFast-VGen, Algorithm 1b).

    Each round first runs fast learning over real episodes, with the slow weights frozen, and stores every pair of
    chunks with the memory of all before it (RUN/round-NN/memories); then it trains the slow weights to foretell the
    second chunk from the first with that memory attached (RUN/round-NN/checkpoints). With --loop.memories live nothing
    is stored: memories learn beside the slow weights while those train. RUN/model is the world of the last round. A run
    that was interrupted goes on where it stopped.

    Example:
        slowfast loop --world doom-rooms --data data/doom-rooms --run runs/loop
    """

    data: Path
    """Folder of episodes, or one with the folders train, validation and perhaps held_out."""
    world: str = "doom-rooms"
    """The world to start from, by name or folder; its codec is kept."""
    run: Path = Path("runs/loop")
    """Folder to write to."""
    latents: Path | None = None
    """Where encoded clips are kept (default: RUN/latents)."""
    memory: dict[str, Any] = field(default_factory=dict)
    """The memory rule of the inner loop: a name and settings over the world's own; empty: the world's own."""
    loop: LoopConfig = field(default_factory=LoopConfig)
    """The inner loop, and what the outer loop makes of it."""
    task: SlowTaskConfig = field(default_factory=SlowTaskConfig)
    """Batch size, routes of the action, plain batches and validation of the outer loop."""
    train: TrainConfig = field(default_factory=lambda: TrainConfig(steps=300, learning_rate=1e-4, warmup_steps=20))
    """The optimiser of the outer loop; `steps` are those of one round."""
    gate: SlowGate = field(default_factory=SlowGate)
    """What the last validation has to reach."""


def run(config: Loop) -> int:
    from slowfast import config as configs

    configs.save(config, config.run / "config.yaml")
    started, status = config.world, 0
    for number in range(config.loop.rounds):
        status = one_round(config, number, started)
        if status == 130:
            return status
        started = str(config.run / f"round-{number:02d}" / "model")
    final = config.run / "model"
    if final.exists():
        shutil.rmtree(final)
    shutil.copytree(started, final)
    print(f"the world after {config.loop.rounds} rounds: {final}")
    return status


def one_round(config: Loop, number: int, started: str) -> int:
    """Status as that of ``slowfast train``: 0, 1 when the gate fails, 130 when a signal ended it early."""
    from slowfast.cli.progress import Bar
    from slowfast.cli.train._run import train
    from slowfast.fast.adapters import AdapterLayout
    from slowfast.training.latents import latents_of
    from slowfast.training.loop_live import LiveLoopTask
    from slowfast.training.loop_store import MemoryStore, build, draw_episodes, draw_pairs
    from slowfast.training.loop_task import LoopTask
    from slowfast.training.memory_start import without_start
    from slowfast.training.processes import processes
    from slowfast.training.splits import open_splits
    from slowfast.world_model import WorldModel

    folder, state, seed = config.run / f"round-{number:02d}", processes(), config.train.seed
    world = WorldModel.from_pretrained(started, state.device)
    if number:  # an export rounds the codec, and latents are those of the codec that the loop began with
        world.codec = WorldModel.from_pretrained(config.world, state.device).codec
    rule = world.memory_rule(config.memory)
    splits = open_splits(config.data, config.task.validation_episodes)
    with state.main_process_first(), Bar("latents", unit="episode") as bar:
        latents = latents_of(splits.train, world.codec, config.latents or config.run / "latents", state.device, bar)
    episodes, starts = draw_episodes(latents, config.loop, seed, number)
    layout = AdapterLayout.of(world.slow.unet, world.memory_layers(rule.layers), rule.rank, rule.scaled_by)
    live, attach = config.loop.memories == "live", config.loop.attach
    store = memory = None
    if attach and live:
        memory = world.new_memory(config.task.batch_size, seed + number, rule)
    elif attach:
        with Bar(f"round {number}: memories", unit="group") as bar:
            share = (state.process_index, state.num_processes)
            identity = build(world, latents, rule, config.loop, seed, number, folder / "memories", share, bar)
        state.wait_for_everyone()
        store = MemoryStore(folder / "memories", identity)
    # they read the action vectors that are trained from here on: train new ones for the new world
    world.odometry = world.outcome = None
    world.config = without_start(world.config)
    world.slow.requires_grad_(True)
    if world.slow.actions.text.frozen:
        world.slow.actions.text.requires_grad_(False)
    measured, seed = dict(splits.measured), seed + number
    task: LoopTask
    if live:
        given = (episodes, starts, memory, layout, config.loop, seed, state.num_processes)
        task = LiveLoopTask(world, config.task, latents, measured, *given)
    else:
        pairs = draw_pairs(world, episodes, starts, config.loop)
        task = LoopTask(world, config.task, latents, measured, pairs, store, layout, config.loop.plain, seed)
    as_run = TrainSlow(
        data=config.data,
        init=started,
        run=folder,
        name=world.config.name,
        context=world.config.context,
        chunk=world.config.chunk,
        memory=dict(world.config.memory),
        task=config.task,
        train=replace(config.train, seed=seed),
        gate=config.gate,
    )
    return train(task, as_run)
