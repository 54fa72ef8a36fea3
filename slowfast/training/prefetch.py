"""Batches made one step ahead in a background thread, in order."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any


class Prefetch:
    """``for batch in Prefetch(make, indices)`` yields ``make(index)`` for each index while the next are being made.

    An error in ``make`` is raised where the batch is asked for. ``close`` (or leaving the ``with`` block) ends the
    thread.
    """

    def __init__(self, make: Callable[[int], Any], indices: Iterable[int], ahead: int = 2) -> None:
        self._queue: queue.Queue[tuple[str, Any]] = queue.Queue(maxsize=ahead)
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._work, args=(make, indices), daemon=True)
        self._thread.start()

    def __enter__(self) -> Prefetch:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        kind, value = self._queue.get()
        if kind == "batch":
            return value
        if kind == "error":
            raise value
        raise StopIteration

    def close(self) -> None:
        self._closed.set()
        self._thread.join()

    def _work(self, make: Callable[[int], Any], indices: Iterable[int]) -> None:
        try:
            for index in indices:
                self._put(("batch", make(index)))
                if self._closed.is_set():
                    return
            self._put(("end", None))
        except BaseException as error:  # handed to the thread that waits for the batch
            self._put(("error", error))

    def _put(self, item: tuple[str, Any]) -> None:
        while not self._closed.is_set():
            try:
                return self._queue.put(item, timeout=0.1)
            except queue.Full:
                continue
