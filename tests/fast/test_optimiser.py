"""Row by row, a stacked optimiser does what the stock one does to one episode."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from slowfast.fast import memory_rule
from slowfast.fast.adapters import AdapterLayer, AdapterLayout
from slowfast.fast.optimiser import OPTIMISERS, AdamState, OptimiserSettings, clip_rows, step
from slowfast.fast.preconditioning import preconditioned

LAYERS = (AdapterLayer("a", 6, 5, 2), AdapterLayer("b", 4, 7, 3), AdapterLayer("c", 5, 3, 2))
LAYOUT = AdapterLayout(LAYERS, 1.0)
WIDTH = LAYOUT.width


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def run(start: torch.Tensor, gradients: torch.Tensor, settings: OptimiserSettings) -> torch.Tensor:
    rows, state = start, AdamState.fresh(start)
    for gradient in gradients:
        rows, state = step(rows, gradient, state, settings, LAYOUT)
    return rows


@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_adam_moves_a_row_as_torch_moves_it_alone(weight_decay) -> None:
    start, gradients = drawn(3, WIDTH), drawn(5, 3, WIDTH, seed=1)
    rows = run(start, gradients, OptimiserSettings(1e-2, (0.9, 0.99), 1e-7, weight_decay))
    for row in range(3):
        alone = torch.nn.Parameter(start[row].clone())
        stock = torch.optim.AdamW([alone], 1e-2, (0.9, 0.99), 1e-7, weight_decay, foreach=False)
        for gradient in gradients:
            alone.grad = gradient[row].clone()
            stock.step()
        torch.testing.assert_close(rows[row], alone.detach(), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_momentum_moves_a_row_as_torch_moves_it_alone(weight_decay) -> None:
    start, gradients = drawn(3, WIDTH), drawn(5, 3, WIDTH, seed=1)
    rows = run(start, gradients, OptimiserSettings(0.3, (0.8, 0.5), weight_decay=weight_decay, name="momentum"))
    for row in range(3):
        alone = torch.nn.Parameter(start[row].clone())
        stock = torch.optim.SGD([alone], 0.3, momentum=0.8)
        for gradient in gradients:
            alone.grad = gradient[row].clone()
            with torch.no_grad():
                alone.mul_(1 - 0.3 * weight_decay)  # apart from the gradient, as in AdamW
            stock.step()
        torch.testing.assert_close(rows[row], alone.detach(), rtol=1e-6, atol=1e-6)


def test_gradients_are_preconditioned_layer_by_layer_and_episode_by_episode() -> None:
    rows, gradient = drawn(3, WIDTH), drawn(3, WIDTH, seed=1)
    found = LAYOUT.factors(preconditioned(gradient, rows, LAYOUT, 0.01))
    factors, slopes = LAYOUT.factors(rows), LAYOUT.factors(gradient)
    for layer in LAYERS:
        ridge = 0.01 * torch.eye(layer.rank)
        for episode in range(3):
            down, up = (factor[episode] for factor in factors[layer.name])
            by_down, by_up = (slope[episode] for slope in slopes[layer.name])
            expected = (
                torch.linalg.solve(up @ up.T + ridge, by_down.T).T,
                torch.linalg.solve(down.T @ down + ridge, by_up),
            )
            for one, other in zip(found[layer.name], expected, strict=True):
                torch.testing.assert_close(one[episode], other, rtol=1e-3, atol=1e-4)


def test_a_preconditioned_step_does_not_depend_on_how_the_product_is_split() -> None:
    """What sets it apart (arXiv 2402.02347, §3): factors (s down, up / s) move the product by as much."""
    settings = OptimiserSettings(1e-3, (0.0, 0.0), name="momentum")
    rows, scale = drawn(1, WIDTH), 4.0
    target = LAYOUT.deltas(drawn(WIDTH, seed=2))

    def moved(start: torch.Tensor, damping: float | None) -> torch.Tensor:
        leaf = start.clone().requires_grad_()
        loss = sum((mine - goal).square().sum() for mine, goal in zip(LAYOUT.deltas(leaf[0]), target, strict=True))
        (gradient,) = torch.autograd.grad(loss, leaf)
        if damping is not None:
            gradient = preconditioned(gradient, start, LAYOUT, damping)
        after, _ = step(start, gradient, AdamState.fresh(start), settings, LAYOUT)
        pairs = zip(LAYOUT.deltas(after[0]), LAYOUT.deltas(start[0]), strict=True)
        return torch.cat([(new - old).flatten() for new, old in pairs])

    pieces = []
    for down, up in LAYOUT.factors(rows).values():
        pieces += [(down * scale).flatten(1), (up / scale).flatten(1)]
    resplit = torch.cat(pieces, 1)
    one, other = moved(rows, 1e-7), moved(resplit, 1e-7)
    torch.testing.assert_close(one, other, rtol=0.02, atol=float(one.abs().max()) * 0.01)
    assert (moved(rows, None) - moved(resplit, None)).norm() > 0.5 * moved(rows, None).norm()


@pytest.mark.parametrize("name", OPTIMISERS)
def test_no_episode_sees_another(name) -> None:
    settings = OptimiserSettings(1e-2, weight_decay=0.1, clip=1.0, name=name, damping=1e-2)
    start, gradients = drawn(3, WIDTH), drawn(4, 3, WIDTH, seed=1)
    together = run(start, gradients, settings)
    for row in range(3):
        alone = run(start[row : row + 1], gradients[:, row : row + 1], settings)
        torch.testing.assert_close(together[row : row + 1], alone, rtol=1e-5, atol=1e-6)


def test_each_row_counts_its_own_steps() -> None:
    rows, gradient = torch.zeros(2, WIDTH), torch.ones(2, WIDTH)
    settings = OptimiserSettings(1e-1)
    _, young = step(rows, gradient, AdamState.fresh(rows), settings, LAYOUT)
    mixed = AdamState(
        torch.stack([young.first[0], torch.zeros(WIDTH)]),
        torch.stack([young.second[0], torch.zeros(WIDTH)]),
        torch.tensor([1, 0]),
    )
    moved, after = step(rows, -gradient, mixed, settings, LAYOUT)
    assert after.steps.tolist() == [2, 1]
    # A first step of Adam is the learning rate whatever the gradient; a second one against the first is smaller.
    torch.testing.assert_close(moved[1], torch.full((WIDTH,), 0.1), rtol=1e-5, atol=1e-7)
    assert (moved[0].abs() < 0.05).all()


def test_clipping_bounds_each_episode_by_itself() -> None:
    gradient = torch.tensor([[3.0, 4.0], [0.3, 0.4]])
    clipped = clip_rows(gradient, 1.0)
    torch.testing.assert_close(clipped.norm(dim=1), torch.tensor([1.0, 0.5]))
    torch.testing.assert_close(clipped[1], gradient[1])


@pytest.mark.parametrize("name", OPTIMISERS)
def test_a_step_leaves_its_inputs_as_they_were(name) -> None:
    rows, gradient = drawn(2, WIDTH), drawn(2, WIDTH, seed=1)
    state = AdamState(drawn(2, WIDTH, seed=2), drawn(2, WIDTH, seed=3).abs(), torch.tensor([3, 4]))
    kept = [tensor.clone() for tensor in (rows, gradient, state.first, state.second, state.steps)]
    step(rows, gradient, state, OptimiserSettings(0.1, weight_decay=0.1, clip=0.5, name=name), LAYOUT)
    for tensor, before in zip((rows, gradient, state.first, state.second, state.steps), kept, strict=True):
        assert torch.equal(tensor, before)


def test_a_rule_names_its_optimiser() -> None:
    rule = memory_rule("ancestor", optimiser="preconditioned", damping=1e-3)
    assert (rule.optimiser_settings.name, rule.optimiser_settings.damping) == ("preconditioned", 1e-3)
    with pytest.raises(ValueError, match="preconditioned, closed_form, recursive, got 'sgd'"):
        replace(rule, optimiser="sgd")
    with pytest.raises(ValueError, match="damping is above 0, got 0"):
        replace(rule, damping=0.0)
