"""Kept frames as the network is shown them: in the place of older context, with null actions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import torch

from slowfast.fast.likeness import directions
from slowfast.slow.windows import ActionTensors, Guess, concat_actions, select_actions

if TYPE_CHECKING:
    from slowfast.fast.memory import EpisodicMemory
    from slowfast.slow import SlowLearner


@dataclass(frozen=True)
class Kept:
    """Frames that may be shown again: ``latents`` ``float32 [E', N, C, h, w]``, which of them exist, ``usable`` ``bool
    [E', N]``, and ``poses`` ``float32 [E', N, 3]`` if they are found by where they were seen from."""

    latents: torch.Tensor
    usable: torch.Tensor
    poses: torch.Tensor | None = None

    @cached_property
    def directions(self) -> torch.Tensor:
        """``float32 [E', N, D]``, to compare frames with."""
        return directions(self.latents)


@dataclass(frozen=True)
class Request:
    """What is asked of the network: ``frames`` new ones after ``context`` ``[B, P, C, h, w]``, with ``actions``
    ``[B, P + frames]``, generators and sampling steps as ``slow.generate`` takes them."""

    slow: SlowLearner
    memory: EpisodicMemory
    context: torch.Tensor
    actions: ActionTensors
    frames: int
    generators: Sequence[torch.Generator]
    steps: int | None

    @property
    def near(self) -> torch.Tensor:
        """What of the context stays beside frames that are shown again."""
        return self.context[:, -max(self.memory.context - self.memory.rule.recalled, 1) :]

    def plain(self) -> torch.Tensor:
        """The answer without any."""
        return self.slow.generate(self.context, self.actions, self.frames, self.generators, self.steps)

    def with_shown(self, shown: torch.Tensor, trust: torch.Tensor | None = None) -> torch.Tensor:
        """The answer with frames ``shown`` ``[B, n, C, h, w]`` before the last ones of the context. ``trust`` ``[B]``:
        how far the first of them is a guess at the first new frame (None: not at all)."""
        context, near = self.context, self.near
        led = select_actions(self.actions, (slice(None), slice(context.shape[1] - near.shape[1], None)))
        null = self.slow.null_actions(len(context), shown.shape[1])
        unknown = {name: own.to(context.device) for name, own in null.items()}
        prefix = torch.cat([shown.to(context), near], 1)
        guess = None if trust is None else _first(shown[:, :1].to(context), trust.to(context), self.frames)
        led = concat_actions([unknown, led])
        return self.slow.generate(prefix, led, self.frames, self.generators, self.steps, guess=guess)

    @property
    def same_draws(self) -> bool:
        """Whether answers with and without kept frames draw as much noise."""
        return self.near.shape[1] + self.memory.rule.recalled == self.context.shape[1]

    @property
    def divisible(self) -> bool:
        """Whether entries can be answered apart: each has its generator, and no adapter reads the batch as a whole."""
        return len(self.generators) == len(self.context) and not self.memory.rule.steps

    def part(self, chosen: torch.Tensor) -> Request:
        """The request for entries ``chosen`` ``bool [B]`` alone."""
        generators = [own for own, wanted in zip(self.generators, chosen.tolist(), strict=True) if wanted]
        actions = select_actions(self.actions, chosen)
        return replace(self, context=self.context[chosen], actions=actions, generators=generators)

    def from_noise(self, answer: Callable[[], torch.Tensor], before: torch.Tensor) -> torch.Tensor:
        """An ``answer`` from the noise that the generators had ``before``."""
        for generator, state in zip(self.generators, before, strict=True):
            generator.set_state(state.clone())
        return answer()


Look = Callable[[Request], torch.Tensor]
"""Answers a request with one look among kept frames."""


def _first(frame: torch.Tensor, trust: torch.Tensor, frames: int) -> Guess:
    """A guess ``[B, 1, C, h, w]`` at the first of new ``frames``, and none at the others."""
    alone = torch.zeros(len(frame), frames, device=frame.device, dtype=frame.dtype)
    alone[:, 0] = trust
    return Guess(frame.expand(-1, frames, -1, -1, -1), alone)


def picked(frames: torch.Tensor, picks: torch.Tensor) -> torch.Tensor:
    """``frames`` ``[E, N, ...]`` at ``picks`` ``int64 [k * E, n]``, episode-major."""
    each = picks.unflatten(0, (len(frames), -1))  # [E, k, n]
    episodes = torch.arange(len(frames), device=frames.device)[:, None, None]
    return frames[episodes, each].flatten(0, 1)
