"""Kept frames found by where they were seen from: an odometry follows the episode and foretells where a step leads.

No draft is needed, so a frame takes one sampling. The first frame that is shown is the one nearest to where the step
leads; the others are the nearest to the present place: beside what the network made of it, they say how far it is off.
Where the first was seen from the very pose, the noise that the new frame is made from holds some of it, as in SDEdit
(arXiv 2108.01073): the network, which was never told that it is the answer, else doubts it now and then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from slowfast.fast.generators import states
from slowfast.fast.likeness import directions
from slowfast.fast.showing import Kept, Look, Request, picked
from slowfast.heads.poses import distances, moved, nearest
from slowfast.slow.windows import select_actions

if TYPE_CHECKING:
    from slowfast.fast.arguments import Episodes
    from slowfast.fast.memory import EpisodicMemory

VERY = 0.999
"""Cosine likeness from which a kept frame is one that the network is shown anyway."""


def answer_by_pose(memory: EpisodicMemory, kept: Kept, context: torch.Tensor, episodes: Episodes) -> Look:
    """A look among ``kept`` frames that starts where the last frame of ``context`` was seen from, and moves on with
    every frame that it makes."""
    odometry, rule = memory.odometry, memory.rule
    assert odometry is not None
    assert kept.poses is not None
    poses, stored, pose = kept.poses, kept.directions, memory.pose_of(context[:, -1], kept, episodes)

    def believed(present: torch.Tensor, pose: torch.Tensor) -> torch.Tensor:
        """``bool [B]``: whether what is kept from the present place looks like the present frame, if there is such."""
        each = pose.unflatten(0, (len(stored), -1))
        apart = distances(each, poses, odometry.scale).masked_fill(~kept.usable[:, None], torch.inf)  # [E, k, N]
        alike = directions(present.unflatten(0, each.shape[:2])) @ stored.mT
        best = alike.masked_fill(apart > rule.same, -1).amax(-1)
        return ((best >= rule.doubt) | (best == -1)).flatten()

    def look(request: Request) -> torch.Tensor:
        nonlocal pose
        new = select_actions(request.actions, (slice(None), slice(-request.frames, None)))
        vectors, present = request.slow.action_vectors(new), request.context[:, -1:]
        there = moved(pose, odometry(present, None, vectors[:, :1])[:, 0])
        near = directions(request.near).unflatten(0, (len(stored), -1))  # [E, k, P, D]
        other = (near @ stored.mT[:, None]).amax(2).flatten(0, 1) < VERY  # [B, N]
        usable = kept.usable.repeat_interleave(near.shape[1], 0) & other
        asked = torch.stack([there, *[pose] * (rule.recalled - 1)], 1)
        picks, apart = nearest(asked, poses, usable, odometry.scale)
        trust = rule.trust * (1 - apart[:, 0].nan_to_num(torch.inf) / rule.same).clamp(0, 1) if rule.trust else None
        ready = apart.isfinite().all(1) & (apart[:, 0] <= rule.near) & believed(present[:, 0], pose)
        made = _either(request, picked(kept.latents, picks), ready, trust)
        for step in odometry(torch.cat([present, made[:, :-1]], 1), made, vectors).unbind(1):
            pose = moved(pose, step)
        return made

    return look


def _either(
    request: Request, shown: torch.Tensor, ready: torch.Tensor, trust: torch.Tensor | None = None
) -> torch.Tensor:
    """The answer with ``shown`` where ``ready`` ``bool [B]``, else without, from the same noise; neither in vain.

    What the generators have drawn afterwards does not depend on which of the two was needed.
    """
    if request.same_draws and bool(ready.all()):
        return request.with_shown(shown, trust)
    if request.same_draws and not bool(ready.any()):
        return request.plain()
    if request.same_draws and request.divisible:
        made = torch.empty_like(request.context[:, :1]).repeat(1, request.frames, 1, 1, 1)
        made[~ready] = request.part(~ready).plain()
        made[ready] = request.part(ready).with_shown(shown[ready], None if trust is None else trust[ready])
        return made
    before = states(request.generators)
    plain = request.plain()
    made = request.from_noise(lambda: request.with_shown(shown, trust), before)
    return torch.where(ready[:, None, None, None, None], made, plain)
