"""What an instruction head's training is made of, and its bars. Plain data without torch, so that ``--help`` stays
quick."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class InstructionTaskConfig:
    """What counts as done, and batches, noise and validation of an instruction head's training."""

    batch_size: int = 128
    """Frames a batch, each with an instruction."""
    success: Literal["reward", "termination"] = "reward"
    """What says that an instruction is done: a step's reward, or that a step ended its episode."""
    least_reward: float = 0.5
    """The reward from which a step's instruction is done, where rewards say it."""
    swapped: float = 0.3
    """Share of a batch in which a frame that shows one instruction done comes with another, as not done."""
    unknown: float = 0.05
    """Share of words that are replaced by an unknown one, so that the head knows what it does not know."""
    noise: float = 0.3
    """Latents get up to this share of noise: what is dreamed is not as clear as what is seen."""
    soon: float = 0.0
    """What being done a step later is worth, in [0, 1): above 0 the head also learns how soon an instruction will be
    done, by how soon it was in its episode."""
    validation_episodes: int = 32
    """Episodes held out at the end of the data, when it is a single data set without a `validation` folder beside."""

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise ValueError(f"batch_size is at least 1, got {self.batch_size}")
        if not 0 <= self.soon < 1:
            raise ValueError(f"soon is in [0, 1), got {self.soon}")
        if not 0 <= self.swapped < 1:
            raise ValueError(f"swapped is a share below 1, got {self.swapped}")
        if not 0 <= self.noise < 1 or not 0 <= self.unknown < 1:
            raise ValueError(f"noise and unknown are shares below 1, got {self.noise} and {self.unknown}")


@dataclass(frozen=True)
class InstructionGate:
    """Bars for an instruction head; a bar that is None does not count."""

    instruction_auc: float | None = None
    """At least this chance that a frame in which an instruction is done is ranked above one in which it is not yet."""
    words_auc: float | None = None
    """At least this chance that a frame is ranked higher with what is done in it than with other words."""
