"""Progress on the terminal: the callback that the library calls, drawn with tqdm."""

from __future__ import annotations

from types import TracebackType
from typing import Any

from tqdm import tqdm


class Bar:
    """A callback ``bar(done, total, **figures)`` that draws itself on stderr; use it as a context manager.

    ``done`` counts from 0 and is absolute, ``total`` may be None, ``figures`` are numbers or short strings to show.
    """

    def __init__(self, title: str, unit: str = "step") -> None:
        self._bar: tqdm[Any] = tqdm(desc=title, unit=f" {unit}", dynamic_ncols=True, mininterval=0.2)

    def __enter__(self) -> Bar:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.refresh()
        self._bar.close()

    def __call__(self, done: int, total: int | None = None, **figures: float | str) -> None:
        if total != self._bar.total:
            self._bar.total = total
            self._bar.refresh()
        if figures:
            shown = {name: f"{value:.4g}" if isinstance(value, float) else value for name, value in figures.items()}
            self._bar.set_postfix(shown, refresh=False)
        self._bar.update(done - self._bar.n)
