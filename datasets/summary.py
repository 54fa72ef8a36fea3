"""What a data set holds, in numbers: counts, lengths, histograms of the actions."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from slowfast.actions import Component, Continuous, Discrete, Keyboard
from slowfast.datasets.store import Store

MOST_COMMON = 20
BINS = 10


def summarise(store: Store) -> dict[str, Any]:
    """A JSON-compatible summary of a store; reads actions and metadata, no frames.

    ``frames``, ``actions``: totals. ``seconds``: duration at the recorded frame rates. ``length``: smallest, mean and
    largest number of actions in an episode. ``cameras``: name → [H, W]. ``components``: per action component its
    kind, how many steps are null, and a histogram (see :func:`histogram`). ``metadata``: for every key whose values
    repeat and are at most 20, how many episodes have which.
    """
    lengths = store.lengths
    numbers = range(len(store))
    columns = [store.actions(i) for i in numbers]
    components = {
        component.name: histogram(component, np.concatenate([column[component.name] for column in columns]))
        for component in store.spec.components
    }
    return {
        "folder": str(store.folder),
        "episodes": len(store),
        "frames": int(lengths.sum()) + len(store),
        "actions": int(lengths.sum()),
        "seconds": float(sum(lengths[i] / store.fps(i) for i in numbers)),
        "length": {"smallest": int(lengths.min()), "mean": float(lengths.mean()), "largest": int(lengths.max())},
        "cameras": {name: list(size) for name, size in store.cameras.items()},
        "components": components,
        "metadata": _metadata_counts([store.metadata(i) for i in numbers]),
        "bytes": sum(store.path(i).stat().st_size for i in numbers),
    }


def histogram(component: Component, column: np.ndarray) -> dict[str, Any]:
    """``counts`` of one component over all steps ``[T, ...]``.

    Discrete: label → steps. Keyboard: key → steps it is held. Language: sentence → steps, the 20 commonest.
    Continuous: axis → ``edges`` [11] and ``counts`` [10] between the smallest and the largest value.
    """
    if isinstance(component, Discrete):
        counts: Any = {label: int((column == k).sum()) for k, label in enumerate(component.labels)}
        null = column == -1
    elif isinstance(component, Keyboard):
        counts = {key: int((column[:, k] == 1).sum()) for k, key in enumerate(component.keys)}
        null = (column == -1).all(-1)
    elif isinstance(component, Continuous):
        labels = component.labels or tuple(str(axis) for axis in range(component.size))
        counts = {label: _binned(column[:, axis]) for axis, label in enumerate(labels)}
        null = np.isnan(column).all(-1)
    else:
        null = column == ""
        counts = dict(Counter(column[~null].tolist()).most_common(MOST_COMMON))
    return {"kind": component.kind, "null": int(null.sum()), "counts": counts}


def _binned(values: np.ndarray) -> dict[str, list[float]]:
    counts, edges = np.histogram(values[np.isfinite(values)], BINS)
    return {"edges": edges.tolist(), "counts": counts.tolist()}


def _metadata_counts(metadata: list[dict[str, Any]]) -> dict[str, dict[str, int]]:
    keys = dict.fromkeys(key for entry in metadata for key in entry)
    counted = {key: Counter(str(entry[key]) for entry in metadata if key in entry) for key in keys}
    telling = {key: counts for key, counts in counted.items() if len(counts) == 1 or len(counts) < len(metadata)}
    return {key: dict(counts.most_common()) for key, counts in telling.items() if len(counts) <= MOST_COMMON}
