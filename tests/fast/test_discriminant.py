"""Keys span the directions that tell frames apart, whatever differs from look to look."""

from __future__ import annotations

import pytest
import torch

from slowfast.fast.discriminant import discriminant

FRAMES, LOOKS, WIDTH, RANK = 200, 4, 12, 3


def looks(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Features in which frames differ in 3 directions, and the looks at one frame, twenty times as much, in others."""
    drawn = torch.Generator().manual_seed(seed)
    basis = torch.linalg.qr(torch.randn(WIDTH, WIDTH, generator=drawn))[0]
    frames = torch.randn(FRAMES, 1, RANK, generator=drawn) @ basis[:, :RANK].T
    noise = 20 * torch.randn(FRAMES, LOOKS, WIDTH - RANK, generator=drawn) @ basis[:, RANK:].T
    return 5 + frames + noise + 0.01 * torch.randn(FRAMES, LOOKS, WIDTH, generator=drawn), basis[:, :RANK]


def test_keys_tell_frames_apart() -> None:
    features, span = looks()
    keys = discriminant([features[:120], features[120:]], RANK, shrinkage=1e-4)
    whole = discriminant([features], RANK, shrinkage=1e-4)
    torch.testing.assert_close(keys.down, whole.down, rtol=1e-4, atol=1e-5)
    inside = span @ (span.T @ keys.down)
    assert (keys.down - inside).norm() < 0.05 * keys.down.norm()
    assert keys.held > 0.9 > 0.5 > keys.held_before
    size = (features @ keys.down).square().sum(-1).mean()
    torch.testing.assert_close(size, torch.ones(()), rtol=1e-4, atol=1e-4)


def test_too_few_frames_or_looks_are_refused() -> None:
    features, _ = looks()
    with pytest.raises(ValueError, match="3 directions are learned from more than as many frames, got 3"):
        discriminant([features[:3]], RANK)
    with pytest.raises(ValueError, match="two or more looks"):
        discriminant([features[:, :1]], RANK)
