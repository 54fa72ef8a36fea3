"""An associative memory is the least squares fit to all that it was ever taught, and stays apart from the network."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from slowfast.evaluation.recall.teaching import neighbours, teach
from slowfast.fast import EpisodicMemory, memory_rule
from slowfast.fast.adapters import AdapterLayout, attached
from slowfast.fast.optimiser import OptimiserSettings
from slowfast.fast.reading import generate
from slowfast.fast.recursive import Familiar, solve_recursively
from tests.fast.conftest import build_slow_learner

EPISODES, DAMPING = 2, 0.3
RULE = memory_rule("associative", rank=8, start="random", steps=2, familiar=0.0, retrace=False)
SHAPE = (4, 8, 8)


def test_all_steps_together_are_one_ridge_regression() -> None:
    """Solved batch by batch it is what solving for all batches at once gives."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Tanh(), nn.Linear(6, 5, bias=False)).requires_grad_(False)
    layout = AdapterLayout.of(network, ["1"], 4, 2.0)
    rows = layout.fresh([torch.Generator().manual_seed(e) for e in range(EPISODES)])
    keys = torch.zeros(EPISODES, 4, 4)
    batches = [(torch.randn(EPISODES, 3, 6), torch.randn(EPISODES, 3, 5)) for _ in range(3)]
    first = torch.tensor([[0.0], [1.0], [1.0]])  # as a prefix, the first position counts for nothing
    with attached(network, layout, rows) as attachment:
        for asked, answers in batches:
            attachment.use(rows)

            def losses(asked: torch.Tensor = asked, answers: torch.Tensor = answers) -> torch.Tensor:
                found = network(asked.flatten(0, 1)).unflatten(0, (EPISODES, -1))
                return (first * (found - answers).square()).flatten(1).sum(1)

            settings = OptimiserSettings(1.0, damping=DAMPING)
            rows, keys, loss = solve_recursively(network, layout, rows, keys, losses, settings)
            assert loss.shape == (EPISODES,)
    down, up = layout.factors(rows)["1"]
    for episode in range(EPISODES):
        features = torch.cat([asked[episode, 1:] for asked, _ in batches]).tanh()
        lacking = torch.cat([answers[episode, 1:] for _, answers in batches]) - features @ network[1].weight.T
        key = features @ down[episode] * layout.scale
        expected = torch.linalg.solve(key.T @ key + DAMPING * torch.eye(4), key.T @ lacking)
        torch.testing.assert_close(up[episode], expected, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(keys[episode], key.T @ key, rtol=1e-4, atol=1e-5)


@pytest.fixture
def memory(slow) -> EpisodicMemory:
    slow.memory_layers("associative", SHAPE)
    return EpisodicMemory(slow, RULE, 2, 0, 4, 4, "base")


def frames(slow, count: int = 9, episodes: int = 2, seed: int = 1) -> tuple:
    latents = torch.randn(episodes, count, *SHAPE, generator=torch.Generator().manual_seed(seed))
    return latents, slow.null_actions(episodes, count)


def made(slow, memory: EpisodicMemory | None, latents: torch.Tensor, episodes=None) -> torch.Tensor:
    generators = [torch.Generator().manual_seed(4) for _ in range(len(latents))]
    actions = slow.null_actions(len(latents), 5)
    return generate(slow, memory, latents[:, :1], actions, 4, generators, steps=1, episodes=episodes)


def test_the_way_is_silent_until_a_memory_writes_into_it(slow, memory) -> None:
    latents, actions = frames(slow)
    before, weights = made(slow, None, latents), {name: t.clone() for name, t in slow.state_dict().items()}
    torch.testing.assert_close(made(slow, memory, latents), before, rtol=0, atol=0)
    memory.append(latents, actions)
    assert not torch.allclose(made(slow, memory, latents), before)
    assert torch.equal(made(slow, None, latents), before)
    assert weights.keys() == slow.state_dict().keys()  # nothing of it is saved with the network
    assert all(torch.equal(tensor, weights[name]) for name, tensor in slow.state_dict().items())
    assert not any("associative" in name for name, _ in slow.named_parameters())


def test_what_was_taught_comes_back(slow, memory) -> None:
    """The frames after the first are asked for again: they are nearer to what was seen than without the memory."""
    patient = EpisodicMemory(slow, replace(RULE, rank=16, steps=64), 2, 0, 4, 4, "base")
    latents, actions = frames(slow, count=5)
    patient.append(latents, actions)
    errors = [(made(slow, which, latents) - latents[:, 1:]).square().mean() for which in (patient, None)]
    assert errors[0] < 0.9 * errors[1]


def test_one_memory_is_read_merged_as_it_is_stacked(slow, memory) -> None:
    latents, actions = frames(slow)
    memory.append(latents, actions)
    stacked, single = made(slow, memory, latents), made(slow, memory, latents[1:], episodes=[1])
    torch.testing.assert_close(single[0], stacked[1], rtol=1e-3, atol=1e-4)


def test_it_is_kept_saved_and_forgotten_whole(slow, memory, tmp_path) -> None:
    latents, actions = frames(slow)
    memory.append(latents[:, :5], actions={name: tensor[:, :5] for name, tensor in actions.items()})
    memory.save_state(tmp_path / "memory")
    moment = memory.snapshot()
    rest = latents[:, 5:], {name: tensor[:, 5:] for name, tensor in actions.items()}
    memory.append(*rest)
    after = memory.snapshot()
    assert after.keys is not None
    assert not torch.equal(after.keys, moment.keys)

    other = EpisodicMemory(slow, RULE, 2, 0, 4, 4, "base")
    other.load_state(tmp_path / "memory")
    other.append(*rest)
    memory.restore(moment)
    memory.append(*rest)
    for again in (memory, other):
        assert torch.equal(again.snapshot().rows, after.rows)
        assert torch.equal(again.snapshot().keys, after.keys)
    memory.reset([1])
    kept, gone = memory.snapshot().keys
    assert torch.equal(kept, after.keys[0])
    assert not gone.any()


def test_a_share_says_how_much_of_a_key_was_taught() -> None:
    """Along taught directions it is s / (s + damping), s the sum of squares there; across them it is 0."""
    taught = torch.tensor([[[2.0, 0.0, 0.0], [0.0, 1.0, 0.0]]])  # [E, n, r]
    familiar = Familiar.with_sums(taught.mT @ taught, DAMPING, 0.8)
    asked = torch.tensor([[[5.0, 0.0, 0.0], [0.0, 0.1, 0.0], [0.0, 0.0, 1.0], [1.0, 0.0, 1.0], [0.0, 0.0, 0.0]]])
    shares = torch.tensor([[4 / (4 + DAMPING), 1 / (1 + DAMPING), 0.0, 2 / (4 + DAMPING), 0.0]])
    torch.testing.assert_close(familiar.shares(asked), shares)
    torch.testing.assert_close(familiar(asked), asked * torch.tensor([1.0, 0, 0, 0, 0])[:, None])
    assert familiar(asked.bfloat16()).dtype == torch.bfloat16


def test_where_nothing_was_taught_nothing_is_added(slow) -> None:
    """One episode is taught and one is not; of the taught one, whatever its keys do not know stays as it was."""
    slow.memory_layers("associative", SHAPE)
    silent, speaking = (
        EpisodicMemory(slow, replace(RULE, familiar=least), 2, 0, 4, 4, "base") for least in (0.999999, 0.01)
    )
    latents, actions = frames(slow, count=5)
    before = made(slow, None, latents)
    for memory in (silent, speaking):
        memory.append(latents[:1], {name: tensor[:1] for name, tensor in actions.items()}, episodes=[0])
    torch.testing.assert_close(made(slow, silent, latents), before)
    after = made(slow, speaking, latents)
    assert not torch.allclose(after[0], before[0])
    torch.testing.assert_close(after[1], before[1])
    torch.testing.assert_close(made(slow, speaking, latents[:1], episodes=[0])[0], after[0], rtol=1e-3, atol=1e-4)


def test_what_was_taught_since_is_known_at_the_next_reading(slow) -> None:
    """What is worked out of the keys is kept between readings, not beyond an update, a reset or a restored moment."""
    slow.memory_layers("associative", SHAPE)
    memory = EpisodicMemory(slow, replace(RULE, familiar=0.01), 2, 0, 4, 4, "base")
    latents, actions = frames(slow, count=5)
    nothing, moment = made(slow, memory, latents), memory.snapshot()
    memory.append(latents, actions)
    taught = made(slow, memory, latents)
    assert not torch.allclose(taught, nothing)
    assert torch.equal(made(slow, memory, latents), taught)
    memory.reset([1])
    after = made(slow, memory, latents)
    torch.testing.assert_close(after[0], taught[0])
    torch.testing.assert_close(after[1], nothing[1])
    memory.restore(moment)
    assert torch.equal(made(slow, memory, latents), nothing)


def test_controls_take_their_keys_along(slow, memory) -> None:
    """A neighbour's memory comes with its keys; a memory that is reset every chunk has those of the last one alone."""
    latents, actions = frames(slow)
    forgetful = EpisodicMemory(slow, RULE, 2, 0, 4, 4, "base")
    teach(memory, latents, actions)
    teach(forgetful, latents, actions, forget=True)
    own, other = memory.snapshot(), neighbours(memory).snapshot()
    assert own.keys is not None
    assert torch.equal(other.keys, own.keys.flip(0))
    assert torch.equal(other.rows, own.rows.flip(0))
    last = forgetful.snapshot().keys
    sums, of_last = (keys.diagonal(dim1=1, dim2=2).sum(1) for keys in (own.keys, last))
    assert (of_last < 0.75 * sums).all()


def test_an_adapter_alone_is_not_all_of_it(memory, tmp_path) -> None:
    memory.save(tmp_path / "adapter", 0)
    with pytest.raises(ValueError, match="needs the sums of its keys"):
        memory.load(tmp_path / "adapter", 1)


def test_settings_that_it_cannot_solve_for_are_refused() -> None:
    for change in ({"layers": "output"}, {"clip": 1.0}, {"weight_decay": 0.1}):
        with pytest.raises(ValueError, match="recursive solves for layers: associative"):
            replace(RULE, **change)
    for change in ({"familiar": 1.0}, {"familiar": -0.1}):
        with pytest.raises(ValueError, match=r"familiar is a share in \[0, 1\)"):
            replace(RULE, **change)
    with pytest.raises(ValueError, match="of the keys of optimiser recursive"):
        memory_rule("episodic", familiar=0.5)


def test_the_size_of_latents_has_to_be_known() -> None:
    with pytest.raises(ValueError, match="ask a world for its `new_memory`"):
        build_slow_learner().memory_layers("associative")
