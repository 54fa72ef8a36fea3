"""A goal in words: the world's instruction head says of each imagined frame how likely it is reached."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from slowfast.heads.instruction import InstructionHead
from slowfast.planning.objectives import Outcome
from slowfast.world_model import WorldModel


@dataclass(frozen=True)
class LanguageGoal:
    """Minus how likely ``words`` are done in the frames that the actions lead to.

    ``words``: one instruction for all episodes or one for each. A frame that comes ``k`` steps later weighs
    ``discount ** k``; ``last`` (a share from 0 to 1) blends that mean with the last frame alone. ``log``: of the
    chances' logarithms, by which two ways that are both far from done can still be told apart; else of the chances
    themselves. ``soon``: how soon they will be done counts instead, which leads on where nothing within reach is done
    (None: where the world's head has learned it). Raises ValueError for a world without an instruction head
    (``slowfast train instruction``), or one that has not learned how soon, and for an instruction of which it knows no
    word; :meth:`of` raises them before anything is imagined.
    """

    words: str | Sequence[str]
    discount: float = 1.0
    last: float = 0.5
    log: bool = True
    soon: bool | None = None

    @classmethod
    def of(cls, world: WorldModel, words: str | Sequence[str], **settings: Any) -> LanguageGoal:
        """The same, once ``world`` is known to understand it."""
        goal = cls(words, **settings)
        head, _ = goal._read(world)
        if goal.soon and not head.config.soon:
            raise ValueError(f"the world {world.config.name!r} has not learned how soon: train with task.soon above 0")
        return goal

    @torch.no_grad()
    def __call__(self, outcome: Outcome) -> torch.Tensor:
        head, words = self._read(outcome.world)
        count, steps = outcome.latents.shape[:2]
        if len(words) > 1 and outcome.episodes is not None:
            if int(outcome.episodes.max()) >= len(words):
                raise ValueError(f"{len(words)} instructions, and none for episode {int(outcome.episodes.max())}")
            words = words[outcome.episodes.to(words.device)]
        if count % len(words):
            raise ValueError(f"{len(words)} instructions for {count} candidates: give one, or one an episode")
        words = words.to(outcome.latents.device).repeat_interleave(count // len(words), 0)
        told = self._told(head, outcome.latents, words)
        weights = self.discount ** torch.arange(steps, device=told.device)
        along = told @ (weights / weights.sum())
        return -(self.last * told[:, -1] + (1 - self.last) * along)

    def _told(self, head: InstructionHead, latents: torch.Tensor, words: torch.Tensor) -> torch.Tensor:
        """``[N, H]``, more is better."""
        soon = head.config.soon > 0 if self.soon is None else self.soon
        told = head.log_soon(latents, words) if soon else head.log_chances(latents, words)
        return told if self.log else told.exp()

    def _read(self, world: WorldModel) -> tuple[InstructionHead, torch.Tensor]:
        """The world's head, and the instructions ``[1 or E, L]`` as it reads them."""
        if world.instruction is None:
            raise ValueError(
                f"a goal in words needs an instruction head, and the world {world.config.name!r} has none: "
                "`slowfast train instruction` adds it"
            )
        texts = [self.words] if isinstance(self.words, str) else list(self.words)
        if not texts:
            raise ValueError("words are one instruction, or one an episode; got none")
        return world.instruction, world.instruction.read(texts)
