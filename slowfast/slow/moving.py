"""What a loss is weighed by where little of a picture moves: a small hand in a large still life.

The mean over a frame hardly notices whether a hand went left or right, and a network that is trained by it long goes on
without looking at the action. All that is known of the weights is the true frames, so what is best stays best wherever
context and actions decide what comes.
"""

from __future__ import annotations

import torch


def weights(latents: torch.Tensor, prefix: int, motion: float) -> torch.Tensor:
    """Of the new frames of windows ``[B, F, C, h, w]``: ``[B, F - prefix, 1, h, w]``, their mean 1 in every window.

    A place that stays as it was in the frame before weighs 1, the one that changes most in its window ``1 + motion``,
    the others according to their squared change, before all are divided by their mean. Frames without one before them
    weigh evenly.
    """
    change = latents.diff(dim=1).square().mean(2, keepdim=True)
    change = torch.cat([torch.zeros_like(change[:, :1]), change], 1)[:, prefix:]
    most = change.amax((1, 2, 3, 4), keepdim=True).clamp(min=torch.finfo(change.dtype).tiny)
    weight = 1 + motion * change / most
    return weight / weight.mean((1, 2, 3, 4), keepdim=True)
