"""A step in closed form ends at the minimum of what it was asked for, and teaches the last layer alone."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from slowfast.fast import memory_rule
from slowfast.fast.adapters import AdapterLayout, attached
from slowfast.fast.closed_form import solve
from slowfast.fast.optimiser import OptimiserSettings
from slowfast.slow.windows import Windows

SETTINGS = {
    "rule": "ancestor",
    "optimiser": "closed_form",
    "layers": "output",
    "learning_rate": 1.0,
    "damping": 0.1,
    "clip": None,
}
EPISODES, BATCH = 2, 6


@pytest.fixture
def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 5, 3, padding=1), nn.Tanh(), nn.Conv2d(5, 4, 3, padding=1)).requires_grad_(False)


def asked(network: nn.Module, rank: int = 4, scale: float = 1.0):
    """A layout of the last layer, fresh rows, and a loss ``[E]`` that weighs positions unlike each other."""
    layout = AdapterLayout.of(network, ["2"], rank, rank * scale)
    rows = layout.fresh([torch.Generator().manual_seed(e) for e in range(EPISODES)])
    drawn = torch.Generator().manual_seed(9)
    images, target = torch.randn(BATCH, 3, 4, 4, generator=drawn), torch.randn(BATCH, 4, 4, 4, generator=drawn)
    weight = torch.rand(BATCH, 1, 4, 4, generator=drawn) * (torch.rand(BATCH, 1, 4, 4, generator=drawn) > 0.3)

    def losses() -> torch.Tensor:
        return (weight * (network(images) - target).square()).unflatten(0, (EPISODES, -1)).flatten(1).mean(1)

    return layout, rows, losses


def test_it_is_the_minimum_of_loss_and_ridge(network) -> None:
    layout, rows, losses = asked(network, scale=0.5)
    with attached(network, layout, rows) as attachment:
        before = losses()
        taught, reported = solve(network, layout, rows, losses, OptimiserSettings(1.0, damping=0.2))
        torch.testing.assert_close(reported, before)
        change = torch.stack([layout.deltas(row)[0][:, :, 1, 1] for row in taught])  # [E, out, in]

        # The same by gradients: the slope of the loss at the solution is what the ridge pulls back with.
        free = rows.clone().detach()
        down, up = layout.factors(free)["2"]
        down.copy_(change.mT / layout.scale)
        up.copy_(torch.eye(4))
        free.requires_grad_()
        attachment.use(free)
        loss = losses()
        (slope,) = torch.autograd.grad(loss.sum(), free)
        by_down = layout.factors(slope)["2"][0] / layout.scale  # [E, in, out]
    seen: list[torch.Tensor] = []
    handle = network[2].register_forward_hook(lambda module, inputs, output: seen.append(inputs[0]))
    losses()
    handle.remove()
    curvature = _curvature(network, losses)
    features = seen[0].movedim(1, -1).reshape(EPISODES, -1, 5)
    mean = (curvature * features.square()).sum(1).mean(-1)
    torch.testing.assert_close(by_down, -0.2 * mean[:, None, None] * change.mT, rtol=1e-3, atol=1e-5)
    assert (loss < 0.9 * before).all()


def _curvature(network: nn.Module, losses) -> torch.Tensor:
    """Twice the weight over the count of each position ``[E, N, 1]``, from the loss of a network whose output moves."""
    moved: list[torch.Tensor] = []

    def hook(module: nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> torch.Tensor:
        moved.append(output.detach().requires_grad_())
        return moved[0]

    handle = network[2].register_forward_hook(hook)
    loss = losses()
    handle.remove()
    (slope,) = torch.autograd.grad(loss.sum(), moved[0], create_graph=True)
    (curved,) = torch.autograd.grad(slope.sum(), moved[0])
    return curved.movedim(1, -1).reshape(EPISODES, -1, 4)[..., :1]


def test_a_share_of_the_step_and_decay_are_taken_from_where_it_was(network) -> None:
    layout, rows, losses = asked(network)

    def change(rows: torch.Tensor) -> torch.Tensor:
        return torch.stack([layout.deltas(row)[0] for row in rows])

    with attached(network, layout, rows) as attachment:
        whole, _ = solve(network, layout, rows, losses, OptimiserSettings(1.0, damping=0.2))
        half, _ = solve(network, layout, rows, losses, OptimiserSettings(0.5, damping=0.2))
        torch.testing.assert_close(change(half), 0.5 * change(whole), rtol=1e-4, atol=1e-6)
        attachment.use(whole)
        again, _ = solve(network, layout, whole, losses, OptimiserSettings(1.0, damping=0.2))
        decayed, _ = solve(network, layout, whole, losses, OptimiserSettings(1.0, weight_decay=0.25, damping=0.2))
    torch.testing.assert_close(change(decayed), change(again) - 0.25 * change(whole), rtol=1e-4, atol=1e-6)


def test_of_a_lower_rank_it_is_the_nearest_change(network) -> None:
    full, rows, losses = asked(network)
    with attached(network, full, rows):
        whole, _ = solve(network, full, rows, losses, OptimiserSettings(1.0, damping=0.2))
    low, fewer, losses = asked(network, rank=2)
    with attached(network, low, fewer):
        part, _ = solve(network, low, fewer, losses, OptimiserSettings(1.0, damping=0.2))
    for row, smaller in zip(whole, part, strict=True):
        change = full.deltas(row)[0][:, :, 1, 1]
        left, sizes, right = torch.linalg.svd(change)
        nearest = left[:, :2] @ torch.diag(sizes[:2]) @ right[:2]
        torch.testing.assert_close(low.deltas(smaller)[0][:, :, 1, 1], nearest, rtol=1e-4, atol=1e-5)


def test_it_lowers_the_loss_of_what_was_seen_under_noise_not_seen(slow, new_memory, frames, weights_digest) -> None:
    latents, actions = frames(3, 9)
    windows = Windows(latents[:, 1:], {name: tensor[:, 1:] for name, tensor in actions.items()}, 4)

    def held_out(memory) -> torch.Tensor:
        with torch.no_grad(), memory.attached():
            return sum(slow.loss(windows, [torch.Generator().manual_seed(s + e) for e in range(3)]) for s in (50, 60))

    digest = weights_digest()
    memory = new_memory(3, steps=4, **{**SETTINGS, "learning_rate": 0.25})
    before = held_out(memory)
    stats = memory.append(latents, actions)
    assert (held_out(memory) < before).all()
    assert memory.steps.tolist() == [8] * 3
    assert stats["updates"].tolist() == [2] * 3
    assert weights_digest() == digest
    assert [layer.name for layer in memory.layout.layers] == ["conv_out"]


def test_a_stack_is_solved_as_its_episodes_would_be_alone(new_memory, frames) -> None:
    together = new_memory(3, steps=2, replay=2, replay_batch=2, **SETTINGS)
    together.append(*frames(3, 9))
    for episode in range(3):
        alone = new_memory(3, steps=2, replay=2, replay_batch=2, **SETTINGS)
        alone.append(*frames(1, 9, start=episode), episodes=[episode])
        one, other = (memory.delta("conv_out", episode) for memory in (together, alone))
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)


def test_what_it_cannot_solve_for_is_refused() -> None:
    with pytest.raises(ValueError, match=r"solves for layers: output.*got layers 'attention', clip None"):
        memory_rule("ancestor", optimiser="closed_form", clip=None)
    with pytest.raises(ValueError, match=r"clip 1\.0"):
        memory_rule("ancestor", optimiser="closed_form", layers="output")
    with pytest.raises(ValueError, match="start 'learned'"):
        memory_rule("readout", start="learned")
