"""What an odometry's training is made of. Plain data without torch, so that ``--help`` stays quick."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class OdometryTaskConfig:
    """Steps, noise and validation of an odometry's training."""

    batch_size: int = 128
    """Steps a batch."""
    unseen: float = 0.5
    """Share of steps that are judged without what is seen after them."""
    noise: float = 0.5
    """Latents get up to this share of noise: what is dreamed is not as clear as what is seen."""
    drop_index: float = 0.3
    """Share of steps whose action comes in words alone, when the action spec has words."""
    drop_text: float = 0.4
    """Share of steps whose action comes without words."""
    drop_all: float = 0.0
    """Share of steps without any action."""
    phrases: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """More phrasings of action labels, one drawn a step."""
    validation_episodes: int = 32
    """Episodes held out at the end of the data, when it is a single data set without a `validation` folder beside."""
    drift: int = 16
    """Steps after which the drift of dead reckoning is measured."""

    def __post_init__(self) -> None:
        if min(self.batch_size, self.drift) < 1:
            raise ValueError(f"batch_size and drift are at least 1, got {self.batch_size} and {self.drift}")
        if not 0 <= self.unseen <= 1 or not 0 <= self.noise < 1:
            raise ValueError(f"unseen and noise are shares, got {self.unseen} and {self.noise}")
        dropped = (self.drop_index, self.drop_text, self.drop_all)
        if min(dropped) < 0 or sum(dropped) > 1:
            raise ValueError("drop_index, drop_text and drop_all are shares of steps and may not exceed 1 together")
