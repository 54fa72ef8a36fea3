"""The network's last linear map, taught by solving for it in place of many small steps.

A squared error is quadratic in what that map puts out, and so in the map. With all that lies before it as it is, the
change that a window asks for is a ridge regression from the map's inputs to what is left of the error.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from slowfast.fast.adapters import AdapterLayout
from slowfast.fast.optimiser import OptimiserSettings
from slowfast.fast.ridge import solved


def solve(
    network: nn.Module,
    layout: AdapterLayout,
    rows: torch.Tensor,
    losses: Callable[[], torch.Tensor],
    settings: OptimiserSettings,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows ``[E, P]`` after one step on the one adapted layer of ``layout``, and the losses ``[E]`` before it.

    ``losses`` runs the network, with ``rows`` attached, and gives each episode's loss: a squared error of the layer's
    output, weighed by position if at all. The change is the minimum of loss + half of ``damping`` times the mean
    curvature times its squared size; of it ``learning_rate`` is taken (1: all), after what ``weight_decay`` takes from
    the old. Of a rank below the layer's, the nearest change (its leading singular directions).
    """
    (layer,) = layout.layers
    asked = what_is_asked(network, layer.name, losses)
    with torch.no_grad():
        inputs, pulls, weights = (_by_position(part, rows) for part in (asked.inputs, asked.slope, asked.curvature))
        change = _ridge(inputs, pulls, weights, settings.damping)
        down, up = layout.factors(rows)[layer.name]
        kept = 1 - settings.learning_rate * settings.weight_decay
        product = kept * torch.bmm(down, up) + settings.learning_rate / layout.scale * change
        left, sizes, right = torch.linalg.svd(product, full_matrices=False)
        down, up = left[..., : layer.rank] * sizes[:, None, : layer.rank], right[:, : layer.rank]
    return torch.cat([down.flatten(1), up.flatten(1)], 1), asked.loss


@dataclass(frozen=True)
class Asked:
    """Of one layer: its ``inputs``, ``slope`` and ``curvature`` of the sum of the ``loss`` ``[E]`` along its output."""

    inputs: torch.Tensor
    slope: torch.Tensor
    curvature: torch.Tensor
    loss: torch.Tensor


def what_is_asked(network: nn.Module, name: str, losses: Callable[[], torch.Tensor]) -> Asked:
    """What ``losses``, which run the network, ask of the output of its layer ``name``."""
    seen: list[torch.Tensor] = []

    def hook(module: nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> torch.Tensor:
        seen.extend((inputs[0].detach(), output.detach().requires_grad_()))
        return seen[1]

    handle = network.get_submodule(name).register_forward_hook(hook)  # after that of the rows, whose sum it gets
    try:
        loss = losses()
    finally:
        handle.remove()
    (slope,) = torch.autograd.grad(loss.sum(), seen[1], create_graph=True)
    (curvature,) = torch.autograd.grad(slope.sum(), seen[1])
    return Asked(seen[0], slope.detach(), curvature, loss.detach())


def _by_position(images: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    """``[E, positions, channels]`` of a map's inputs or outputs, channels last or images, in the precision of rows."""
    inside = images.movedim(1, -1) if images.ndim == 4 else images
    return inside.reshape(len(rows), -1, inside.shape[-1]).to(rows)


def _ridge(features: torch.Tensor, slope: torch.Tensor, curvature: torch.Tensor, damping: float) -> torch.Tensor:
    """``[E, in, out]``: from features ``[E, N, in]`` to minus slope over curvature ``[E, N, out]``, each position by
    its mean curvature over channels (nothing curves where nothing is learned)."""
    gram = (features * curvature.mean(-1, keepdim=True)).mT @ features
    size = gram.diagonal(dim1=1, dim2=2).mean(1)[:, None, None]
    return -solved(gram, damping * size, features.mT @ slope)
