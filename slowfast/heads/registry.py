"""The heads that a world may hold: each an attribute of the world and a folder within the world's, of the same name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from slowfast.heads.instruction import InstructionHead
from slowfast.heads.inverse_dynamics import InverseDynamics
from slowfast.heads.odometry import Odometry
from slowfast.heads.outcome import OutcomeHead

HEADS: dict[str, type[Odometry] | type[OutcomeHead] | type[InverseDynamics] | type[InstructionHead]] = {
    "odometry": Odometry,
    "outcome": OutcomeHead,
    "inverse_dynamics": InverseDynamics,
    "instruction": InstructionHead,
}


def load_heads(folder: Path) -> dict[str, Any]:
    """Those that lie in a world's folder, by name."""
    return {name: head.from_pretrained(folder / name) for name, head in HEADS.items() if (folder / name).is_dir()}


def save_heads(heads: Mapping[str, Any], folder: Path, dtype: torch.dtype | None) -> None:
    """Each that is there, into a folder of its name."""
    for name in HEADS:
        if heads.get(name) is not None:
            heads[name].save_pretrained(folder / name, dtype)
