"""How a memory is taught a tour: as it happened, and the ways that have to destroy what it can know."""

from __future__ import annotations

import time
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass, replace
from itertools import pairwise

import torch

from slowfast.fast import EpisodicMemory
from slowfast.fast.generators import episode_generator
from slowfast.fast.memory_state import MemoryState
from slowfast.slow.windows import ActionTensors, select_actions

Progress = Callable[..., None]


@dataclass(frozen=True)
class Taught:
    """What teaching took: ``seconds`` for all worlds together; ``updates`` and gradient ``steps`` a world; ``pending``:
    frames at the end that were not learned; mean losses at the first and last step of the first and last update, None
    where there was none."""

    seconds: float
    updates: int
    steps: int
    pending: int
    first_update: tuple[float, float] | None
    last_update: tuple[float, float] | None


def teach(
    memory: EpisodicMemory,
    latents: torch.Tensor,
    actions: ActionTensors,
    progress: Progress | None = None,
    forget: bool = False,
) -> Taught:
    """Shows ``memory`` all frames ``[E, n, C, h, w]``, as many at a time as it learns from at once.

    ``forget``: before each update it loses what it learned (and replays nothing), so that only the last one is left.
    """
    began, count, fresh = time.perf_counter(), latents.shape[1], memory.snapshot()
    updates, steps, losses = 0, 0, []
    for start, stop in pieces(count, memory.every):
        if forget:
            memory.restore(_without_learning(memory.snapshot(), fresh))
        piece = (slice(None), slice(start, stop))
        learned = memory.append(latents[piece], select_actions(actions, piece))
        if int(learned["updates"].max()):
            updates += int(learned["updates"].max())
            losses.append((float(learned["loss_first"].mean()), float(learned["loss_last"].mean())))
        steps = (steps if forget else 0) + int(memory.steps.max())
        if progress:
            progress(stop, count, **({"loss": losses[-1][1]} if losses else {}))
    return Taught(
        seconds=time.perf_counter() - began,
        updates=updates,
        steps=steps,
        pending=int(memory.frames_pending.max()),
        first_update=losses[0] if losses else None,
        last_update=losses[-1] if losses else None,
    )


def _without_learning(state: MemoryState, fresh: MemoryState) -> MemoryState:
    """``state`` with the stream of frames that it follows, but nothing learned from them."""
    everybody = torch.arange(len(state.rows))
    replay, bank = state.replay and state.replay.forget(everybody), state.bank and state.bank.forget(everybody)
    return replace(fresh, stream=state.stream, replay=replay, bank=bank, pose=state.pose, random=state.random)


def pieces(count: int, every: int) -> list[tuple[int, int]]:
    """The first frame with the first ``every`` new ones, then ``every`` at a time."""
    edges = [0, *range(1 + every, count, every), count]
    return list(pairwise(edges))


def shuffled(latents: torch.Tensor, seed: int) -> torch.Tensor:
    """Frames ``[E, n, ...]`` of each episode in an order of its own; actions stay where they were."""
    order = torch.stack(
        [torch.randperm(latents.shape[1], generator=episode_generator(seed, row)) for row in range(len(latents))]
    )
    return latents[torch.arange(len(latents))[:, None], order.to(latents.device)]


def neighbours(memory: EpisodicMemory) -> EpisodicMemory:
    """A copy in which every episode has its neighbour's memory."""
    other = copy(memory)
    other.restore(memory.snapshot().exchanged(torch.arange(len(memory)).roll(1)))
    return other
