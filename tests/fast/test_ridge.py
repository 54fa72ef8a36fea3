"""Normal equations of many episodes, in several threads: a batch gives what each of its matrices gives by itself."""

from __future__ import annotations

import pytest
import torch

from slowfast.fast.ridge import inverse, solved

SIZE = 192
"""Rows from which batches of LU factors in several threads fail or hang on CPUs."""


def test_wide_batches_are_solved_in_several_threads() -> None:
    generator = torch.Generator().manual_seed(0)
    keys = torch.randn(6, 400, SIZE, generator=generator)
    right = torch.randn(6, SIZE, 5, generator=generator)
    gram, ridge = keys.mT @ keys, 0.5 * torch.eye(SIZE)
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        found, inverted = solved(gram, 0.5, right), inverse(gram, 0.5)
    finally:
        torch.set_num_threads(threads)
    for one, answer, undone, asked in zip(gram, found, inverted, right, strict=True):
        torch.testing.assert_close((one + ridge) @ answer, asked, rtol=1e-3, atol=1e-3)
        torch.testing.assert_close((one + ridge) @ undone, torch.eye(SIZE), rtol=1e-3, atol=1e-3)


def test_little_damping_makes_a_matrix_of_low_rank_definite() -> None:
    """Less than what float32 can add to numbers of this size."""
    wide = torch.full((2, 3, 3), 1e6)
    found = solved(wide, torch.tensor([1e-4, 1.0])[:, None, None], torch.ones(2, 3, 1))
    torch.testing.assert_close(found, torch.full((2, 3, 1), 1 / 3e6), rtol=1e-3, atol=0)
    with pytest.raises(ValueError, match="higher damping"):
        solved(-wide, 1e-4, torch.ones(2, 3, 1))
