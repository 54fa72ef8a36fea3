"""Which of many frames show what is about to be seen: cosine likeness of latents.

Cosine and not distance, because a draft of what comes is blurred, and the frames nearest to a blurred one are the
plainest ones.
"""

from __future__ import annotations

import torch


def likest(
    drafts: torch.Tensor, shown: torch.Tensor, frames: torch.Tensor, usable: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """The most alike of ``frames`` ``[E, N, C, h, w]`` for each of ``drafts`` ``[B, n, C, h, w]``, one after the other.

    B = k * E, episode-major. No frame is picked twice for the same entry. One that is more like something in ``shown``
    ``[B, P, C, h, w]`` (P >= 1) than like the draft is left out: the network sees that view already. ``usable``
    ``bool [E, N]``: which frames may be picked at all. Returns which, ``int64 [B, n]``, and their likeness ``[B, n]``,
    -inf where nothing was left to pick.
    """
    stored, episodes = directions(frames), len(frames)
    drafts, shown = (directions(part).unflatten(0, (episodes, -1)) for part in (drafts, shown))  # [E, k, n, D]
    known = (shown @ stored.mT[:, None]).amax(2)  # [E, k, N]
    left = usable[:, None].expand_as(known)
    picks, scores = [], []
    for draft in drafts.unbind(2):
        likeness = draft @ stored.mT  # [E, k, N]
        score, pick = likeness.masked_fill(~left | (known > likeness), -torch.inf).max(2)
        left = left.scatter(2, pick[..., None], False)
        picks.append(pick.flatten())
        scores.append(score.flatten())
    return torch.stack(picks, 1), torch.stack(scores, 1)


def directions(frames: torch.Tensor) -> torch.Tensor:
    """``[B, n, C, h, w]`` as vectors of length 1, ``[B, n, D]``."""
    return torch.nn.functional.normalize(frames.float().flatten(2), dim=-1)
