"""Coloured noise: standard normal at every step, and its spectrum as its exponent says."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from slowfast.planning.noise import colored_noise


@pytest.mark.parametrize("exponent", [0.0, 1.0, 2.0])
@pytest.mark.parametrize("horizon", [1, 7, 16])
def test_every_value_is_standard_normal(exponent: float, horizon: int, generators: Any) -> None:
    noise = colored_noise(generators(2), 4000, horizon, 2, exponent)
    assert noise.shape == (2, 4000, horizon, 2)
    assert noise.mean((0, 1, 3)).abs().max() < 0.05
    assert (noise.std((0, 1, 3)) - 1).abs().max() < 0.05


def test_neighbours_in_time_resemble_each_other_the_more_the_redder(generators: Any) -> None:
    def likeness(exponent: float) -> float:
        noise = colored_noise(generators(1), 4000, 16, 1, exponent)
        return float((noise[:, :, 1:] * noise[:, :, :-1]).mean())

    white, pink, red = (likeness(exponent) for exponent in (0.0, 1.0, 2.0))
    assert abs(white) < 0.03
    assert 0.2 < pink < red < 1.0


def test_an_episode_draws_from_its_own_generator(generators: Any) -> None:
    both, alone = colored_noise(generators(2), 3, 5, 2, 1.0), colored_noise(generators(1), 3, 5, 2, 1.0)
    assert torch.equal(both[0], alone[0])
