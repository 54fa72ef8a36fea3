"""Train a slow learner (masked video diffusion) on recorded clips."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from slowfast.slow.config import MaskedDiffusionConfig, SamplingConfig, SchedulerConfig, UNetConfig
from slowfast.training.config import TrainConfig
from slowfast.training.gate import SlowGate
from slowfast.training.slow_config import SlowTaskConfig


@dataclass(frozen=True)
class TrainSlow:
    """Train a slow learner (masked video diffusion) on recorded clips.

    Writes RUN/model (a world that WorldModel.from_pretrained loads, of the averaged weights), RUN/latents,
    RUN/checkpoints, RUN/sheets and RUN/metrics.jsonl. Ends with status 1 when the last validation misses the gate.

    Example:
        slowfast train slow --recipe doom-rooms --data data/doom-rooms --codec runs/doom-rooms-codec/model
    """

    data: Path
    """Folder of episodes, or one with the folders train, validation and perhaps held_out."""
    codec: Path | None = None
    """The codec's folder (train one with `slowfast train codec`); with --init, that world's own by default."""
    init: str | None = None
    """A world, by name or folder, whose network to start from; actions of the data that it lacks get a new encoder."""
    run: Path = Path("runs/slow")
    """Folder to write to."""
    latents: Path | None = None
    """Where encoded clips are kept (default: RUN/latents)."""
    resume: Literal["auto", "never"] = "auto"
    """Whether a run folder that holds checkpoints is continued or refused."""
    name: str = "world"
    """The world's name."""
    context: int = 4
    """Frames that a dream looks back on (f_p); with --init they may be more than that world was trained on."""
    chunk: int = 4
    """Frames that a dream makes at once (f_g)."""
    memory: dict[str, Any] = field(default_factory=lambda: {"name": "paper"})
    """The world's own memory rule: its name and settings."""
    memory_kind: Literal["temp_lora", "retrieval", "hybrid"] | None = None
    """The kind of memory that the world makes unless asked for another; by default what its rule is."""
    unet: UNetConfig = field(default_factory=UNetConfig)
    """The network, when it is a new one."""
    scheduler: SchedulerConfig = field(default_factory=SchedulerConfig)
    """The noise process, when the network is a new one."""
    diffusion: MaskedDiffusionConfig = field(default_factory=MaskedDiffusionConfig)
    """Masking and sampling, when the network is a new one."""
    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    """Steps and spacing that the world samples with, of a network that --init brings too."""
    task: SlowTaskConfig = field(default_factory=SlowTaskConfig)
    """Windows, routes of the action, validation."""
    train: TrainConfig = field(default_factory=TrainConfig)
    """The optimiser and the loop."""
    gate: SlowGate = field(default_factory=SlowGate)
    """What the last validation has to reach."""

    def __post_init__(self) -> None:
        if self.codec is None and self.init is None:
            raise ValueError(
                "codec: train one with `slowfast train codec` and give its RUN/model, or start from --init"
            )


def run(config: TrainSlow) -> int:
    from slowfast.cli.progress import Bar
    from slowfast.cli.train._run import train
    from slowfast.training.latents import latents_of
    from slowfast.training.processes import processes
    from slowfast.training.recalled import EpisodePoses
    from slowfast.training.slow_task import SlowTask
    from slowfast.training.slow_world import new_world, world_config, world_from
    from slowfast.training.splits import open_splits

    splits = open_splits(config.data, config.task.validation_episodes)
    settings = world_config(
        splits.validation, config.name, config.context, config.chunk, config.memory, config.memory_kind
    )
    phrases, seed = config.task.phrases, config.train.seed
    if config.init is not None:
        world = world_from(settings, splits.validation, config.init, config.codec, phrases, seed)
        world.slow.widen(max(prefix + new for prefix, new, _ in config.task.shapes))
    else:
        assert config.codec is not None
        parts = (config.unet, config.scheduler, config.diffusion)
        world = new_world(settings, splits.validation, config.codec, parts, phrases, seed)
    world.slow.set_sampling(config.sampling)
    with processes().main_process_first(), Bar("latents", unit="episode") as bar:
        folder = config.latents or config.run / "latents"
        latents = latents_of(splits.train, world.codec, folder, processes().device, bar)
    poses = EpisodePoses.of(splits.train) if config.task.recalled else None
    task = SlowTask(world, config.task, latents, dict(splits.measured), seed, poses)
    return train(task, config)
