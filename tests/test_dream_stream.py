"""The latent stream: contexts that grow, episodes that keep apart, and what the memory is taught."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from slowfast.dream import Dream, repeated
from slowfast.world_model import WorldModel


def some_frames(episodes: int, count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (episodes, count, 32, 32, 3), np.uint8)


def test_a_step_is_what_imagine_foretells(tiny_world: WorldModel) -> None:
    frames = some_frames(1, 6)
    dream = Dream(tiny_world, seed=3)
    dream.start(frames, [[0, 1, 2, 3, 4]])
    latents = dream.step([[0, 1, 2, "turn left"]])
    foretold = tiny_world.imagine(frames, [[0, 1, 2, 3, 4, 0, 1, 2, "turn left"]], seed=3)
    assert latents.shape == (1, 4, 4, 4, 4)
    assert np.array_equal(tiny_world.decode(latents), foretold)


def test_chunks_chain_in_latent_space(tiny_world: WorldModel) -> None:
    frames = some_frames(1, 4)
    future = [0, 1, 2, 3, 4, 0, 1, 2, 3]
    dream = Dream(tiny_world, seed=3)
    dream.start(frames, [[0, 1, 2]])
    made = np.concatenate(list(dream.rollout([future])), 1)
    foretold = tiny_world.imagine(frames, [[0, 1, 2, *future]], seed=3)
    # One step a grey level: decoding in batches of other sizes rounds differently.
    assert np.abs(made.astype(int) - foretold.astype(int)).max() <= 1


def test_context_grows_from_one_frame_to_the_worlds_own(tiny_world: WorldModel) -> None:
    dream = Dream(tiny_world, 2)
    assert dream.lengths.tolist() == [0, 0]
    dream.start(some_frames(2, 1), [[], []])
    lengths = [dream.lengths.tolist()]
    for _ in range(4):
        dream.step([[0], [1]])
        lengths.append(dream.lengths.tolist())
    assert lengths == [[1, 1], [2, 2], [3, 3], [4, 4], [4, 4]]


def test_the_action_that_led_into_a_frame_stays_beside_it(tiny_world: WorldModel) -> None:
    dream = Dream(tiny_world)
    dream.start(some_frames(1, 3), [[1, 2]])
    assert dream.context.actions["move"][0, 1:].tolist() == [-1, 1, 2]
    dream.step([[4, 3]])
    assert dream.context.actions["move"][0].tolist() == [1, 2, 4, 3]


def test_episodes_read_their_own_memory_in_whatever_order_they_are_named(tiny_world: WorldModel) -> None:
    frames, moves = some_frames(2, 9), [[0, 1, 2, 3, 4, 0, 1, 2], [4, 3, 2, 1, 0, 4, 3, 2]]
    rule = tiny_world.memory_rule({"name": "ancestor", "steps": 4, "learning_rate": 0.05})
    made = {}
    for order in ([0, 1], [1, 0]):
        dream = Dream(tiny_world, 2, tiny_world.new_memory(2, 0, rule), seed=5)
        dream.start(frames, moves)
        future = [[[0, 1], [2, 3]][episode] for episode in order]
        made[tuple(order)] = dream.step(future, episodes=order)
    torch.testing.assert_close(made[0, 1], made[1, 0].flip(0), atol=1e-4, rtol=1e-4)


def test_episodes_with_contexts_of_different_length_match_their_lone_selves(tiny_world: WorldModel) -> None:
    long, short = some_frames(1, 5, seed=1), some_frames(2, 1, seed=2)
    together = Dream(tiny_world, 3, seed=7)
    together.start(long, [[0, 1, 2, 3]], episodes=[1])
    together.start(short, [[], []], episodes=[0, 2])
    made = together.step([[0, 1], [2, 3], [4, 0]])
    alone = Dream(tiny_world, 3, seed=7)
    alone.start(long, [[0, 1, 2, 3]], episodes=[1])
    assert torch.allclose(made[1], alone.step([[2, 3]], episodes=[1])[0], atol=1e-4)
    alone.start(short[1:], [[]], episodes=[2])
    assert torch.allclose(made[2], alone.step([[4, 0]], episodes=[2])[0], atol=1e-4)
    assert not torch.allclose(made[0], made[2], atol=1e-2)


def test_stepping_some_episodes_leaves_the_others_alone(tiny_world: WorldModel) -> None:
    dream = Dream(tiny_world, 3)
    dream.start(some_frames(3, 2), [[0], [0], [0]])
    before = dream.context.latents
    dream.step([[1]], episodes=[1])
    changed = [not torch.equal(before[e], dream.context.latents[e]) for e in range(3)]
    assert changed == [False, True, False]


def test_a_copy_of_the_state_is_not_touched_by_later_steps(tiny_world: WorldModel) -> None:
    dream = Dream(tiny_world, memory=tiny_world.new_memory(1))
    dream.start(some_frames(1, 4), [[0, 1, 2]])
    assert dream.memory is not None
    context, memory = dream.context, dream.memory.snapshot()
    copies = [context.latents.clone(), context.actions["move"].clone(), memory.rows.clone()]
    for _ in range(4):
        dream.step([[1, 1]])
    for kept, copy in zip([context.latents, context.actions["move"], memory.rows], copies, strict=True):
        assert torch.equal(kept, copy)


def test_memory_reads_and_learns_in_the_order_of_a_hand_written_loop(tiny_world: WorldModel) -> None:
    frames, actions = some_frames(1, 4), [[0, 1, 2]]
    dream = Dream(tiny_world, memory=tiny_world.new_memory(1, seed=5), seed=3)
    dream.start(frames, actions)
    made = torch.cat([dream.step([[1, 2, 3, 4]]), dream.step([[0, 0, 0, 0]])], 1)

    memory = tiny_world.new_memory(1, seed=5)
    memory.reset()
    tiny_world.observe(frames, actions, memory)
    spec, generator = tiny_world.action_spec, Dream(tiny_world, seed=3).generators
    context, expected = tiny_world.encode(frames), []
    led_into = tiny_world.action_tensors(spec.columns([[None, 0, 1, 2]]))
    for chunk in ([1, 2, 3, 4], [0, 0, 0, 0]):
        new = tiny_world.action_tensors(spec.columns([chunk]))
        both = {name: torch.cat([led_into[name], new[name]], 1) for name in new}
        expected.append(tiny_world.imagine_latents(context, both, memory, generator))
        memory.append(expected[-1], new)
        context, led_into = expected[-1], new
    assert torch.equal(made, torch.cat(expected, 1))
    assert dream.updates.tolist() == [2]


def test_memory_changes_the_dream_only_once_it_has_learned(tiny_world: WorldModel) -> None:
    with_memory = Dream(tiny_world, memory=tiny_world.new_memory(1), seed=3)
    without = Dream(tiny_world, seed=3)
    chunks = []
    for dream in (with_memory, without):
        dream.start(some_frames(1, 1), [[]])
        chunks.append([dream.step([[0, 1, 2, 3]]) for _ in range(2)])
    (first, second), (plain_first, plain_second) = chunks
    assert torch.equal(first, plain_first)
    assert not torch.allclose(second, plain_second, atol=1e-3)


def test_a_rule_may_learn_from_what_was_observed_alone(tiny_world: WorldModel) -> None:
    rule = replace(tiny_world.new_memory().rule, dreamed_steps=0)
    dream = Dream(tiny_world, memory=tiny_world.new_memory(1, rule=rule))
    dream.start(some_frames(1, 5), [[0, 1, 2, 3]])
    dream.step([[0, 1, 2, 3]])
    assert dream.updates.tolist() == [1]
    dream.observe(some_frames(1, 4, seed=9), [[0, 1, 2, 3]])
    assert dream.updates.tolist() == [2]


def test_each_episode_keeps_its_own_phase_of_learning(tiny_world: WorldModel) -> None:
    dream = Dream(tiny_world, 2, tiny_world.new_memory(2))
    dream.start(some_frames(1, 1), [[]], episodes=[0])
    dream.start(some_frames(1, 4), [[0, 1, 2]], episodes=[1])
    updates = []
    for _ in range(4):
        dream.step([[0], [0]])
        updates.append(dream.updates.tolist())
    assert updates == [[0, 1], [0, 1], [0, 1], [1, 1]]


def test_frames_of_the_start_are_taught(tiny_world: WorldModel) -> None:
    dream = Dream(tiny_world, memory=tiny_world.new_memory(1))
    dream.start(some_frames(1, 9), [[0, 1, 2, 3, 4, 0, 1, 2]])
    assert dream.updates.tolist() == [2]
    dream.start(some_frames(1, 1), [[]])
    assert dream.updates.tolist() == [0]
    assert dream.memory is not None
    assert dream.memory.steps.tolist() == [0]


def test_observed_frames_replace_the_context(tiny_world: WorldModel) -> None:
    frames = some_frames(1, 5, seed=9)
    dream = Dream(tiny_world, memory=tiny_world.new_memory(1))
    dream.start(some_frames(1, 6), [[0] * 5])
    dream.step([[1, 1]])
    dream.observe(frames, [[0, 1, 2, 3]])
    assert torch.allclose(dream.context.latents, tiny_world.encode(frames)[:, -4:])
    assert dream.context.actions["move"].tolist() == [[0, 1, 2, 3]]
    assert dream.updates.tolist() == [2]  # one for the start, one for the four frames after the first observed one


def test_observed_frames_with_as_many_actions_go_on_from_the_present(tiny_world: WorldModel) -> None:
    dream = Dream(tiny_world)
    dream.start(some_frames(1, 2), [[0]])
    before = dream.context.latents
    dream.observe(some_frames(1, 1, seed=9), [[3]])
    assert dream.lengths.tolist() == [3]
    assert torch.equal(dream.context.latents[:, 1:3], before[:, 2:])
    assert dream.context.actions["move"][0, -1] == 3


@pytest.mark.parametrize(
    ("mistake", "message"),
    [
        (lambda dream: dream.step([[0] * 5]), "1 to 4 frames"),
        (lambda dream: dream.step([[]]), "1 to 4 frames"),
        (lambda dream: dream.step([[0], [0]]), "1 episodes"),
        (lambda dream: dream.start(some_frames(1, 2), [[]]), "1 actions between"),
        (lambda dream: dream.observe(some_frames(1, 2), [[0, 1, 2]]), "2 frames come with"),
        (lambda dream: dream.start(some_frames(2, 1), [[], []]), "1 episodes need frames"),
        (lambda dream: Dream(dream.world, 2, dream.world.new_memory(1)), "memory is of 1"),
    ],
)
def test_what_does_not_fit_is_refused(tiny_world: WorldModel, mistake, message: str) -> None:  # type: ignore[no-untyped-def]
    dream = Dream(tiny_world)
    dream.start(some_frames(1, 1), [[]])
    with pytest.raises(ValueError, match=message):
        mistake(dream)


def test_an_episode_that_has_not_begun_is_named(tiny_world: WorldModel) -> None:
    dream = Dream(tiny_world, 2)
    dream.start(some_frames(1, 1), [[]], episodes=[0])
    with pytest.raises(RuntimeError, match=r"\[1\] have not begun"):
        dream.step([[0], [0]])


def test_a_rule_is_laid_over_the_worlds_own(tiny_world: WorldModel) -> None:
    assert tiny_world.memory_rule().learning_rate == 1e-2
    assert tiny_world.memory_rule({"steps": 3}, every=2) == tiny_world.memory_rule(
        {"name": "paper", "steps": 3, "rank": 4, "learning_rate": 1e-2, "every": 2}
    )
    assert tiny_world.memory_rule("ancestor").learning_rate == 5e-5
    assert tiny_world.memory_rule(tiny_world.memory_rule("ancestor")) == tiny_world.memory_rule("ancestor")
    with pytest.raises(ValueError, match="choose one of paper, ancestor"):
        tiny_world.memory_rule("papre")


def test_kinds_of_memory_are_rules_of_the_world(tiny_world: WorldModel) -> None:
    own = tiny_world.memory_rule()
    hybrid, kept = tiny_world.memory_rule("hybrid"), tiny_world.memory_rule("retrieval")
    assert hybrid == replace(own, recalled=1) == tiny_world.memory_rule(memory="hybrid")
    assert (kept.name, kept.steps, kept.recalled) == ("retrieval", 0, 1)
    assert tiny_world.memory_rule({"bank": 9}, memory="retrieval") == replace(kept, bank=9)
    assert tiny_world.memory_rule("temp_lora") == own
    for rule, memory in (({"recalled": 0}, "hybrid"), (own, "hybrid"), ("paper", "retrieval"), (hybrid, "temp_lora")):
        with pytest.raises(ValueError, match=f"memory='{memory}' with a rule of kind"):
            tiny_world.memory_rule(rule, memory=memory)
    with pytest.raises(ValueError, match="'forever' is not one of 'temp_lora', 'retrieval', 'hybrid'"):
        tiny_world.memory_rule(memory="forever")
    with pytest.raises(ValueError, match="this world reads 0"):
        tiny_world.new_memory(rule="hybrid")


def test_a_pattern_is_repeated(tiny_world: WorldModel) -> None:
    assert repeated(tiny_world.action_spec, [0, "turn left", 2], 5)["move"].tolist() == [[0, -1, 2, 0, -1]]
