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
from slowfast.fast.ridge import solved


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
        up = up + settings.learning_rate * solved(keys, settings.damping, key.mT @ lacking)
    return torch.cat([down.flatten(1), up.flatten(1)], 1), keys, asked.loss


class Familiar:
    """Silences a memory where it was taught nothing: a key that lies outside of those it was taught asks for nothing.

    How much of a key lies inside is what a ridge regression to all taught keys brings back of it, a share 0 to 1.
    Where it is below ``least``, the key is nought.
    """

    def __init__(self, brought_back: torch.Tensor, least: float) -> None:
        """``brought_back`` ``[E, r, r]``: what the regression makes of a key."""
        self.least, self._brought_back = least, brought_back

    @classmethod
    def with_sums(cls, keys: torch.Tensor, damping: float, least: float) -> Familiar:
        """Of what was taught under keys whose products sum to ``keys`` ``[E, r, r]``."""
        return cls(solved(keys, damping, keys), least)

    def of(self, episodes: torch.Tensor | slice) -> Familiar:
        """That of some episodes, repeats allowed."""
        return Familiar(self._brought_back[episodes], self.least)

    def __call__(self, hidden: torch.Tensor) -> torch.Tensor:
        """``hidden`` ``[E, n, r]``: n keys of each episode, in any scale."""
        return hidden * (self.shares(hidden) >= self.least)[..., None]

    def shares(self, hidden: torch.Tensor) -> torch.Tensor:
        """Of every key how much lies inside, ``[E, n]``; 0 of a key that is nought."""
        key = hidden.to(self._brought_back)
        inside = (torch.bmm(key, self._brought_back) * key).sum(-1)
        return inside / key.square().sum(-1).clamp(min=torch.finfo(key.dtype).tiny)
