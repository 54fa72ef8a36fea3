"""Row by row, the stacked optimiser does what torch's does to one episode."""

from __future__ import annotations

import pytest
import torch

from slowfast.fast.optimiser import AdamSettings, AdamState, adam_step, clip_rows


@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_a_row_moves_as_torch_moves_it_alone(weight_decay) -> None:
    generator = torch.Generator().manual_seed(0)
    start = torch.randn(3, 50, generator=generator)
    gradients = torch.randn(5, 3, 50, generator=generator)
    settings = AdamSettings(1e-2, (0.9, 0.99), 1e-7, weight_decay)
    rows, state = start, AdamState.fresh(start)
    for gradient in gradients:
        rows, state = adam_step(rows, gradient, state, settings)
    for row in range(3):
        alone = torch.nn.Parameter(start[row].clone())
        stock = torch.optim.AdamW([alone], 1e-2, (0.9, 0.99), 1e-7, weight_decay, foreach=False)
        for gradient in gradients:
            alone.grad = gradient[row].clone()
            stock.step()
        torch.testing.assert_close(rows[row], alone.detach(), rtol=1e-6, atol=1e-7)


def test_each_row_counts_its_own_steps() -> None:
    rows, gradient = torch.zeros(2, 4), torch.ones(2, 4)
    settings = AdamSettings(1e-1)
    _, young = adam_step(rows, gradient, AdamState.fresh(rows), settings)
    mixed = AdamState(
        torch.stack([young.first[0], torch.zeros(4)]),
        torch.stack([young.second[0], torch.zeros(4)]),
        torch.tensor([1, 0]),
    )
    _, after = adam_step(rows, -gradient, mixed, settings)
    assert after.steps.tolist() == [2, 1]
    moved, _ = adam_step(rows, -gradient, mixed, settings)
    # A first step of Adam is the learning rate whatever the gradient; a second one against the first is smaller.
    torch.testing.assert_close(moved[1], torch.full((4,), 0.1), rtol=1e-5, atol=1e-7)
    assert (moved[0].abs() < 0.05).all()


def test_clipping_bounds_each_episode_by_itself() -> None:
    gradient = torch.tensor([[3.0, 4.0], [0.3, 0.4]])
    clipped = clip_rows(gradient, 1.0)
    torch.testing.assert_close(clipped.norm(dim=1), torch.tensor([1.0, 0.5]))
    torch.testing.assert_close(clipped[1], gradient[1])


def test_a_step_leaves_its_inputs_as_they_were() -> None:
    rows, gradient = torch.randn(2, 8), torch.randn(2, 8)
    state = AdamState(torch.randn(2, 8), torch.rand(2, 8), torch.tensor([3, 4]))
    kept = [tensor.clone() for tensor in (rows, gradient, state.first, state.second, state.steps)]
    adam_step(rows, gradient, state, AdamSettings(0.1, weight_decay=0.1, clip=0.5))
    for tensor, before in zip((rows, gradient, state.first, state.second, state.steps), kept, strict=True):
        assert torch.equal(tensor, before)
