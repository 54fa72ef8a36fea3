"""What a codec's training is made of. Plain data without torch, so that ``--help`` stays quick."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class CodecTaskConfig:
    """Data, loss weights and validation of a codec's training."""

    batch_size: int = 32
    """Frames a batch."""
    pool_frames: int = 60_000
    """Training frames held in memory, drawn evenly from all episodes (12 KB each at 64x64)."""
    crop: int | None = None
    """Side of the random square that is cut from each training frame (a multiple of the codec's factor); None: whole
    frames. A codec is convolutional, so crops buy more steps for the same work."""
    mirror: bool = True
    """Mirror half of the frames."""
    mse: float = 1.0
    """Weight of the squared error."""
    l1: float = 0.2
    """Weight of the absolute error."""
    edges: float = 0.0
    """Weight of the absolute error of pixel differences."""
    kl: float = 1e-5
    """Weight of the KL divergence a latent number, which keeps latents in reach of a normal distribution; 0 trains a
    plain autoencoder, without a draw from the posterior."""
    linear_start: bool = False
    """Start as the principal components of patches (one level of `widths`); saves most of the early training."""
    decoder_only: bool = False
    """Train the decoder alone, on latents as they are used: what was built on a codec's latents stays valid."""
    channels_last: bool = True
    """Memory format of the convolutions; usually the quicker one on CPUs and on recent GPUs."""
    validation_episodes: int = 32
    """Episodes held out at the end of the data, when it is a single store without a `validation` folder beside."""
    validation_frames: int = 1024
    """Frames measured in a validation."""
    statistics_frames: int = 2048
    """Training frames from which the mean and deviation of each latent channel are taken."""

    def __post_init__(self) -> None:
        for name in ("batch_size", "pool_frames", "validation_episodes", "validation_frames", "statistics_frames"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} has to be at least 1, got {getattr(self, name)}")
        if self.decoder_only and self.linear_start:
            raise ValueError("decoder_only keeps the encoder of --start, linear_start makes a new one; choose one")
        if self.crop is not None and self.crop < 1:
            raise ValueError(f"crop has to be at least 1 (or none for whole frames), got {self.crop}")
