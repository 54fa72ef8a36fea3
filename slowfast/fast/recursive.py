"""An associative memory, taught by recursive least squares.

The layer's input is what is asked (a key), what its output lacks is the answer. All that an episode ever taught is
solved for at once: the answers' sums are in the up factor, the keys' in a matrix of r x r numbers. So nothing has to be
replayed, and neither grows with the episode.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from slowfast.fast.adapters import AdapterLayout
from slowfast.fast.closed_form import what_is_asked
from slowfast.fast.optimiser import OptimiserSettings


def solve_recursively(
    network: nn.Module,
    layout: AdapterLayout,
    rows: torch.Tensor,
    keys: torch.Tensor,
    losses: Callable[[], torch.Tensor],
    settings: OptimiserSettings,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Rows ``[E, P]`` and ``keys`` ``[E, r, r]`` after one step on the one adapted layer, and its losses ``[E]``.

    ``losses`` runs the network, with ``rows`` attached, and gives each episode's loss, a squared error of the layer's
    output that weighs all its numbers alike. Down factors stay: they make the keys. ``keys`` is the sum of their
    products so far, zero at first. With ``learning_rate`` 1 the up factor is then the minimum, over all that was asked
    from the first step on, of the squared errors plus ``damping`` times its own squared size.
    """
    (layer,) = layout.layers
    asked = what_is_asked(network, layer.name, losses)
    with torch.no_grad():
        down, up = layout.factors(rows)[layer.name]
        inputs, slope, curvature = (
            part.reshape(len(rows), -1, part.shape[-1]).to(rows)
            for part in (asked.inputs, asked.slope, asked.curvature)
        )
        weight = curvature.mean(-1, keepdim=True)
        counted = weight > 0  # no prefix
        lacking = torch.where(counted, -slope / weight.clamp(min=torch.finfo(weight.dtype).tiny), 0)
        key = torch.bmm(inputs, down) * counted * layout.scale
        keys = keys + key.mT @ key
        ridge = settings.damping * torch.eye(keys.shape[-1], dtype=keys.dtype, device=keys.device)
        up = up + settings.learning_rate * torch.linalg.solve(keys + ridge, key.mT @ lacking)
    return torch.cat([down.flatten(1), up.flatten(1)], 1), keys, asked.loss
