"""Train a world's odometry, by which a memory finds what was seen from near by."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from slowfast.training.config import TrainConfig
from slowfast.training.gate import OdometryGate
from slowfast.training.odometry_config import OdometryTaskConfig


@dataclass(frozen=True)
class TrainOdometry:
    """Train a world's odometry, by which a memory finds what was seen from near by.

    Needs clips with an info `pose` (x, y, heading in degrees, counter-clockwise) in every step. Writes RUN/model (the
    world with its odometry), RUN/latents, RUN/checkpoints and RUN/metrics.jsonl. Ends with status 1 when the last
    validation misses the gate.

    Example:
        slowfast train odometry --recipe doom-rooms-odometry --data data/doom-rooms --world runs/doom-rooms/model
    """

    data: Path
    """Folder of episodes, or one with the folders train, validation and perhaps held_out."""
    world: str
    """A world, by name or folder: its codec and its actions are read, and stay as they are."""
    run: Path = Path("runs/odometry")
    """Folder to write to."""
    codec: Path | None = None
    """The codec that encodes the clips, if not the world's own: the same one in full precision, for instance."""
    latents: Path | None = None
    """Where encoded clips are kept (default: RUN/latents)."""
    resume: Literal["auto", "never"] = "auto"
    """Whether a run folder that holds checkpoints is continued or refused."""
    task: OdometryTaskConfig = field(default_factory=OdometryTaskConfig)
    """Steps, noise, validation."""
    train: TrainConfig = field(default_factory=TrainConfig)
    """The optimiser and the loop."""
    gate: OdometryGate = field(default_factory=OdometryGate)
    """What the last validation has to reach."""


def run(config: TrainOdometry) -> int:
    from slowfast.cli.progress import Bar
    from slowfast.cli.train._run import train
    from slowfast.codecs import load_codec
    from slowfast.training.latents import latents_of
    from slowfast.training.odometry_task import NO_POSES, OdometryTask
    from slowfast.training.processes import processes
    from slowfast.training.recalled import EpisodePoses
    from slowfast.training.splits import open_splits
    from slowfast.world_model import WorldModel

    splits = open_splits(config.data, config.task.validation_episodes)
    world = WorldModel.from_pretrained(config.world)
    poses = EpisodePoses.of(splits.train)
    if poses is None:
        raise ValueError(NO_POSES.format(config.data))
    with processes().main_process_first(), Bar("latents", unit="episode") as bar:
        folder = config.latents or config.run / "latents"
        codec = load_codec(config.codec) if config.codec else world.codec
        latents = latents_of(splits.train, codec, folder, processes().device, bar)
    task = OdometryTask(world, config.task, latents, poses, dict(splits.measured), config.train.seed)
    return train(task, config)
