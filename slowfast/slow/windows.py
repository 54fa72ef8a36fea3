"""The batch that every learner reads: windows of latents with the action that led into each frame."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

ActionTensors = dict[str, torch.Tensor]
"""One tensor per action component, leading axes ``[B, F]``; entry k is the action that led into frame k.

Discrete ``int64`` (-1 null), continuous ``float32 [..., d]`` (NaN null), keyboard ``int64 [..., k]`` (-1 null),
language token ids ``int64 [..., L]`` (all padding is null).
"""


@dataclass(frozen=True)
class Windows:
    """A batch of windows that share one prefix length.

    ``latents`` is ``float32 [B, F, C, h, w]``, normalised; ``actions`` has leading axes ``[B, F]``; the first
    ``prefix`` frames (``0 <= prefix < F``) are clean context, the rest is to be generated.
    """

    latents: torch.Tensor
    actions: ActionTensors
    prefix: int

    def __post_init__(self) -> None:
        if self.latents.ndim != 5:
            raise ValueError(f"windows need latents [B, F, C, h, w], got {tuple(self.latents.shape)}")
        if not 0 <= self.prefix < self.latents.shape[1]:
            raise ValueError(f"prefix {self.prefix} does not fit a window of {self.latents.shape[1]} frames")
        for name, tensor in self.actions.items():
            if tensor.shape[:2] != self.latents.shape[:2]:
                raise ValueError(
                    f"action component {name!r} has axes {tuple(tensor.shape[:2])}, "
                    f"latents have {tuple(self.latents.shape[:2])}: one action leads into each frame"
                )

    def select(self, index: Any) -> Windows:
        """The windows at ``index`` along the batch axis."""
        return Windows(self.latents[index], select_actions(self.actions, index), self.prefix)

    def to(self, device: torch.device | str) -> Windows:
        return Windows(self.latents.to(device), {k: v.to(device) for k, v in self.actions.items()}, self.prefix)


def apart(windows: Windows) -> Windows:
    """Each new frame in a window of its own, after as many frames as the prefix has: ``[B * n, P + 1, ...]``, a
    window's frames side by side."""
    length, prefix = windows.latents.shape[1], windows.prefix
    places = torch.arange(length - prefix)[:, None] + torch.arange(prefix + 1)  # [n, P + 1]

    def cut(tensor: torch.Tensor) -> torch.Tensor:
        return tensor[:, places.to(tensor.device)].flatten(0, 1)

    return Windows(cut(windows.latents), {name: cut(tensor) for name, tensor in windows.actions.items()}, prefix)


@dataclass(frozen=True)
class Guess:
    """What new frames may look like: ``latents`` ``[B, n, C, h, w]``, and how far each is trusted, ``trust`` ``[B, n]``
    in [0, 1): the share of it in the noise that sampling starts from. 0: noise alone."""

    latents: torch.Tensor
    trust: torch.Tensor


def select_actions(actions: ActionTensors, index: Any) -> ActionTensors:
    """``actions[index]`` for every component."""
    return {name: tensor[index] for name, tensor in actions.items()}


def concat_actions(parts: list[ActionTensors], dim: int = 1) -> ActionTensors:
    """Components concatenated along an axis (1: time)."""
    return {name: torch.cat([part[name] for part in parts], dim) for name in parts[0]}
