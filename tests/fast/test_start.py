"""Learned first factors: no effect by themselves, the right subspace, other draws untouched, strangers refused."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from slowfast.fast import EpisodicMemory, memory_rule
from slowfast.fast.adapters import AdapterLayer, AdapterLayout
from slowfast.fast.start import MemoryStart, learned_start

LAYOUT = AdapterLayout((AdapterLayer("a", 12, 9, 3), AdapterLayer("b", 8, 2, 2)), 1.0)
RULE = memory_rule("ancestor", rank=3, steps=2, learning_rate=1e-2, layers="attention_and_convolutions")


@pytest.fixture
def start(slow) -> MemoryStart:
    layout = AdapterLayout.of(slow.unet, slow.memory_layers(RULE.layers), RULE.rank, RULE.scaled_by)
    rows = torch.randn(4, layout.width, generator=torch.Generator().manual_seed(3))
    return learned_start(layout, [rows], RULE, "base")[0]


def memory_with(slow, start: MemoryStart | None, seed: int = 0, **changes: object) -> EpisodicMemory:
    rule = replace(RULE, start="learned", **changes)
    return EpisodicMemory(slow, rule, 2, seed, 4, 4, "base", start=start)


def test_a_start_holds_what_the_memories_share() -> None:
    """All updates lie in one subspace of the inputs, whatever factors made them: the start spans it."""
    generator = torch.Generator().manual_seed(0)
    spans = {
        layer.name: torch.linalg.qr(torch.randn(layer.inputs, layer.rank, generator=generator))[0]
        for layer in LAYOUT.layers
    }
    batches = []
    for episodes in (5, 2):
        pieces = []
        for layer in LAYOUT.layers:
            mixed = torch.randn(episodes, layer.rank, layer.rank, generator=generator)
            up = torch.randn(episodes, layer.rank, layer.outputs, generator=generator)
            pieces += [(spans[layer.name] @ mixed).flatten(1), up.flatten(1)]
        batches.append(torch.cat(pieces, 1))
    start, shares = learned_start(LAYOUT, batches, RULE, "base")
    for layer in LAYOUT.layers:
        down, span = start.down[layer.name], spans[layer.name]
        torch.testing.assert_close(span @ (span.T @ down), down, rtol=1e-4, atol=1e-5)
        assert shares[layer.name] == pytest.approx(1.0, abs=1e-5)


def test_a_start_is_the_leading_subspace_of_the_stacked_updates() -> None:
    rows = torch.randn(6, LAYOUT.width, generator=torch.Generator().manual_seed(1))
    start, shares = learned_start(LAYOUT, [rows[:4], rows[4:]], RULE, "base")
    for number, layer in enumerate(LAYOUT.layers):
        stacked = torch.cat([LAYOUT.deltas(row)[number] for row in rows])  # [6 * out, in]
        _, values, right = torch.linalg.svd(stacked.double())
        leading = right[: layer.rank].T
        down = start.down[layer.name].double()
        torch.testing.assert_close(leading @ (leading.T @ down), down, rtol=1e-4, atol=1e-5)
        # orthogonal directions, each at the mean norm of a random one
        torch.testing.assert_close(down.T @ down, torch.eye(layer.rank).double() / 3, rtol=1e-4, atol=1e-5)
        held = values[: layer.rank].square().sum() / values.square().sum()
        assert shares[layer.name] == pytest.approx(float(held), rel=1e-4)
    random = LAYOUT.factors(LAYOUT.fresh([torch.Generator().manual_seed(seed) for seed in range(200)]))
    for name, (down, _) in random.items():
        assert float(down.norm(dim=(1, 2)).square().mean()) == pytest.approx(
            float(start.down[name].norm()) ** 2, rel=0.1
        )


def test_memories_without_effect_teach_no_start() -> None:
    fresh = LAYOUT.fresh([torch.Generator().manual_seed(0)])
    with pytest.raises(ValueError, match="no memory has an effect on 'a'"):
        learned_start(LAYOUT, [fresh], RULE, "base")
    with pytest.raises(ValueError, match="none were given"):
        learned_start(LAYOUT, [], RULE, "base")


def test_every_episode_begins_and_begins_again_with_the_start_and_without_effect(slow, start, frames, predict) -> None:
    memory, plain = memory_with(slow, start), predict(2)
    with memory.attached():
        assert torch.equal(predict(2), plain)
    memory.append(*frames(2, 9))
    with memory.attached():
        assert not torch.equal(predict(2), plain)
    memory.reset([1])
    name = memory.layout.layers[0].name
    downs, ups = memory.layout.factors(memory.snapshot().rows)[name]
    assert torch.equal(downs[1], start.down[name])
    assert not ups[1].any()
    assert not torch.equal(downs[0], start.down[name])


def test_how_an_episode_begins_shifts_none_of_its_later_draws(slow, start) -> None:
    learned = memory_with(slow, start).snapshot()
    random = EpisodicMemory(slow, RULE, 2, 0, 4, 4, "base", start=start).snapshot()
    assert torch.equal(learned.random, random.random)
    unaware = EpisodicMemory(slow, RULE, 2, 0, 4, 4, "base").snapshot()
    assert torch.equal(random.rows, unaware.rows)
    assert not torch.equal(random.rows, learned.rows)


def test_a_rule_of_a_lower_rank_takes_the_leading_directions(slow, start) -> None:
    memory = memory_with(slow, start, rank=2)
    for name, (down, up) in memory.layout.factors(memory.snapshot().rows).items():
        assert torch.equal(down[0], start.down[name][:, : down.shape[-1]])
        assert not up.any()
    assert memory.start is not None
    assert memory.start.rank == 2


def test_a_start_of_another_rule_or_other_weights_is_refused(slow, start) -> None:
    with pytest.raises(ValueError, match=r"up to rank 3, memory rule 'ancestor' adapts .* at rank 4"):
        memory_with(slow, start, rank=4)
    with pytest.raises(ValueError, match="is for layers 'attention_and_convolutions'"):
        memory_with(slow, start, layers="attention")
    with pytest.raises(ValueError, match="belongs to other weights"):
        memory_with(slow, replace(start, base_hash="stranger"))
    with pytest.raises(ValueError, match="this world ships none"):
        memory_with(slow, None)
    with pytest.raises(ValueError, match="start is random, learned, got 'zero'"):
        replace(RULE, start="zero")


def test_a_start_is_kept_as_it_is(start, tmp_path) -> None:
    start.save(tmp_path / "start.safetensors")
    loaded = MemoryStart.load(tmp_path / "start.safetensors")
    assert loaded.digest == start.digest
    assert (loaded.layers, loaded.rank, loaded.base_hash) == (start.layers, start.rank, start.base_hash)
    assert all(torch.equal(loaded.down[name], factor) for name, factor in start.down.items())
    with pytest.raises(FileNotFoundError, match="train memory-start"):
        MemoryStart.load(tmp_path / "absent.safetensors")
    from safetensors.torch import save_file

    save_file({"a": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(ValueError, match="not a learned start of format 1"):
        MemoryStart.load(tmp_path / "other.safetensors")
