"""Annotations on a time line as one value an action: what somebody said was happening from second to second."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Span:
    """``value`` holds from ``start`` to ``stop``, in the seconds that the frames' times are in."""

    start: float
    stop: float
    value: Any


def over_actions(times: np.ndarray, spans: Iterable[Span], missing: Any = "") -> list[Any]:
    """One value for each of the N-1 steps between frames at ``times`` ``[N]``.

    A step has the value of the span in which its middle lies; of several the one that began last (of those the
    shortest, so that a narration within a longer one is heard); ``missing`` where there is none.
    """
    middles = (times[:-1] + times[1:]) / 2
    found = [missing] * len(middles)
    for span in sorted(spans, key=lambda span: (span.start, span.start - span.stop)):
        first, last = np.searchsorted(middles, [span.start, span.stop])
        found[first:last] = [span.value] * (last - first)
    return found
