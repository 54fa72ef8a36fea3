"""A run's figures: ``metrics.jsonl``, one JSON object a line, and TensorBoard beside it when it is installed."""

from __future__ import annotations

import json
import os
from importlib.util import find_spec
from pathlib import Path
from typing import Any


class MetricsLog:
    """Appends to ``folder/metrics.jsonl``. Lines after ``step`` (of a run that was killed later) are dropped first,
    so that a continued run's log reads like an unbroken one's."""

    def __init__(self, folder: Path, step: int, tensorboard: bool = True) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / "metrics.jsonl"
        self._drop_after(step)
        self._file = self.path.open("a", encoding="utf-8")
        self._board: Any = None
        if tensorboard and find_spec("tensorboard") is not None:
            from torch.utils.tensorboard import SummaryWriter

            self._board = SummaryWriter(str(folder / "tensorboard"), purge_step=step + 1 if step else None)

    def write(self, kind: str, step: int, figures: dict[str, float]) -> None:
        """``kind`` is ``train`` or ``validation``."""
        self._file.write(json.dumps({"kind": kind, "step": step, **figures}) + "\n")
        self._file.flush()
        if self._board is not None:
            for name, value in figures.items():
                self._board.add_scalar(f"{kind}/{name}", value, step)

    def close(self) -> None:
        self._file.close()
        if self._board is not None:
            self._board.close()

    def _drop_after(self, step: int) -> None:
        lines = read_metrics(self.path)
        kept = [line for line in lines if line["step"] <= step]
        if self.path.exists():
            temporary = self.path.with_suffix(".tmp")
            temporary.write_text("".join(json.dumps(line) + "\n" for line in kept), encoding="utf-8")
            os.replace(temporary, self.path)


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """The lines of a ``metrics.jsonl``; [] when there is none. A last line cut off by a kill is left out."""
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").split("\n")
    return [json.loads(line) for line in lines[:-1] if line]
