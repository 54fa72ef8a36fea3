"""How true the chances of an instruction head are and how well they rank, and what makes them true."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from slowfast.training.outcome_figures import f1


def platt(logits: Tensor, done: Tensor) -> tuple[float, float]:
    """Slope (above 0) and offset that make ``logits`` ``float32 [N]`` the log-odds of ``done`` ``bool [N]``.

    Fitted by cross-entropy against targets that stay off 0 and 1 by one frame more than there are (Platt 1999), so that
    classes which can be parted do not make the slope infinite. 1 and 0 where one of the two is missing.
    """
    positives, negatives = int(done.sum()), int((~done).sum())
    if not positives or not negatives:
        return 1.0, 0.0
    targets = torch.where(done, (positives + 1) / (positives + 2), 1 / (negatives + 2)).double()
    spread = max(float(logits.double().std()), 1e-6)
    scaled = logits.double() / spread
    with torch.enable_grad():
        steep = torch.zeros((), dtype=torch.float64, requires_grad=True)  # the slope's logarithm
        offset = torch.zeros((), dtype=torch.float64, requires_grad=True)
        fit = torch.optim.LBFGS([steep, offset], max_iter=100, line_search_fn="strong_wolfe")

        def closure() -> Tensor:
            fit.zero_grad()
            loss = functional.binary_cross_entropy_with_logits(steep.exp() * scaled + offset, targets)
            loss.backward()
            return loss

        fit.step(closure)
    return float(steep.detach().exp()) / spread, float(offset.detach())


def cross_fitted(logits: Tensor, done: Tensor, folds: Tensor) -> Tensor:
    """Log-odds ``float32 [N]`` of frames in fold 0 by what :func:`platt` finds in fold 1, and the other way round; by
    all of them where a fold has frames of one kind alone."""
    halves = [folds == fold for fold in (0, 1)]
    if not all(done[half].any() and (~done[half]).any() for half in halves):
        slope, offset = platt(logits, done)
        return slope * logits + offset
    odds = torch.empty_like(logits)
    for own, other in (halves, halves[::-1]):
        slope, offset = platt(logits[other], done[other])
        odds[own] = slope * logits[own] + offset
    return odds


def instruction_figures(chances: Tensor, done: Tensor, share: float, threshold: float) -> dict[str, float]:
    """Of chances ``float32 [N]`` that the own instruction is done in a frame, and of where it is, ``bool [N]``.

    ``instruction_share``: how many are, which is the average precision of guessing; ``instruction_precision``: average
    precision; ``instruction_auc``: the chance that a frame in which it is done ranks above one in which it is not (0.5
    by guessing); ``instruction_brier``: mean squared error, beside that of always saying ``share``;
    ``instruction_calibration``: expected calibration error in 15 bins; ``instruction_f1``: of those called done at
    ``threshold``. What needs frames of both kinds is left out where there are not.
    """
    from torchmetrics.functional.classification import (
        binary_auroc,
        binary_average_precision,
        binary_calibration_error,
    )

    true = done.long()
    figures = {
        "instruction_share": float(true.float().mean()),
        "instruction_brier": float((chances - true).square().mean()),
        "instruction_brier_of_share": float((share - true.float()).square().mean()),
        "instruction_calibration": float(binary_calibration_error(chances, true, n_bins=15)),
    }
    if done.any() and not done.all():
        figures["instruction_auc"] = float(binary_auroc(chances, true))
        figures["instruction_precision"] = float(binary_average_precision(chances, true))
        figures["instruction_f1"] = f1(chances >= threshold, done)
    return figures


def words_auc(own: Tensor, others: Tensor) -> float:
    """The chance that a frame ranks higher with what is done in it, ``[N]``, than the same frame with other words,
    ``[N, k]``; ties count half. 0.5 for a head that does not listen."""
    above = (own[:, None] > others).double() + 0.5 * (own[:, None] == others).double()
    return float(above.mean())


def soon_figures(told: Tensor, true: Tensor) -> dict[str, float]:
    """Of how soon an instruction is done, as it is told and as it was, both ``float32 [N]`` in [0, 1], of frames in
    which it is not yet: ``soon_error``, the mean squared error, beside that of always saying their mean; and
    ``soon_order``, how often of two frames the one in which it comes sooner is told to (0.5 by guessing; of pairs that
    differ, a frame and the one half the list further)."""
    order = torch.randperm(len(true), generator=torch.Generator().manual_seed(0))
    told, true = told[order], true[order]
    others, other_true = told.roll(len(told) // 2), true.roll(len(true) // 2)
    differ = true != other_true
    ahead = ((told > others) == (true > other_true)).double()
    return {
        "soon_error": float((told - true).square().mean()),
        "soon_error_of_mean": float(true.var(correction=0)),
        "soon_order": float(ahead[differ].mean()) if differ.any() else 0.5,
    }
