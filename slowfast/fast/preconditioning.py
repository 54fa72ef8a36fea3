"""Gradients of low-rank factors, in the metric of the product that they make (Zhang & Pilanci, arXiv 2402.02347, §3).

A change of the down factor moves the product the more, the larger the up factor is, and the other way round. So the
gradient of each is divided by the other's Gram matrix, one r x r matrix for every layer of every episode: the step no
longer depends on how the product is split into its factors.
"""

from __future__ import annotations

from collections import defaultdict

import torch

from slowfast.fast.adapters import AdapterLayout
from slowfast.fast.ridge import inverse


def preconditioned(gradient: torch.Tensor, rows: torch.Tensor, layout: AdapterLayout, damping: float) -> torch.Tensor:
    """``gradient`` ``[E, P]`` at ``rows`` ``[E, P]``: that of a down factor ``[in, r]`` times ``(up up' + damping)^-1``
    from the right, that of an up factor ``[r, out]`` times ``(down' down + damping)^-1`` from the left."""
    factors, slopes = layout.factors(rows), layout.factors(gradient)
    inverses = _inverses({name: _gram(*pair) for name, pair in factors.items()}, damping)
    pieces = []
    for layer in layout.layers:
        down, up = slopes[layer.name]
        of_up, of_down = inverses[layer.name].unbind(0)
        pieces += [torch.bmm(down, of_up).flatten(1), torch.bmm(of_down, up).flatten(1)]
    return torch.cat(pieces, 1)


def _gram(down: torch.Tensor, up: torch.Tensor) -> torch.Tensor:
    """Of the up factors and of the down factors, ``[2, E, r, r]``."""
    return torch.stack([torch.bmm(up, up.mT), torch.bmm(down.mT, down)])


def _inverses(grams: dict[str, torch.Tensor], damping: float) -> dict[str, torch.Tensor]:
    """Of damped Gram matrices, all layers of one rank at once."""
    by_rank = defaultdict(list)
    for name, gram in grams.items():
        by_rank[gram.shape[-1]].append(name)
    found: dict[str, torch.Tensor] = {}
    for names in by_rank.values():
        stacked = torch.stack([grams[name] for name in names])  # [layers, 2, E, r, r]
        found.update(zip(names, inverse(stacked, damping), strict=True))
    return found
