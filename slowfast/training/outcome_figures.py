"""How good predicted rewards and ends are, beside what a head that looks at nothing would say."""

from __future__ import annotations

import torch
from torch import Tensor

NO_METRICS = 'calibration is measured by torchmetrics: pip install "slowfast[eval]"'


def check_metrics() -> None:
    """Raises ImportError that names the extra, before a training rather than at its end."""
    try:
        import torchmetrics  # noqa: F401
    except ImportError as error:
        raise ImportError(NO_METRICS) from error


def reward_figures(told: Tensor, true: Tensor, mean: float) -> dict[str, float]:
    """Of rewards ``float32 [N]``: root mean square errors of what is told and of always saying ``mean``, and the share
    of the variance about ``mean`` that is explained (below 0: worse than the mean). The last is left out when there is
    none to explain."""
    error, plain = float((told - true).square().mean()), float((true - mean).square().mean())
    figures = {"reward_error": error**0.5, "reward_error_of_mean": plain**0.5}
    return figures | ({"reward_explained": 1 - error / plain} if plain > 0 else {})


def termination_figures(chances: Tensor, true: Tensor, share: float, threshold: float) -> dict[str, float]:
    """Of chances ``float32 [N]`` that a step ended its episode, and of where it did, ``bool [N]``.

    ``termination_share``: how many steps are ends, which is the average precision of guessing;
    ``termination_precision``: average precision; ``termination_brier``: mean squared error, beside that of always
    saying ``share``; ``termination_calibration``: expected calibration error in 15 bins;
    ``termination_f1``: of ends called at ``threshold``. Precision and F1 are left out when no step is an end.
    """
    from torchmetrics.functional.classification import binary_average_precision, binary_calibration_error

    figures = {
        "termination_share": float(true.float().mean()),
        "termination_brier": float((chances - true.float()).square().mean()),
        "termination_brier_of_share": float((share - true.float()).square().mean()),
        "termination_calibration": float(binary_calibration_error(chances, true.long(), n_bins=15)),
    }
    if true.any():
        figures["termination_precision"] = float(binary_average_precision(chances, true.long()))
        figures["termination_f1"] = f1(chances >= threshold, true)
    return figures


def best_threshold(chances: Tensor, true: Tensor) -> float:
    """The chance from which calling an end gives the best F1; 0.5 when no step is an end."""
    if not true.any():
        return 0.5
    ordered, order = chances.sort(descending=True)
    hits = true[order].cumsum(0)
    scores = 2 * hits / (torch.arange(1, len(ordered) + 1, device=hits.device) + true.sum())
    # Equal chances are called together: only the last of them can be a threshold.
    last = torch.cat([ordered[1:] != ordered[:-1], torch.ones(1, dtype=torch.bool, device=ordered.device)])
    best = int(torch.where(last, scores, -1).argmax())
    if best + 1 == len(ordered):
        return float(ordered[best])
    return float((ordered[best] + ordered[best + 1]) / 2)  # half-way, so that rounding does not decide


def f1(called: Tensor, true: Tensor) -> float:
    """Of ends that are called ``bool [N]`` and true ones."""
    return float(2 * (called & true).sum() / (called.sum() + true.sum()).clamp(min=1))
