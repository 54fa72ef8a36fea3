"""Damped normal equations of many episodes at once, by Cholesky factors.

Not by LU: batches of it in several threads fail or hang on CPUs from some 150 rows on (pytorch/pytorch#142815).
"""

from __future__ import annotations

import torch


def solved(gram: torch.Tensor, damping: float | torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """``(gram + damping)^-1 right``: ``gram`` ``[..., n, n]`` positive semidefinite, ``damping`` above 0 on its
    diagonal (a number, or one a matrix ``[..., 1, 1]``), ``right`` ``[..., n, m]``.

    Factors are in float64: a damping that is small beside the matrix still makes it definite. Raises ValueError where
    it is too small even so.
    """
    return torch.cholesky_solve(right.double(), _factor(gram, damping)).to(right.dtype)


def inverse(gram: torch.Tensor, damping: float) -> torch.Tensor:
    """``(gram + damping)^-1``, as :func:`solved`."""
    return torch.cholesky_inverse(_factor(gram, damping)).to(gram.dtype)


def _factor(gram: torch.Tensor, damping: float | torch.Tensor) -> torch.Tensor:
    ridge = damping * torch.eye(gram.shape[-1], dtype=torch.float64, device=gram.device)
    factor, failed = torch.linalg.cholesky_ex(gram.double() + ridge)
    if failed.any():
        raise ValueError(
            "what a memory was asked for leaves its equations open in some direction: take a higher damping"
        )
    return factor
