"""The paper's own route from words to actions (§3.4, after UniPi): imagine the video of a sub-goal, then read from its
frames which actions lead through it.

The acting components are null, so the world chooses what happens; its memory is read and never written. Only what is
executed and observed (:meth:`slowfast.dream.Dream.observe`) is remembered.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from slowfast.actions import Columns
from slowfast.dream import Dream
from slowfast.planning.subgoals import checked_words, language_of
from slowfast.slow.windows import ActionTensors, select_actions
from slowfast.world_model import WorldModel


@dataclass(frozen=True)
class VideoPlan:
    """What would be seen on the way to ``subgoals`` (one of each of E' episodes), and how to go it.

    ``latents`` ``float32 [E', n, C, h, w]``: the frames that were imagined, the present one not among them;
    ``actions``: columns ``[E', n, ...]``, the action that leads into each of them, as the inverse dynamics reads it.
    """

    world: WorldModel
    subgoals: tuple[str, ...]
    latents: torch.Tensor
    actions: Columns

    @cached_property
    def frames(self) -> np.ndarray:
        """``uint8 [E', n, H, W, 3]``, decoded when first asked for."""
        return self.world.decode(self.latents)


class VideoPlanner:
    """Makes video plans from where the episodes of ``dream`` stand; the dream is not changed.

    ``frames``: of one plan, by default a chunk f_g of the world. More are imagined chunk after chunk. Raises ValueError
    when the world takes no words or has no inverse dynamics.
    """

    def __init__(self, dream: Dream, frames: int | None = None) -> None:
        world = dream.world
        if world.inverse_dynamics is None:
            raise ValueError(
                f"{world.config.name!r} has no inverse dynamics to read actions from a video plan: "
                "`slowfast train inverse-dynamics` adds it"
            )
        self.dream, self.language = dream, language_of(world.action_spec).name
        self.frames = _checked(world.config.chunk if frames is None else frames)

    @torch.no_grad()
    def plan(
        self,
        subgoals: Sequence[str],
        generators: Sequence[torch.Generator],
        episodes: Sequence[int] | None = None,
        frames: int | None = None,
    ) -> VideoPlan:
        """A plan for each of ``episodes`` (default: all), which has one sub-goal and one generator, the source of its
        noise. ``frames``: of these plans, if not the planner's own.

        What an episode's plan draws does not depend on the others. Raises ValueError for another number of sub-goals or
        generators, for an empty sub-goal or one too long; RuntimeError when an episode has not begun.
        """
        dream, world = self.dream, self.dream.world
        index = torch.arange(len(dream)) if episodes is None else torch.as_tensor(episodes, dtype=torch.int64)
        if not len(index) == len(subgoals) == len(generators):
            given = f"{len(subgoals)} sub-goals and {len(generators)} generators"
            raise ValueError(f"{len(index)} episodes need a sub-goal and a generator each, got {given}")
        lengths = dream.lengths[index]
        if not lengths.all():
            raise RuntimeError(f"episodes {index[lengths == 0].tolist()} have not begun: call start() first")
        words = self._words(checked_words(subgoals), self.frames if frames is None else _checked(frames))
        parts, order = [], []
        for length in lengths.unique().tolist():
            rows = (lengths == length).nonzero().flatten()
            led = select_actions(words, rows.to(world.device))
            parts.append(dream.imagine(led, [generators[row] for row in rows.tolist()], index[rows]))
            order.append(rows)
        made = torch.cat(parts)[torch.cat(order).argsort().to(world.device)]
        present = dream.latents[index.to(world.device)]
        assert world.inverse_dynamics is not None
        actions = world.inverse_dynamics.read(torch.cat([present[:, None], made], 1))
        return VideoPlan(world, tuple(subgoals), made, actions)

    def _words(self, subgoals: Sequence[str], frames: int) -> ActionTensors:
        """Each sub-goal over all of its frames, and null beside it."""
        column = np.empty((len(subgoals), frames), object)
        column[:] = np.array(subgoals, object)[:, None]
        world = self.dream.world
        return world.action_tensors(world.action_spec.columns({self.language: column}))


def _checked(frames: int) -> int:
    if frames < 1:
        raise ValueError(f"a video plan has at least 1 frame, got {frames}")
    return frames
