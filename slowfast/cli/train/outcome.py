"""Train a world's outcome head, which tells rewards and ends of what is dreamed."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from slowfast.training.config import TrainConfig
from slowfast.training.gate import OutcomeGate
from slowfast.training.outcome_config import OutcomeTaskConfig


@dataclass(frozen=True)
class TrainOutcome:
    """Train a world's outcome head, which tells rewards and ends of what is dreamed.

    Needs episodes with rewards or terminations, and torchmetrics (extra `eval`). Writes RUN/model (the world with its
    outcome head), RUN/latents, RUN/checkpoints and RUN/metrics.jsonl. Ends with status 1 when the last validation
    misses the gate.

    Example:
        slowfast train outcome --recipe doom-rooms-outcome --data data/paid --world runs/doom-rooms/model
    """

    data: Path
    """Folder of episodes, or one with the folders train, validation and perhaps held_out."""
    world: str
    """A world, by name or folder: its codec and its actions are read, and stay as they are."""
    run: Path = Path("runs/outcome")
    """Folder to write to."""
    codec: Path | None = None
    """The codec that encodes the clips, if not the world's own: the same one in full precision, for instance."""
    latents: Path | None = None
    """Where encoded clips are kept (default: RUN/latents)."""
    resume: Literal["auto", "never"] = "auto"
    """Whether a run folder that holds checkpoints is continued or refused."""
    task: OutcomeTaskConfig = field(default_factory=OutcomeTaskConfig)
    """Steps, balance, noise, validation."""
    train: TrainConfig = field(default_factory=TrainConfig)
    """The optimiser and the loop."""
    gate: OutcomeGate = field(default_factory=OutcomeGate)
    """What the last validation has to reach."""


def run(config: TrainOutcome) -> int:
    from slowfast.cli.train._run import head_data, train
    from slowfast.training.outcome_task import OutcomeTask
    from slowfast.training.outcomes import EpisodeOutcomes

    world, splits, latents = head_data(config)
    outcomes = EpisodeOutcomes.of(splits.train)
    task = OutcomeTask(world, config.task, latents(), outcomes, dict(splits.measured), config.train.seed)
    return train(task, config)
