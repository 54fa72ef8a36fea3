"""What the slow-fast loop is made of. Plain data without torch, so that ``--help`` stays quick."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class LoopConfig:
    """The inner loop (fast learning over episodes) and what the outer loop (slow learning) makes of it."""

    rounds: int = 2
    """Inner and outer loops; the memories of a round are those of the weights that the round before ended with."""
    episodes: int = 64
    """Training episodes of a round, others in each round as far as there are enough."""
    frames: int = 65
    """Frames of each, from a random place on; shorter episodes are left out."""
    group: int = 16
    """Episodes whose stored memories learn in one pass."""
    memories: Literal["stored", "live"] = "stored"
    """`stored`: a round's memories are all made before it trains, and kept on disk. `live`: nothing is stored; as many
    memories as a batch has windows learn beside the weights that train, chunk by chunk, so that each is one of the
    present weights; after an episode's last window the next episodes begin."""
    attach: bool = True
    """Attach the memories in the outer loop. Without is the control: plain fine-tuning on the same pairs."""
    learns: Literal["real", "generated"] = "real"
    """What follows the real chunk in the inner loop's update: the real next one, or (Algorithm 1b to the letter, and
    slower) what the model makes of it."""
    plain: float = 0.25
    """Share of the outer loop's batches that are the slow learner's own training, without a memory."""

    def __post_init__(self) -> None:
        for name in ("rounds", "episodes", "frames", "group"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} has to be at least 1, got {getattr(self, name)}")
        if not 0 <= self.plain <= 1:
            raise ValueError(f"plain is a share of batches in 0..1, got {self.plain}")
        if self.memories == "live" and self.plain == 1:
            raise ValueError("with live memories plain is below 1: some batches have to read them")
