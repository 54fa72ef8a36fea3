"""Reading one episode's memory for free: a copy of the adapted weights with the memory added, in place of the hooks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import torch
from torch import nn

from slowfast.fast.adapters import AdapterLayout, alone


class MergedWeights:
    """Copies of the adapted weights with one memory added; made again only when the memory or the network changed."""

    def __init__(self, network: nn.Module, layout: AdapterLayout) -> None:
        self.network, self.layout = network, layout
        self._holders = [_holder(network.get_submodule(layer.name)) for layer in layout.layers]
        self._row: torch.Tensor | None = None
        self._of: list[tuple[torch.Tensor, int]] = []
        self._weights: list[nn.Parameter] = []

    @contextmanager
    def attached(self, row: torch.Tensor) -> Iterator[None]:
        """Within the context the network has the memory ``row`` ``[P]`` in its weights; afterwards its own again, the
        very same tensors. Raises RuntimeError when a memory is attached already."""
        with alone(self.network):
            self._merge(row)
            try:
                for holder, weight in zip(self._holders, self._weights, strict=True):
                    holder["weight"] = weight
                yield
            finally:
                for holder, (own, _) in zip(self._holders, self._of, strict=True):
                    holder["weight"] = own

    def _merge(self, row: torch.Tensor) -> None:
        weights = [cast(torch.Tensor, holder["weight"]) for holder in self._holders]
        own = [(weight, weight._version) for weight in weights]
        same = len(own) == len(self._of) and all(
            one is other and version == before for (one, version), (other, before) in zip(own, self._of, strict=True)
        )
        if same and self._row is not None and torch.equal(row, self._row):
            return
        # Weights that are made in inference mode could not be used outside of it.
        with torch.inference_mode(False), torch.no_grad():
            changes = self.layout.deltas(row)
            self._weights = [
                nn.Parameter((weight.float() + change.to(weight.device)).to(weight.dtype), requires_grad=False)
                for (weight, _), change in zip(own, changes, strict=True)
            ]
            self._row = row.clone()
        self._of = own


def _holder(module: nn.Module) -> dict[str, Any]:
    """Where a module's weight is: among its parameters, or its buffers."""
    return cast(dict[str, Any], module._parameters if "weight" in module._parameters else module._buffers)
