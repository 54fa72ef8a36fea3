"""The trainer's settings. Plain data without torch, so that ``--help`` stays quick."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class TrainConfig:
    """One optimiser step = ``gradient_accumulation`` batches a process."""

    steps: int = 10_000
    """Optimiser steps of the whole run."""
    seed: int = 0
    """Seeds weights, batches, noise and global generators."""
    learning_rate: float = 3e-4
    """Peak learning rate of AdamW."""
    warmup_steps: int = 200
    """Steps over which the learning rate rises linearly from 0."""
    schedule: Literal["constant", "cosine"] = "cosine"
    """What the learning rate does after the warm-up."""
    final_learning_rate: float = 0.05
    """Where the cosine ends, as a fraction of the peak."""
    betas: tuple[float, float] = (0.9, 0.99)
    """AdamW's decay rates of the two moments."""
    weight_decay: float = 0.01
    """AdamW's weight decay."""
    clip: float = 1.0
    """Largest norm of the gradient."""
    ema_decay: float = 0.999
    """Decay of the averaged weights, which are what is validated and exported; warms up as (1 + n) / (10 + n)."""
    gradient_accumulation: int = 1
    """Batches per optimiser step."""
    mixed_precision: Literal["no", "bf16", "fp16"] = "no"
    """Autocast. bf16 pays on GPUs and on CPUs with bf16 hardware only."""
    log_every: int = 20
    """Steps between lines of metrics.jsonl (figures are means over them)."""
    validate_every: int = 1000
    """Steps between validations and exports; one more comes at the end."""
    checkpoint_every: int = 1000
    """Steps between checkpoints; one more comes at the end."""
    checkpoint_minutes: float = 10.0
    """Minutes after which a checkpoint is due anyway."""
    keep: int = 2
    """Checkpoints kept."""
    tensorboard: bool = True
    """Write TensorBoard files beside metrics.jsonl, when the `train` extra is installed."""

    def __post_init__(self) -> None:
        for name in ("steps", "gradient_accumulation", "log_every", "validate_every", "checkpoint_every", "keep"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} has to be at least 1, got {getattr(self, name)}")
        if self.seed < 0 or self.warmup_steps < 0:
            raise ValueError(f"seed and warmup_steps have to be at least 0, got {self.seed} and {self.warmup_steps}")
        if not 0 <= self.ema_decay < 1:
            raise ValueError(f"ema_decay has to be in [0, 1), got {self.ema_decay}")
