"""How a network reads memories: one merged into a copy of the weights, many stacked beside them.

A memory that is silent where it was taught nothing is stacked even if it is one: what it adds depends on what is asked.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING

import torch
from torch import nn

from slowfast.fast.adapters import AdapterLayout, alone, attached
from slowfast.fast.merging import MergedWeights
from slowfast.fast.recursive import Familiar

if TYPE_CHECKING:
    from slowfast.fast.memory_state import MemoryState
    from slowfast.fast.rules import MemoryRule


class Reading:
    """Attaches what a state holds to ``network``; what is worked out of it is kept until it changes."""

    def __init__(self, network: nn.Module, layout: AdapterLayout, rule: MemoryRule) -> None:
        self.network, self.layout, self.rule = network, layout, rule
        self._merged = MergedWeights(network, layout)
        self._keys: torch.Tensor | None = None
        self._familiar: Familiar | None = None

    @contextmanager
    def attached(self, state: MemoryState, episodes: torch.Tensor | None) -> Iterator[None]:
        """Within the context the network reads the ``episodes`` ``int64 [E']`` of ``state`` (None: all, in order)."""
        if not self.rule.steps:
            with alone(self.network):
                yield
            return
        index = slice(None) if episodes is None else episodes.to(state.rows.device)
        rows, familiar = state.rows[index], self._familiar_to(state.keys)
        reader: AbstractContextManager[object]
        if len(rows) == 1 and familiar is None and not torch.is_grad_enabled():
            reader = self._merged.attached(rows[0])
        else:
            between = None if familiar is None else familiar.of(index)
            reader = attached(self.network, self.layout, rows, between)
        with reader:
            yield

    def _familiar_to(self, keys: torch.Tensor | None) -> Familiar | None:
        """Of the sums ``keys`` ``[E, r, r]``, which are never written in place."""
        if keys is None or not self.rule.familiar:
            return None
        if self._familiar is None or self._keys is not keys:
            self._keys, self._familiar = keys, Familiar.with_sums(keys, self.rule.damping, self.rule.familiar)
        return self._familiar
