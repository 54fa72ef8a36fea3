"""What an inverse dynamics' training is made of. Plain data without torch, so that ``--help`` stays quick."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class InverseDynamicsTaskConfig:
    """Steps, noise and validation of an inverse dynamics' training."""

    batch_size: int = 128
    """Steps a batch."""
    width: int = 48
    """Channels of the network."""
    noise: float = 0.3
    """Latents get up to this share of noise: what is dreamed is not as clear as what is seen."""
    validation_episodes: int = 32
    """Episodes held out at the end of the data, when it is a single data set without a `validation` folder beside."""

    def __post_init__(self) -> None:
        if min(self.batch_size, self.width) < 1:
            raise ValueError(f"batch_size and width are at least 1, got {self.batch_size} and {self.width}")
        if not 0 <= self.noise < 1:
            raise ValueError(f"noise is a share below 1, got {self.noise}")
