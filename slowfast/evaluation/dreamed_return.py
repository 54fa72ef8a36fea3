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
    pairs = [(i, total - i) for i in range(total) if total - 2 * i > world.config.context + world.config.chunk]
    if not pairs or total <= given:
        raise ValueError(f"a tour of {total} actions never returns from beyond a context of {given} frames and a chunk")
    dream_seed, memory_seed = seeds(config.seed)
    spec = world.action_spec
    shown, ahead = (
        spec.select(tours.actions, (slice(None), part)) for part in (slice(given - 1), slice(given - 1, None))
    )
    frames: Frames = {"truth": tours.frames}
    updates = 0
    for number, arm in enumerate(("on", "off")):
        memory = world.new_memory(len(tours), memory_seed, config.rule) if arm == "on" else None
        dream = Dream(world, len(tours), memory, dream_seed)
        dream.start(tours.frames[:, :given], shown)
        parts = [tours.frames[:, :given]]
        for part in dream.rollout(ahead):
            parts.append(part)
            if progress:
                progress(number * (total + 1 - given) + sum(p.shape[1] for p in parts) - given, 2 * (total + 1 - given))
        frames[arm] = np.concatenate(parts, 1)
        updates = max(updates, int(dream.updates.max()))
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
