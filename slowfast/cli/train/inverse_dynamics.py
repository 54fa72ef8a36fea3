"""Train a world's inverse dynamics, which reads actions from video."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from slowfast.training.config import TrainConfig
from slowfast.training.gate import InverseDynamicsGate
from slowfast.training.inverse_dynamics_config import InverseDynamicsTaskConfig


@dataclass(frozen=True)
class TrainInverseDynamics:
    """Train a world's inverse dynamics, which reads actions from video.

    Writes RUN/model (the world with its inverse dynamics), RUN/latents, RUN/checkpoints and RUN/metrics.jsonl. Ends
    with status 1 when the last validation misses the gate.

    Example:
        slowfast train inverse-dynamics --recipe doom-rooms-inverse-dynamics --data data/doom-rooms --world doom-rooms
    """

    data: Path
    """Folder of episodes, or one with the folders train, validation and perhaps held_out."""
    world: str
    """A world, by name or folder: its codec is read, and stays as it is."""
    run: Path = Path("runs/inverse-dynamics")
    """Folder to write to."""
    codec: Path | None = None
    """The codec that encodes the clips, if not the world's own: the same one in full precision, for instance."""
    latents: Path | None = None
    """Where encoded clips are kept (default: RUN/latents)."""
    resume: Literal["auto", "never"] = "auto"
    """Whether a run folder that holds checkpoints is continued or refused."""
    task: InverseDynamicsTaskConfig = field(default_factory=InverseDynamicsTaskConfig)
    """Steps, noise, validation."""
    train: TrainConfig = field(default_factory=TrainConfig)
    """The optimiser and the loop."""
    gate: InverseDynamicsGate = field(default_factory=InverseDynamicsGate)
    """What the last validation has to reach."""


def run(config: TrainInverseDynamics) -> int:
    from slowfast.cli.train._run import head_data, train
    from slowfast.training.inverse_dynamics_task import InverseDynamicsTask

    world, splits, latents = head_data(config)
    task = InverseDynamicsTask(world, config.task, latents(), dict(splits.measured), config.train.seed)
    return train(task, config)
