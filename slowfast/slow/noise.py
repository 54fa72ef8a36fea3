"""Between data and noise: what diffusers' schedulers define, with a noise level a frame.

``noisy = signal * data + sigma * noise``. Flow matching: signal 1 - s, sigma s, s = t / T. DDPM: signal sqrt(a), sigma
sqrt(1 - a). A level of -1 stands for a clean frame: signal 1, sigma 0, exactly.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import torch

CLEAN = -1.0
SCHEDULERS = ("FlowMatchEulerDiscreteScheduler", "DDIMScheduler", "EulerDiscreteScheduler")
"""Those whose sampling steps draw nothing: all randness of a sample is in the noise it starts from."""


class NoiseProcess:
    """A diffusers scheduler, seen as a process with continuous (flow) or integer (DDPM) noise levels ``0..T``."""

    def __init__(self, scheduler: Any) -> None:
        self.scheduler = scheduler
        self.flow = isinstance(scheduler, diffusers.FlowMatchEulerDiscreteScheduler)
        self.levels = int(scheduler.config["num_train_timesteps"])
        self.prediction = "flow" if self.flow else str(scheduler.config["prediction_type"])
        if self.prediction not in ("flow", "epsilon", "v_prediction"):
            raise ValueError(f"scheduler prediction_type {self.prediction!r} is not epsilon, v_prediction or flow")

    @classmethod
    def create(cls, name: str, **settings: Any) -> NoiseProcess:
        """A process from a diffusers scheduler's class name and settings. Raises ValueError for an unknown name.

        Latents have no bounds, so DDIM does not clip them unless ``clip_sample`` says so (diffusers clips to [-1, 1]).
        """
        if name not in SCHEDULERS:
            raise ValueError(f"scheduler {name!r} is not known; choose one of {', '.join(SCHEDULERS)}")
        if name == "DDIMScheduler":
            settings = {"clip_sample": False, **settings}
        return cls(getattr(diffusers, name)(**settings))

    @classmethod
    def from_pretrained(cls, folder: str | Path) -> NoiseProcess:
        """Reads ``scheduler_config.json``; a DDPM-family class we do not sample with becomes ``DDIMScheduler``."""
        path = Path(folder) / "scheduler_config.json"
        config = json.loads(path.read_text())
        name = config.get("_class_name", "DDIMScheduler")
        return cls(getattr(diffusers, name if name in SCHEDULERS else "DDIMScheduler").from_config(config))

    def save_pretrained(self, folder: str | Path) -> None:
        self.scheduler.save_pretrained(str(folder))

    def draw(self, count: int, generator: torch.Generator, shift: float = 1.0) -> torch.Tensor:
        """``float32 [count]`` training levels: in (0, T] for flow, uniform in {0..T-1} for DDPM.

        ``shift`` moves those of flow towards noise: s in (0, 1] becomes shift * s / (1 + (shift - 1) * s).
        """
        if self.flow:
            level = 1 - torch.rand(count, generator=generator, device=generator.device)
            return self.levels * shift * level / (1 + (shift - 1) * level)
        return torch.randint(self.levels, (count,), generator=generator, device=generator.device).float()

    def mix(self, data: torch.Tensor, noise: torch.Tensor, level: torch.Tensor) -> torch.Tensor:
        """Noisy frames: data and noise ``[B, F, ...]``, level ``[B, F]``; clean frames come back bit for bit."""
        signal, sigma = self._scales(level, data)
        return torch.where(self._clean(level, data), data, signal * data + sigma * noise)

    def target(self, data: torch.Tensor, noise: torch.Tensor, level: torch.Tensor) -> torch.Tensor:
        """What the network has to predict."""
        if self.prediction == "epsilon":
            return noise
        if self.prediction == "flow":
            return noise - data
        signal, sigma = self._scales(level, data)
        return signal * noise - sigma * data

    def timesteps(self, steps: int, device: torch.device | str) -> torch.Tensor:
        """Prepares the scheduler for ``steps`` sampling steps and returns its timesteps, high to low."""
        if self.flow:
            self.scheduler.set_timesteps(sigmas=np.linspace(1.0, 1.0 / steps, steps).tolist(), device=device)
        else:
            self.scheduler.set_timesteps(steps, device=device)
        return self.scheduler.timesteps

    def set_shift(self, shift: float) -> None:
        """Moves the sampling steps of flow matching. Raises ValueError for another scheduler, which has no shift."""
        if not self.flow:
            raise ValueError(f"a shift moves the steps of flow matching, not those of {type(self.scheduler).__name__}")
        self.scheduler.set_shift(shift)
        self.scheduler.register_to_config(shift=shift)

    def step(self, prediction: torch.Tensor, timestep: torch.Tensor, sample: torch.Tensor) -> torch.Tensor:
        """One deterministic sampling step for all episodes at once."""
        return self.scheduler.step(prediction, timestep, sample, return_dict=False)[0]

    def level_of(self, signal: torch.Tensor) -> torch.Tensor:
        """The level at which so much of the data is left: ``signal`` in [0, 1), of any shape.

        Raises ValueError for a scheduler that samples with other scales than it was trained with.
        """
        if self.flow:
            return self.levels * (1 - signal)
        if self.start_scale != 1:
            name = type(self.scheduler).__name__
            raise ValueError(f"{name} starts from noise alone: use flow matching or DDIM, or trust 0")
        falling = self.scheduler.alphas_cumprod.to(signal.device).sqrt()
        return torch.searchsorted(-falling, -signal.contiguous()).clamp(max=self.levels - 1).float()

    def between(
        self, prediction: torch.Tensor, sample: torch.Tensor, level: torch.Tensor, following: torch.Tensor
    ) -> torch.Tensor:
        """One deterministic step of frames ``[B, F, ...]`` from ``level`` to ``following`` ``[B, F]``, a frame its own;
        to :data:`CLEAN` it gives the data."""
        signal, sigma = self._scales(level, sample)
        if self.prediction == "flow":
            data, noise = sample - sigma * prediction, sample + signal * prediction
        elif self.prediction == "epsilon":
            data, noise = (sample - sigma * prediction) / signal, prediction
        else:
            data, noise = signal * sample - sigma * prediction, sigma * sample + signal * prediction
        return torch.where((following == level).view(*level.shape, 1, 1, 1), sample, self.mix(data, noise, following))

    @property
    def start_scale(self) -> float:
        """Standard deviation of the noise that sampling starts from."""
        return 1.0 if self.flow else float(self.scheduler.init_noise_sigma)

    def _scales(self, level: torch.Tensor, like: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        if self.flow:
            sigma = level.clamp(min=0) / self.levels
            signal = 1 - sigma
        else:
            cumulative = self.scheduler.alphas_cumprod.to(level.device)[level.clamp(min=0).long()]
            signal, sigma = cumulative.sqrt(), (1 - cumulative).sqrt()
        shape = (*level.shape, *(1,) * (like.ndim - level.ndim))
        return signal.view(shape).to(like.dtype), sigma.view(shape).to(like.dtype)

    def _clean(self, level: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
        return (level < 0).view(*level.shape, *(1,) * (like.ndim - level.ndim))
