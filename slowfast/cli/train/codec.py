"""Train a frame codec (a small VAE) on recorded clips."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from slowfast.codecs.config import ImageVAEConfig
from slowfast.training.codec_config import CodecTaskConfig
from slowfast.training.config import TrainConfig
from slowfast.training.gate import CodecGate


@dataclass(frozen=True)
class TrainCodec:
    """Train a frame codec (a small VAE) on recorded clips.

    Writes RUN/model (the averaged weights, in diffusers' layout), RUN/checkpoints, RUN/sheets and RUN/metrics.jsonl.
    Ends with status 1 when the last validation misses the recipe's gate.

    Example:
        slowfast train codec --recipe doom-rooms-codec --data data/doom-rooms
    """

    data: Path
    """Folder of episodes, or one with the folders train, validation and perhaps held_out."""
    run: Path = Path("runs/codec")
    """Folder to write to."""
    resume: Literal["auto", "never"] = "auto"
    """Whether a run folder that holds checkpoints is continued or refused."""
    start: Path | None = None
    """A codec's folder to start from, in place of new weights."""
    model: ImageVAEConfig = field(default_factory=ImageVAEConfig)
    """The network, when it is a new one."""
    task: CodecTaskConfig = field(default_factory=CodecTaskConfig)
    """Data, loss and validation."""
    train: TrainConfig = field(default_factory=TrainConfig)
    """The optimiser and the loop."""
    gate: CodecGate = field(default_factory=CodecGate)
    """What the last validation has to reach."""

    def __post_init__(self) -> None:
        if self.task.decoder_only and self.start is None:
            raise ValueError("task.decoder_only needs a trained codec to start from: give its folder as --start")


def run(config: TrainCodec) -> int:
    import torch

    from slowfast.cli.progress import Bar
    from slowfast.cli.train._run import train
    from slowfast.codecs.image_vae import ImageVAE
    from slowfast.training.codec_task import CodecTask

    torch.manual_seed(config.train.seed)
    codec = ImageVAE.from_pretrained(config.start) if config.start else ImageVAE.create(config.model)
    with Bar("frames", unit="episode") as bar:
        task = CodecTask(codec, config.task, config.data, config.train.seed, bar)
    return train(task, config)
