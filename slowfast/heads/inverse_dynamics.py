"""Inverse dynamics: which action led from one frame to the next, read from their latents.

The paper's way from a generated plan to something that can be executed (§3.4, after UniPi). Words are not read: a
language component that describes a discrete one gets the label that was read, any other stays null.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from slowfast.actions import ActionSpec, Columns, Component, Continuous, Discrete, Keyboard, Language
from slowfast.heads.parts import look, read_head, save_head
from slowfast.slow.windows import ActionTensors

Axes = Mapping[str, tuple[float, ...]]
"""A number an axis, by the name of a continuous component."""


@dataclass(frozen=True)
class InverseDynamicsConfig:
    """``channels`` of a latent; ``spec``: the actions; ``middle`` and ``spread``: mean and standard deviation of each
    axis of each continuous component, in which it is read. Raises ValueError when there are only words to read, or an
    axis lacks one of the two."""

    channels: int
    spec: ActionSpec
    middle: Axes = field(default_factory=dict)
    spread: Axes = field(default_factory=dict)
    width: int = 48

    def __post_init__(self) -> None:
        if not self.read:
            names = [component.name for component in self.spec.components]
            raise ValueError(f"inverse dynamics reads no free text, and the actions are nothing else: {names}")
        for component in self.read:
            if isinstance(component, Continuous):
                for axes in (self.middle, self.spread):
                    if len(axes.get(component.name, ())) != component.size:
                        raise ValueError(f"middle and spread need {component.size} axes of {component.name!r}")

    @property
    def read(self) -> tuple[Component, ...]:
        """The components that are read: all but words."""
        return tuple(c for c in self.spec.components if not isinstance(c, Language))


class InverseDynamics(nn.Module):
    """Reads actions: a choice by cross-entropy, keys each on its own, numbers in units of their spread."""

    def __init__(self, config: InverseDynamicsConfig) -> None:
        super().__init__()
        self.config, width = config, config.width
        self.sizes = [answer_size(component) for component in config.read]
        self.look = look(2 * config.channels, width)
        self.answer = nn.Sequential(
            nn.SiLU(), nn.Linear(2 * width, 2 * width), nn.SiLU(), nn.Linear(2 * width, sum(self.sizes))
        )

    def forward(self, before: torch.Tensor, after: torch.Tensor) -> dict[str, torch.Tensor]:
        """``[B, n, C, h, w]`` and the same, to ``float32 [B, n, ...]`` by component: logits of labels or of keys, or
        numbers less their middle, in units of their spread."""
        dtype = next(self.parameters()).dtype
        looked = self.look(torch.cat([before, after], 2).flatten(0, 1).to(dtype))
        parts = self.answer(looked).float().unflatten(0, before.shape[:2]).split(self.sizes, -1)
        return {component.name: part for component, part in zip(self.config.read, parts, strict=True)}

    def loss(self, answers: Mapping[str, torch.Tensor], actions: ActionTensors) -> dict[str, torch.Tensor]:
        """A scalar by component, over what is not null in ``actions`` ``[B, n]``; 0 where all of it is."""
        return {c.name: self._loss(c, answers[c.name], actions[c.name]) for c in self.config.read}

    def scaled(self, component: Component, values: torch.Tensor) -> torch.Tensor:
        """Numbers of a continuous component ``[..., d]`` less their middle, in units of their spread."""
        middle, spread = self._axes(component, values.device)
        return (values - middle) / spread

    @torch.no_grad()
    def read(self, latents: torch.Tensor, batch: int = 256) -> Columns:
        """The actions between frames: latents ``[E, T + 1, C, h, w]`` to columns ``[E, T, ...]``, ``batch`` steps at a
        time. Raises ValueError for a single frame."""
        if latents.ndim != 5 or latents.shape[1] < 2:
            raise ValueError(f"actions lie between frames: latents are [E, T + 1, C, h, w], got {list(latents.shape)}")
        before, after = (part.flatten(0, 1)[:, None] for part in (latents[:, :-1], latents[:, 1:]))
        answers = [self(before[k : k + batch], after[k : k + batch]) for k in range(0, len(before), batch)]
        shape = (latents.shape[0], latents.shape[1] - 1)
        columns = self.config.spec.null(shape)
        for component in self.config.read:
            answer = torch.cat([part[component.name] for part in answers])[:, 0].unflatten(0, shape)
            columns[component.name] = self._column(component, answer)
        return self._described(columns)

    def save_pretrained(self, folder: str | Path, dtype: torch.dtype | None = None) -> None:
        """Writes ``config.json`` and ``model.safetensors``."""
        config = self.config
        described = {
            "channels": config.channels,
            "spec": json.loads(config.spec.to_json()),
            "middle": dict(config.middle),
            "spread": dict(config.spread),
            "width": config.width,
        }
        save_head(self, described, folder, dtype)

    @classmethod
    def from_pretrained(cls, folder: str | Path) -> InverseDynamics:
        """Raises FileNotFoundError when a file is missing, RuntimeError when weights do not fit the config."""
        config, state = read_head(folder)
        spec = ActionSpec.from_json(json.dumps(config.pop("spec")))
        for name in ("middle", "spread"):
            config[name] = {component: tuple(axes) for component, axes in config[name].items()}
        head = cls(InverseDynamicsConfig(spec=spec, **config))
        head.load_state_dict(state)
        return head

    def _loss(self, component: Component, answer: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
        if isinstance(component, Discrete):
            total = functional.cross_entropy(answer.flatten(0, 1), values.flatten(), ignore_index=-1, reduction="sum")
            return total / (values >= 0).sum().clamp(min=1)
        known = is_known(component, values)
        if isinstance(component, Keyboard):
            held = values.clamp(min=0).float()
            each = functional.binary_cross_entropy_with_logits(answer, held, reduction="none")
        else:
            each = functional.huber_loss(answer, self.scaled(component, values.nan_to_num()), reduction="none")
        return (each * known).sum() / known.sum().clamp(min=1)

    def _column(self, component: Component, answer: torch.Tensor) -> np.ndarray:
        if isinstance(component, Discrete):
            return answer.argmax(-1).cpu().numpy()
        if isinstance(component, Keyboard):
            return (answer > 0).long().cpu().numpy()
        assert isinstance(component, Continuous)
        middle, spread = self._axes(component, answer.device)
        return (answer * spread + middle).cpu().numpy().clip(component.low, component.high).astype(np.float32)

    def _axes(self, component: Component, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
        middle, spread = (torch.tensor(axes[component.name]) for axes in (self.config.middle, self.config.spread))
        return middle.to(device), spread.to(device)

    def _described(self, columns: Columns) -> Columns:
        """Words filled in from the labels that they describe."""
        spec = self.config.spec
        for component in spec.components:
            if isinstance(component, Language) and component.describes is not None:
                source = spec[component.describes]
                if isinstance(source, Discrete):
                    columns[component.name] = np.array(source.labels, object)[columns[source.name]]
        return columns


@torch.no_grad()
def read_video(
    head: InverseDynamics, encode: Callable[[np.ndarray], torch.Tensor], frames: np.ndarray, batch: int
) -> Columns:
    """The actions between frames ``uint8 [T + 1, H, W, 3]`` or ``[E, T + 1, H, W, 3]``, which ``encode`` takes
    ``[N, 1, H, W, 3]``, ``batch`` at a time, to latents. Returns columns ``[T, ...]`` or ``[E, T, ...]``; raises
    ValueError for other frames."""
    frames = np.asarray(frames)
    videos = frames if frames.ndim == 5 else frames[None]
    if videos.ndim != 5 or not len(videos) or videos.shape[1] < 2:
        raise ValueError(f"actions lie between frames [T + 1, H, W, 3] or [E, T + 1, H, W, 3], got {frames.shape}")
    flat = videos.reshape(-1, 1, *videos.shape[2:])
    latents = torch.cat([encode(flat[k : k + batch]) for k in range(0, len(flat), batch)])
    columns = head.read(latents[:, 0].unflatten(0, videos.shape[:2]), batch)
    return columns if frames.ndim == 5 else {name: column[0] for name, column in columns.items()}


def answer_size(component: Any) -> int:
    """Numbers that the head gives for a component: one a label, a key or an axis."""
    return len(component.labels) if isinstance(component, Discrete) else int(np.prod(component.null(()).shape))


def is_known(component: Component, values: torch.Tensor) -> torch.Tensor:
    """Which values are not null, ``bool`` in the shape of ``values``."""
    return values >= 0 if not isinstance(component, Continuous) else torch.isfinite(values)
