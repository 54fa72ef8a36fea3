"""A dream that goes out and comes back by itself: does it meet again what it dreamed on the way out?

Here nothing is seen but the first frames. The memory learns from what was dreamed, and is read by the next step.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from slowfast.dream import Dream
from slowfast.evaluation.intervals import Comparison, compare
from slowfast.evaluation.one_chunk import squared_errors
from slowfast.evaluation.recall.teaching import Progress
from slowfast.evaluation.revisit import Frames, RevisitConfig, seeds
from slowfast.evaluation.tours import Tours
from slowfast.fast import EpisodicMemory
from slowfast.world_model import WorldModel


@dataclass(frozen=True)
class ReturnArm:
    """``difference``: mean squared error between the later and the first visit of a view, frames of 8 bit; ``truth``:
    between the later visit and the simulator; ``motion``: between first visits that are f_p frames apart, which shows a
    dream that stands still."""

    difference: float
    difference_worlds: list[float]
    truth: float
    truth_worlds: list[float]
    motion: float


@dataclass(frozen=True)
class Return:
    """Dreamed out and back. ``pairs``: (first visit, later visit) as frames of the tour, all of them farther apart than
    the context and a chunk; the first ``given`` frames are true. ``arms``: ``on``, ``off`` and ``simulator``.
    ``effects``: ``difference`` and ``truth``, on against off."""

    worlds: int
    given: int
    dreamed: int
    pairs: list[tuple[int, int]]
    arms: dict[str, ReturnArm]
    effects: dict[str, Comparison]
    updates: int
    seconds: float


def measure_return(
    world: WorldModel,
    tours: Tours,
    config: RevisitConfig | None = None,
    progress: Progress | None = None,
) -> tuple[Return, Frames]:
    """Tours whose second half undoes the first are dreamed from their first f_p frames, with memory off and on.

    The frames are whole tours, the given ones included. Raises ValueError when no view returns from beyond the context.
    """
    config = config or RevisitConfig()
    began = time.perf_counter()
    given, total = world.config.context, tours.frames.shape[1] - 1
    pairs = returning_pairs(world, total)
    dream_seed, memory_seed = seeds(config.seed)
    frames: Frames = {"truth": tours.frames}
    updates = 0
    for number, arm in enumerate(("on", "off")):
        memory = world.new_memory(len(tours), memory_seed, config.rule) if arm == "on" else None

        def counted(done: int, of: int, before: int = number) -> None:
            if progress:
                progress(before * of + done, 2 * of)

        frames[arm], learned = dream_tours(world, tours, memory, dream_seed, counted)
        updates = max(updates, learned)
    arms = {
        "on": return_arm(frames["on"], tours.frames, pairs, given),
        "off": return_arm(frames["off"], tours.frames, pairs, given),
        "simulator": return_arm(tours.frames, tours.frames, pairs, given),
    }
    effects = {
        name: compare(
            np.array(getattr(arms["on"], f"{name}_worlds")),
            np.array(getattr(arms["off"], f"{name}_worlds")),
            config.draws,
            config.seed,
        )
        for name in ("difference", "truth")
    }
    seconds = time.perf_counter() - began
    return Return(len(tours), given, total + 1 - given, pairs, arms, effects, updates, seconds), frames


def returning_pairs(world: WorldModel, total: int) -> list[tuple[int, int]]:
    """(first visit, later visit), as frames of a tour of ``total`` actions whose second half undoes the first, of all
    views that come back from beyond the context and a chunk. Raises ValueError when there is none."""
    context, chunk = world.config.context, world.config.chunk
    pairs = [(i, total - i) for i in range(total) if total - 2 * i > context + chunk]
    if not pairs or total <= context:
        raise ValueError(
            f"a tour of {total} actions never returns from beyond a context of {context} frames and a chunk"
        )
    return pairs


def dream_tours(
    world: WorldModel, tours: Tours, memory: EpisodicMemory | None, seed: int, progress: Progress | None = None
) -> tuple[np.ndarray, int]:
    """Tours dreamed from their first f_p frames: whole tours ``uint8 [W, T + 1, H, W, 3]``, the given frames included,
    and how often the memory learned."""
    given, ahead = world.config.context, tours.frames.shape[1] - world.config.context
    shown, asked = (
        world.action_spec.select(tours.actions, (slice(None), part))
        for part in (slice(given - 1), slice(given - 1, None))
    )
    dream = Dream(world, len(tours), memory, seed)
    dream.start(tours.frames[:, :given], shown)
    parts = [tours.frames[:, :given]]
    for part in dream.rollout(asked):
        parts.append(part)
        if progress:
            progress(sum(made.shape[1] for made in parts[1:]), ahead)
    return np.concatenate(parts, 1), int(dream.updates.max())


def return_arm(frames: np.ndarray, truth: np.ndarray, pairs: list[tuple[int, int]], apart: int) -> ReturnArm:
    """Errors of whole tours ``uint8 [W, T + 1, H, W, 3]``."""
    first, later = (list(visits) for visits in zip(*pairs, strict=True))
    difference = squared_errors(frames[:, later], frames[:, first]).mean(1)
    off_truth = squared_errors(frames[:, later], truth[:, later]).mean(1)
    out = frames[:, : frames.shape[1] // 2 + 1]
    motion = squared_errors(out[:, apart:], out[:, :-apart])
    return ReturnArm(
        difference=float(difference.mean()),
        difference_worlds=difference.tolist(),
        truth=float(off_truth.mean()),
        truth_worlds=off_truth.tolist(),
        motion=float(motion.mean()),
    )
