"""Worker processes that outlive a parent which was killed, and how they end."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable


def end_with_parent(last: Callable[[], None] = lambda: None) -> None:
    """Ends this process when its parent is gone; to be called once in a worker.

    A parent that is killed tells its workers nothing, and a worker of a pool then waits for work for ever. ``last`` is
    called before the end, in another thread than the worker's.
    """
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        parent.join()
        last()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
