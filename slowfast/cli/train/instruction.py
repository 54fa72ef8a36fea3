"""Train a world's instruction head, which tells whether what was said in words is done."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from slowfast.training.config import TrainConfig
from slowfast.training.instruction_config import InstructionGate, InstructionTaskConfig


@dataclass(frozen=True)
class TrainInstruction:
    """Train a world's instruction head, which tells whether what was said in words is done.

    Needs episodes with an `instruction` in their metadata and rewards or terminations that say when it is done, and
    torchmetrics (extra `eval`). Writes RUN/model (the world with its instruction head), RUN/latents, RUN/checkpoints
    and RUN/metrics.jsonl. Ends with status 1 when the last validation misses the gate.

    Example:
        slowfast train instruction --recipe tabletop-instruction --data data/tabletop --world runs/tabletop/model
    """

    data: Path
    """Folder of episodes, or one with the folders train, validation and perhaps held_out."""
    world: str
    """A world, by name or folder: its codec is read, and stays as it is."""
    run: Path = Path("runs/instruction")
    """Folder to write to."""
    codec: Path | None = None
    """The codec that encodes the clips, if not the world's own: the same one in full precision, for instance."""
    latents: Path | None = None
    """Where encoded clips are kept (default: RUN/latents)."""
    resume: Literal["auto", "never"] = "auto"
    """Whether a run folder that holds checkpoints is continued or refused."""
    task: InstructionTaskConfig = field(default_factory=InstructionTaskConfig)
    """What counts as done, words, noise, validation."""
    train: TrainConfig = field(default_factory=TrainConfig)
    """The optimiser and the loop."""
    gate: InstructionGate = field(default_factory=InstructionGate)
    """What the last validation has to reach."""


def run(config: TrainInstruction) -> int:
    from slowfast.cli.train._run import head_data, train
    from slowfast.training.instruction_task import InstructionTask
    from slowfast.training.instructions import EpisodeInstructions

    world, splits, latents = head_data(config)
    instructions = EpisodeInstructions.of(splits.train, config.task)
    task = InstructionTask(world, config.task, latents(), instructions, dict(splits.measured), config.train.seed)
    return train(task, config)
