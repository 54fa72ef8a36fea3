"""What heads on latents share: a look at pictures that lie on top of each other, and a folder to be kept in."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn

GRID = 4
"""Positions a side that latents of any size are brought to."""


def look(channels: int, width: int) -> nn.Sequential:
    """From ``[N, channels, h, w]`` of any size to ``[N, 2 * width]``."""
    return nn.Sequential(
        nn.Conv2d(channels, width, 3, padding=1),
        nn.SiLU(),
        nn.Conv2d(width, width, 3, padding=1),
        nn.SiLU(),
        nn.AdaptiveAvgPool2d(GRID),
        nn.Flatten(),
        nn.Linear(width * GRID**2, 2 * width),
    )


def save_head(head: nn.Module, config: Mapping[str, Any], folder: str | Path, dtype: torch.dtype | None) -> None:
    """Writes ``config.json`` and ``model.safetensors``; weights are stored as ``dtype``, buffers keep their own."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    weights = {name for name, _ in head.named_parameters()}
    state = {
        name: own.detach().to(dtype if dtype and name in weights else own.dtype).contiguous()
        for name, own in head.state_dict().items()
    }
    save_file(state, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def read_head(folder: str | Path) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """What :func:`save_head` wrote, weights as float32. Raises FileNotFoundError when a file is missing."""
    folder = Path(folder)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return config, {name: own.float() for name, own in load_file(folder / "model.safetensors").items()}
