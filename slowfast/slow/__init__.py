"""Slow learners: video generators over latents. A new generator is one file here and one line in ``SLOW_LEARNERS``."""

from __future__ import annotations

import importlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    import torch

    from slowfast.actions import Columns
    from slowfast.slow.prefix import KeptPrefix
    from slowfast.slow.windows import ActionTensors, Guess, Windows

SLOW_LEARNERS = {"MaskedVideoDiffusion": "slowfast.slow.masked_diffusion:MaskedVideoDiffusion"}
"""The ``class`` in a folder's ``slow_learner.json``, and where it lives."""


@runtime_checkable
class SlowLearner(Protocol):
    """A generator of latents that a memory can attach to. ``generators`` is one ``torch.Generator`` an episode."""

    @property
    def recalled(self) -> int:
        """Frames at the start of a prefix, with null actions, that may be from any time before; 0: not trained for."""
        ...

    @property
    def roll_prefix(self) -> bool:
        """Whether dreams without a memory keep what they can of the prefix from frame to frame."""
        ...

    def loss(
        self,
        windows: Windows,
        generators: Sequence[torch.Generator],
        prefix_noise: float = 0.0,
        shift: float | None = None,
        levels: str = "trained",
    ) -> torch.Tensor:
        """Loss of each window ``[B]``, over its new frames."""
        ...

    def generate(
        self,
        context: torch.Tensor,
        actions: ActionTensors,
        frames: int,
        generators: Sequence[torch.Generator],
        steps: int | None = None,
        guidance: float | None = None,
        guess: Guess | None = None,
        kept: KeptPrefix | None = None,
    ) -> torch.Tensor:
        """New latents ``[B, frames, C, h, w]`` after ``context`` ``[B, P, C, h, w]``."""
        ...

    def memory_layers(self, kind: str, shape: tuple[int, int, int] | None = None) -> list[str]:
        """Names of the layers that a memory may attach to; ``shape``: (C, h, w) of a frame's latents, where a kind
        depends on it."""
        ...

    def action_vectors(self, actions: ActionTensors) -> torch.Tensor:
        """What the network is told of actions ``[B, F]`` beside the text, ``[B, F, D]``."""
        ...

    def null_actions(self, batch: int, frames: int) -> ActionTensors:
        """All action components missing."""
        ...

    def action_tensors(self, columns: Columns) -> ActionTensors:
        """Columns ``[B, F]`` as tensors."""
        ...


def load_slow_learner(folder: str | Path) -> SlowLearner:
    """The slow learner in a folder, by the class that its ``slow_learner.json`` names.

    Raises FileNotFoundError without that file, ValueError for an unknown class.
    """
    path = Path(folder) / "slow_learner.json"
    if not path.is_file():
        raise FileNotFoundError(
            f"{path}: not a slowfast world (a text-to-video folder is adapted by `from_text_to_video`)"
        )
    name = json.loads(path.read_text()).get("class")
    if name not in SLOW_LEARNERS:
        raise ValueError(f"{path}: class {name!r} is not a known slow learner ({', '.join(SLOW_LEARNERS)})")
    module, attribute = SLOW_LEARNERS[name].split(":")
    learner: SlowLearner = getattr(importlib.import_module(module), attribute).from_pretrained(folder)
    return learner
