"""Learning: the slow learner stays as it is, the loss falls, episodes in a stack learn as they would alone."""

from __future__ import annotations

import copy

import pytest
import torch

from slowfast.fast import EpisodicMemory, memory_rule
from slowfast.slow.windows import Windows

# Batched kernels differ from single ones in the last bits: most factors agree to 1e-6 after nine steps of 1e-2 each.
# Adam divides by the size of a gradient, so a factor that gets almost none may differ by more (seen: 4e-5).
STACK_TOLERANCE = {"rtol": 1e-3, "atol": 2e-4}


@pytest.mark.parametrize("rule", ["paper", "ancestor"])
def test_learning_never_touches_the_slow_learner(slow, new_memory, frames, weights_digest, rule) -> None:
    before = weights_digest()
    slow.train()
    wanted = {name: parameter.requires_grad for name, parameter in slow.named_parameters()}
    memory = new_memory(2, rule=rule)
    memory.append(*frames(2, 9))
    assert weights_digest() == before
    assert {name: parameter.requires_grad for name, parameter in slow.named_parameters()} == wanted
    assert all(parameter.grad is None for parameter in slow.parameters())
    assert all(module.training for module in slow.modules())
    slow.eval()


def test_flags_come_back_when_an_update_fails(slow, new_memory, frames, monkeypatch) -> None:
    memory = new_memory()
    monkeypatch.setattr(slow, "loss", lambda *_, **__: torch.ones(1))  # a loss that no factor can lower
    with pytest.raises(RuntimeError):
        memory.append(*frames(1, 5))
    monkeypatch.undo()
    assert all(parameter.requires_grad for parameter in slow.parameters())
    with memory.attached():
        pass


def test_an_update_runs_in_eval_mode(slow, new_memory, frames) -> None:
    """Temporal convolutions hold a dropout, which would make the update depend on torch's global generator."""
    rows = []
    for seed in range(2):
        slow.train()
        torch.manual_seed(seed)
        memory = new_memory()
        memory.append(*frames(1, 5))
        rows.append(memory.snapshot().rows)
    slow.eval()
    assert torch.equal(*rows)


def test_repeated_steps_lower_the_loss_of_the_chunk_under_noise_not_seen(slow, new_memory, frames) -> None:
    latents, actions = frames(1, 5)
    windows = Windows(latents.repeat_interleave(16, 0), slow.null_actions(16, 5), 0)

    def held_out(memory) -> float:
        with torch.no_grad(), memory.attached():
            return float(slow.loss(windows, [torch.Generator().manual_seed(99)]).mean())

    memory = new_memory(steps=40, replay_batch=2, rank=16)
    before = held_out(memory)
    memory.append(latents, actions)
    assert held_out(memory) < 0.9 * before


@pytest.mark.parametrize(("rule", "settings"), [("paper", {}), ("ancestor", {"replay": 2, "replay_batch": 2})])
def test_a_stack_learns_as_its_episodes_would_alone(new_memory, frames, rule, settings) -> None:
    settings = {**settings, "epsilon": 1e-6}  # Adam divides by it where a gradient is nothing but rounding
    together = new_memory(3, rule=rule, steps=3, **settings)
    together.append(*frames(3, 13))
    for episode in range(3):
        # The same episode, learning while the others of its stack stay away.
        alone = new_memory(3, rule=rule, steps=3, **settings)
        stats = alone.append(*frames(1, 13, start=episode), episodes=[episode])
        assert stats["updates"].tolist() == [3]
        torch.testing.assert_close(together.snapshot().rows[episode], alone.snapshot().rows[episode], **STACK_TOLERANCE)
        assert torch.equal(together.snapshot().random[episode], alone.snapshot().random[episode])


def test_a_falling_rate_begins_as_one_that_stays_and_moves_less(new_memory, frames) -> None:
    def moved(steps: int, anneal: bool) -> torch.Tensor:
        memory = new_memory(1, rule="imprint", steps=steps, anneal=anneal)
        start = memory.snapshot().rows
        memory.append(*frames(1, 5))
        return memory.snapshot().rows - start

    assert torch.equal(moved(1, True), moved(1, False))
    assert moved(8, True).norm() < moved(8, False).norm()


def test_rows_of_neighbours_are_not_touched(new_memory, frames) -> None:
    memory = new_memory(3)
    before = memory.snapshot().rows
    memory.append(*frames(1, 5), episodes=[1])
    after = memory.snapshot().rows
    assert torch.equal(before[[0, 2]], after[[0, 2]])
    assert not torch.equal(before[1], after[1])
    assert memory.steps.tolist() == [0, 1, 0]


def test_factors_stay_float32_beside_a_bfloat16_network(slow, frames) -> None:
    half = copy.deepcopy(slow).to(torch.bfloat16)
    rule = memory_rule("paper", rank=4, layers="attention_and_convolutions", learning_rate=1e-2)
    memory = EpisodicMemory(half, rule, 2, 0, 4, 4, "base")
    stats = memory.append(*frames(2, 5))
    assert stats["loss_last"].isfinite().all()
    state = memory.snapshot()
    assert state.rows.dtype == state.adam.second.dtype == torch.float32
    assert (state.adam.second.amax(1) > 0).all()
    full = EpisodicMemory(slow, rule, 2, 0, 4, 4, "base")
    full.append(*frames(2, 5))
    moved, exact = (m.snapshot().adam.first.flatten() for m in (memory, full))
    assert torch.cosine_similarity(moved, exact, dim=0) > 0.98


def test_learning_works_where_gradients_are_switched_off(new_memory, frames) -> None:
    expected = new_memory()
    expected.append(*frames(1, 9))
    for switched_off in (torch.no_grad, torch.inference_mode):
        with switched_off():
            memory = new_memory()
            latents, actions = frames(1, 9)
            memory.append(latents, actions)
            memory.reset([])
        assert torch.equal(memory.snapshot().rows, expected.snapshot().rows)


@pytest.mark.parametrize(("optimiser", "rate"), [("momentum", 0.3), ("preconditioned", 3e-3)])
def test_every_optimiser_lowers_the_loss_of_what_was_seen(slow, new_memory, frames, optimiser, rate) -> None:
    latents, actions = frames(1, 9)
    windows = Windows(latents[:, 1:], {name: tensor[:, 1:] for name, tensor in actions.items()}, 4)

    def held_out(memory) -> float:
        with torch.no_grad(), memory.attached():
            return sum(float(slow.loss(windows, [torch.Generator().manual_seed(s)])) for s in range(3))

    memory = new_memory(rule="ancestor", steps=20, rank=8, optimiser=optimiser, learning_rate=rate, clip=1.0)
    before = held_out(memory)
    memory.append(latents, actions)
    assert held_out(memory) < 0.97 * before  # seen: 0.92 and 0.95
