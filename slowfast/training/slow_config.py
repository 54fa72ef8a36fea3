"""What a slow learner's training is made of. Plain data without torch, so that it is quick to read."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class SlowTaskConfig:
    """Windows, routes of the action, and validation of a slow learner's training."""

    batch_size: int = 16
    """Windows a batch."""
    shapes: tuple[tuple[int, int, float], ...] = ((4, 4, 4.0), (1, 7, 1.0), (2, 6, 1.0), (0, 8, 1.0))
    """Window shapes (prefix f_p, new f_g, weight); every batch has one of them."""
    drop_index: float = 0.3
    """Share of windows whose actions come in words alone, when the action spec has words."""
    drop_text: float = 0.4
    """Share of windows whose actions come without words."""
    drop_all: float = 0.1
    """Share of windows without any action: what fast learning by the paper's rule and guidance need."""
    phrases: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """More phrasings of action labels, one drawn a window."""
    motion: float = 0.0
    """Where little of a picture moves: by how much more the loss weighs a place that moves than one that does not."""
    prefix_noise: float = 0.0
    """Against drift: largest noise level of the shown frames, as a share of all levels; the network is told it."""
    own_prefix: float = 0.0
    """Against drift: share of batches in which the end of the prefix is what the model itself makes of it."""
    recalled: float = 0.0
    """Share of the batches with a long enough prefix in which its first frames come from elsewhere in the episode: what
    a memory that keeps frames will show."""
    recalled_frames: int = 2
    """How many of them; the world is marked as able to read as many."""
    recalled_ahead: int = 0
    """Most new frames of such a batch that the network dreams one by one, each with the frames recalled for it, before
    those that are learned: the context is then as it will be in use."""
    validation_episodes: int = 32
    """Episodes held out at the end of the data, when it is a single data set without a `validation` folder beside."""
    validation_windows: int = 128
    """Windows measured in a validation."""
    validation_shape: tuple[int, int] = (4, 4)
    """Their prefix and new frames."""
    horizon: int = 16
    """New frames of the long dreams in a validation; 0 leaves them out."""
    horizon_windows: int = 32
    """How many long dreams."""
    starts: int = 64
    """Validation contexts that the exported world ships with, for a dream to begin at."""
    start_frames: int = 2
    """Frames of each of them."""
    export: Literal["bfloat16", "float32"] = "bfloat16"
    """Type of the exported weights."""
    swap: dict[str, str] = field(default_factory=dict)
    """Action labels and what they are swapped for when action sensitivity is measured; empty leaves it out."""

    def __post_init__(self) -> None:
        if self.batch_size < 1 or self.validation_windows < 2:
            raise ValueError("batch_size has to be at least 1 and validation_windows at least 2")
        if self.motion < 0:
            raise ValueError(f"motion is at least 0, got {self.motion}")
        if not self.shapes:
            raise ValueError("shapes needs at least one (prefix, new, weight)")
        if (
            min(self.drop_index, self.drop_text, self.drop_all) < 0
            or self.drop_index + self.drop_text + self.drop_all > 1
        ):
            raise ValueError("drop_index, drop_text and drop_all are shares of windows and may not exceed 1 together")
        if not 0 <= self.recalled <= 1 or self.recalled_frames < 1 or self.recalled_ahead < 0:
            raise ValueError(
                "recalled is a share of batches, recalled_frames at least 1, recalled_ahead at least 0; got "
                f"{self.recalled}, {self.recalled_frames}, {self.recalled_ahead}"
            )
        if self.recalled and not any(prefix > self.recalled_frames for prefix, _, _ in self.shapes):
            raise ValueError(f"no shape has a prefix of more than the {self.recalled_frames} recalled_frames")
        if self.validation_shape[0] < 1 or self.validation_shape[1] < 1:
            raise ValueError(f"validation_shape needs a prefix and new frames, got {self.validation_shape}")
