"""What moves may weigh more in the loss."""

from __future__ import annotations

import pytest
import torch

from slowfast.slow.moving import weights
from slowfast.slow.windows import Windows
from slowfast.training.slow_config import SlowTaskConfig
from slowfast.world_model import WorldModel


def windows() -> torch.Tensor:
    """Two of four frames; in the second window one place changes in the last frame, and another half as much."""
    latents = torch.ones(2, 4, 3, 4, 4)
    latents[1, 3, :, 1, 2] += 2
    latents[1, 3, :, 0, 0] += 1
    return latents


def test_what_moves_weighs_more_and_all_weigh_one_in_the_mean() -> None:
    own = weights(windows(), 2, 7.0)
    assert own.shape == (2, 2, 1, 4, 4)
    assert torch.equal(own[0], torch.ones(2, 1, 4, 4)), "nothing moves"
    torch.testing.assert_close(own.mean((1, 2, 3, 4)), torch.ones(2))
    still, most, less = own[1, 0, 0, 0, 0], own[1, 1, 0, 1, 2], own[1, 1, 0, 0, 0]
    assert float(most / still) == pytest.approx(8)
    assert float(less / still) == pytest.approx(1 + 7 / 4)


def test_a_window_without_a_prefix_has_weights_too() -> None:
    own = weights(windows(), 0, 7.0)
    assert own.shape == (2, 4, 1, 4, 4)
    assert len(own[1, 0].unique()) == 1


def test_the_loss_counts_by_them(tiny_world: WorldModel) -> None:
    def loss(motion: float, places: torch.Tensor) -> float:
        latents = torch.zeros(1, 5, 4, 4, 4)
        latents[:, -1] = places
        batch = Windows(latents, tiny_world.slow.null_actions(1, 5), 4)
        return float(tiny_world.slow.loss(batch, [torch.Generator().manual_seed(0)], motion=motion).detach())

    nowhere, somewhere = torch.zeros(4, 4, 4), torch.zeros(4, 4, 4)
    somewhere[:, 1, 1] = 4.0
    assert loss(9.0, nowhere) == loss(0.0, nowhere)
    assert loss(9.0, somewhere) != loss(0.0, somewhere)
    with pytest.raises(ValueError, match="motion is at least 0"):
        SlowTaskConfig(motion=-1.0)
