"""What an outcome head's training is made of. Plain data without torch, so that ``--help`` stays quick."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class OutcomeTaskConfig:
    """Steps, balance, noise and validation of an outcome head's training."""

    batch_size: int = 128
    """Steps a batch."""
    rare: float = 0.2
    """At least this share of a batch are steps that end an episode, and as many are steps whose reward is not the
    commonest; in the loss they count for what they are in the data, so that chances stay true. 0: as they come."""
    bins: int = 41
    """Bins that rewards are read in."""
    noise: float = 0.3
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

    def __post_init__(self) -> None:
        if self.batch_size < 1 or self.bins < 2:
            raise ValueError(f"batch_size is at least 1 and bins 2, got {self.batch_size} and {self.bins}")
        if not 0 <= self.rare <= 0.3 or not 0 <= self.noise < 1:
            raise ValueError(f"rare is from 0 to 0.3 and noise a share below 1, got {self.rare} and {self.noise}")
        dropped = (self.drop_index, self.drop_text, self.drop_all)
        if min(dropped) < 0 or sum(dropped) > 1:
            raise ValueError("drop_index, drop_text and drop_all are shares of steps and may not exceed 1 together")
