"""The statistics that LeRobot keeps of an episode and of a data set, and normalises with: least, greatest, mean,
standard deviation and quantiles of every number, and of the three colours of a camera in 0 to 1."""

from __future__ import annotations

import numpy as np

QUANTILES = {"q01": 0.01, "q10": 0.10, "q50": 0.50, "q90": 0.90, "q99": 0.99}
NAMES = ("min", "max", "mean", "std", "count", *QUANTILES)
PICTURES = 64
"""So many frames of an episode, equally far from each other, stand for all of them."""

Statistics = dict[str, np.ndarray]


def of_rows(rows: np.ndarray) -> Statistics:
    """Of ``[N, d]`` numbers: ``float64 [d]`` each, and ``count`` ``int64 [1]``. What is not finite is passed over; of
    nothing but such all are 0."""
    values = rows.astype(np.float64)
    if not np.isfinite(values).all():
        columns = [column[np.isfinite(column)] for column in values.T]
        parts = [of_rows((column if len(column) else np.zeros(1))[:, None]) for column in columns]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]} | {"count": _count(rows)}
    found = {"min": values.min(0), "max": values.max(0), "mean": values.mean(0), "std": values.std(0)}
    quantiles = dict(zip(QUANTILES, np.quantile(values, list(QUANTILES.values()), axis=0), strict=True))
    return {**found, "count": _count(rows), **quantiles}


def of_pictures(frames: np.ndarray) -> Statistics:
    """Of ``uint8 [N, H, W, 3]``: ``float64 [3, 1, 1]`` each, and ``count`` ``int64 [1]``, the frames looked at."""
    chosen = frames[np.unique(np.linspace(0, len(frames) - 1, PICTURES).round().astype(int))]
    # counting the 256 values of a colour is far quicker than sorting its pixels
    counts = np.stack([np.bincount(chosen[..., channel].reshape(-1), minlength=256) for channel in range(3)])
    shades, total = np.arange(256) / 255, counts.sum(1)
    mean = counts @ shades / total
    cumulated = counts.cumsum(1)
    found = {
        "min": shades[(counts > 0).argmax(1)],
        "max": shades[255 - (counts[:, ::-1] > 0).argmax(1)],
        "mean": mean,
        "std": np.sqrt(np.maximum(counts @ shades**2 / total - mean**2, 0)),
    }
    for name, share in QUANTILES.items():
        found[name] = shades[(cumulated >= (share * total)[:, None]).argmax(1)]
    return {name: value[:, None, None] for name, value in found.items()} | {"count": _count(chosen)}


def _count(rows: np.ndarray) -> np.ndarray:
    return np.array([len(rows)], np.int64)


class Total:
    """The statistics of everything, gathered episode by episode. Quantiles are means of the episodes' own, weighted by
    their counts, as LeRobot gathers them too."""

    def __init__(self) -> None:
        self._sums: Statistics = {}

    def add(self, part: Statistics) -> None:
        count = float(part["count"][0])
        squares = (part["std"] ** 2 + part["mean"] ** 2) * count
        sums = {name: part[name] * count for name in ("mean", *QUANTILES)} | {
            "squares": squares,
            "count": part["count"],
        }
        if not self._sums:
            self._sums = {**sums, "min": part["min"], "max": part["max"]}
            return
        self._sums.update({name: self._sums[name] + value for name, value in sums.items()})
        self._sums["min"] = np.minimum(self._sums["min"], part["min"])
        self._sums["max"] = np.maximum(self._sums["max"], part["max"])

    def result(self) -> Statistics:
        count = float(self._sums["count"][0])
        means = {name: self._sums[name] / count for name in ("mean", *QUANTILES)}
        deviation = np.sqrt(np.maximum(self._sums["squares"] / count - means["mean"] ** 2, 0))
        return {**means, "std": deviation, **{name: self._sums[name] for name in ("min", "max", "count")}}
