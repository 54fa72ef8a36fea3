"""Saving diffusers' models as folders that say what is in them and nothing of where they came from; and a name for
weights that depends on nothing but them."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

ORIGIN = "_name_or_path"
"""Where diffusers notes the path that a model was loaded from."""


def save_model(model: Any, folder: str | Path, dtype: torch.dtype | None = None) -> None:
    """Writes a diffusers model in its own layout, without the path that it was loaded from.

    ``dtype`` is that of the stored weights; the model itself keeps its precision.
    """
    stored = nn.Module.to(copy.deepcopy(model), dtype) if dtype else model
    stored.save_pretrained(str(folder), safe_serialization=True)
    path = Path(folder) / "config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    if config.pop(ORIGIN, None) is not None:
        path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def weights_hash(weights: Mapping[str, torch.Tensor], dtype: torch.dtype | None = None) -> str:
    """SHA-256 of names and values, as float32. ``dtype``: that they went through before, where they are floats."""
    digest = hashlib.sha256()
    for name, tensor in sorted(weights.items()):
        digest.update(name.encode())
        if dtype is not None and tensor.is_floating_point():
            tensor = tensor.to(dtype)
        digest.update(tensor.detach().float().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
