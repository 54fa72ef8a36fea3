"""Noise with a colour: neighbours in time that resemble each other, as actions of purposeful agents do.

A power spectrum that falls with frequency as f ** -exponent (Timmer and Koenig 1995), as iCEM draws it (Pinneri et al.
2020): 0 is white (independent steps), 1 pink, 2 red. Each value alone is standard normal for any exponent.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch


def colored_noise(
    generators: Sequence[torch.Generator], candidates: int, horizon: int, width: int, exponent: float = 0.0
) -> torch.Tensor:
    """``float32 [E, K, H, width]``; row e is drawn from ``generators[e]`` alone."""
    shape = (candidates, width, horizon)
    white = torch.stack([torch.randn(shape, generator=own, device=own.device) for own in generators])
    if exponent == 0 or horizon == 1:
        return white.transpose(2, 3)
    scale = torch.fft.rfftfreq(horizon).clamp(min=1 / horizon) ** (-exponent / 2)
    colored = torch.fft.irfft(torch.fft.rfft(white) * scale.to(white), n=horizon)
    return (colored / _deviation(scale, horizon)).transpose(2, 3)


def _deviation(scale: torch.Tensor, horizon: int) -> float:
    """Of one value, when white noise of variance 1 is filtered with ``scale`` at the frequencies of ``rfft``."""
    weight = torch.full_like(scale, 2.0)
    weight[0] = 1.0
    if horizon % 2 == 0:
        weight[-1] = 1.0
    return float(((weight * scale.square()).sum() / horizon).sqrt())
