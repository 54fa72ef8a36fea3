"""Kept frames found by where they were seen from: an odometry follows the episode and foretells where a step leads.

No draft is needed, so a frame takes one sampling. The first frame that is shown is the one nearest to where the step
leads; the others are the nearest to the present place: beside what the network made of it, they say how far it is off.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import torch

from slowfast.fast.generators import states
from slowfast.fast.likeness import directions
from slowfast.fast.showing import Kept, Look, answer_with, near_frames, picked
from slowfast.heads.poses import moved, nearest
from slowfast.slow.windows import ActionTensors, select_actions

if TYPE_CHECKING:
    from slowfast.fast.arguments import Episodes
    from slowfast.fast.memory import EpisodicMemory
    from slowfast.slow import SlowLearner

VERY = 0.999
"""Cosine likeness from which a kept frame is one that the network is shown anyway."""


def answer_by_pose(memory: EpisodicMemory, kept: Kept, context: torch.Tensor, episodes: Episodes) -> Look:
    """A look among ``kept`` frames that starts where the last frame of ``context`` was seen from, and moves on with
    every frame that it makes."""
    odometry = memory.odometry
    assert odometry is not None
    assert kept.poses is not None
    poses, pose = kept.poses, memory.pose_of(context[:, -1], kept, episodes)
    stored = directions(kept.latents)

    def look(
        slow: SlowLearner,
        memory: EpisodicMemory,
        kept: Kept,
        context: torch.Tensor,
        actions: ActionTensors,
        frames: int,
        generators: Sequence[torch.Generator],
        steps: int | None,
    ) -> torch.Tensor:
        nonlocal pose
        vectors = slow.action_vectors(select_actions(actions, (slice(None), slice(-frames, None))))
        present, count = context[:, -1:], memory.rule.recalled
        there = moved(pose, odometry(present, None, vectors[:, :1])[:, 0])
        near = directions(near_frames(memory, context)).unflatten(0, (len(stored), -1))  # [E, k, P, D]
        other = (near @ stored.mT[:, None]).amax(2).flatten(0, 1) < VERY  # [B, N]
        usable = kept.usable.repeat_interleave(len(context) // len(stored), 0) & other
        picks, apart = nearest(torch.stack([there, *[pose] * (count - 1)], 1), poses, usable, odometry.scale)
        ready = apart.isfinite().all(1) & (apart[:, 0] <= memory.rule.near)
        made = _either(
            ready,
            lambda: slow.generate(context, actions, frames, generators, steps),
            lambda: answer_with(slow, memory, picked(kept.latents, picks), context, actions, frames, generators, steps),
            generators,
            same_draws=context.shape[1] == count + near.shape[2],
        )
        motion = odometry(torch.cat([present, made[:, :-1]], 1), made, vectors)
        for step in motion.unbind(1):
            pose = moved(pose, step)
        return made

    return look


def _either(
    ready: torch.Tensor,
    plain: Callable[[], torch.Tensor],
    shown: Callable[[], torch.Tensor],
    generators: Sequence[torch.Generator],
    same_draws: bool,
) -> torch.Tensor:
    """``shown`` where ``ready`` ``bool [B]``, else ``plain``, both from the same noise; neither in vain.

    What the generators have drawn afterwards does not depend on which of the two was needed.
    """
    if same_draws and bool(ready.all()):
        return shown()
    if same_draws and not bool(ready.any()):
        return plain()
    before = states(generators)
    first = plain()
    for generator, state in zip(generators, before, strict=True):
        generator.set_state(state.clone())
    return torch.where(ready[:, None, None, None, None], shown(), first)
