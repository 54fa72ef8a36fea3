"""What the trainer asks of a task. Every method that draws does so as a pure function of (seed, index)."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from torch import Tensor, nn


class TrainTask(Protocol):
    """One network's training: its batches, its loss, its validation, its export.

    ``index`` counts micro-batches over all steps, accumulation parts and processes. ``batch`` and ``loss`` draw only
    from generators seeded with (seed, index), so a run continued at any step sees what an unbroken run would have seen.
    """

    @property
    def module(self) -> nn.Module:
        """All weights that training changes; its dropout, if any, draws from torch's global generator."""
        ...

    def batch(self, index: int) -> Any:
        """Batch ``index``, on the CPU. Called from a background thread, ahead of time; touches no global state."""
        ...

    def loss(self, batch: Any, index: int) -> tuple[Tensor, dict[str, Tensor]]:
        """The scalar loss of ``batch`` (moved to the module's device here) and detached scalar figures for the log."""
        ...

    def validate(self, step: int, folder: Path) -> dict[str, float]:
        """Figures on held-out data, with averaged weights in ``module`` (``eval`` mode); PNG sheets to ``folder``."""
        ...

    def save(self, folder: Path) -> None:
        """Exports ``module`` (averaged weights, ``eval`` mode) to ``folder`` in the layout that ships."""
        ...


@runtime_checkable
class StatefulTask(TrainTask, Protocol):
    """A task whose loss also depends on what came before, beyond the module's weights. Checkpoints keep that."""

    def state(self) -> dict[str, Tensor]:
        """What this process's next loss depends on, as tensors by name (none: empty)."""
        ...

    def load_state(self, tensors: dict[str, Tensor]) -> None:
        """Takes up what :meth:`state` gave; tensors are on the CPU. Not called where a checkpoint holds none for this
        process (it was written by fewer of them, or by a task without a state)."""
        ...
