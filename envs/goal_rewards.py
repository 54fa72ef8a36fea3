"""What pictures are worth for goals in words, by a world's instruction head."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from slowfast.world_model import WorldModel


@dataclass(frozen=True)
class InstructionReward:
    """The chance, from 0 to 1, that a picture shows done what was said: a reward for goals in words
    (:class:`~slowfast.envs.wrappers.GoalObservation`), of real pictures and of dreamed ones.

    Takes ``uint8 [H, W, 3]`` and a text, or ``[N, H, W, 3]`` and N texts. Raises ValueError for a world without an
    instruction head, and for words none of which it knows.
    """

    world: WorldModel

    def __post_init__(self) -> None:
        if self.world.instruction is None:
            raise ValueError(
                f"the world {self.world.config.name!r} has no instruction head: `slowfast train instruction` adds it"
            )

    @torch.no_grad()
    def __call__(self, achieved: Any, desired: str | Sequence[str], info: Any = None) -> Any:
        head = self.world.instruction
        assert head is not None
        pictures = np.asarray(achieved)
        single = pictures.ndim == 3
        texts = [desired] if isinstance(desired, str) else list(desired)
        latents = self.world.encode(pictures[None, None] if single else pictures[:, None])
        chances = head(latents, head.read(texts).to(latents.device))[:, 0].double().cpu().numpy()
        return float(chances[0]) if single else chances
