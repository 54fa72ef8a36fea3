"""Reading kept frames: what the network is shown, whose noise it is, and when nothing changes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from slowfast.fast import EpisodicMemory
from slowfast.fast.generators import episode_generator, states
from slowfast.fast.reading import generate
from slowfast.slow.masked_diffusion import MaskedVideoDiffusion
from slowfast.slow.windows import select_actions
from tests.fast.conftest import CHUNK, CONTEXT, Frames, MakeMemory


@pytest.fixture
def reader(slow: MaskedVideoDiffusion) -> MaskedVideoDiffusion:
    """The slow learner, marked as trained to read two recalled frames."""
    config = slow.config
    slow.config = replace(config, recalled=2)
    yield slow
    slow.config = config


ANY: dict[str, Any] = {"alike": -1.0, "recall_chunk": None}
"""One look for a whole chunk, and whatever is likest: random frames are like nothing."""


def asked(frames: Frames, episodes: int, each: int = 1, start: int = 50) -> tuple:
    latents, actions = frames(episodes * each, CONTEXT + CHUNK, start=start)
    return latents[:, :CONTEXT], actions


def answers(slow: MaskedVideoDiffusion, memory: EpisodicMemory | None, context, actions, count: int = CHUNK):
    generators = [episode_generator(7, row) for row in range(len(context))]
    led = select_actions(actions, (slice(None), slice(0, context.shape[1] + count)))
    return generate(slow, memory, context, led, count, generators, 2), states(generators)


def test_a_world_that_was_not_trained_for_it_refuses(new_memory: MakeMemory) -> None:
    with pytest.raises(ValueError, match=r"'retrieval' shows 2 frames again, this world reads 0.*--task.recalled"):
        new_memory(rule="retrieval")


@pytest.mark.parametrize("rule", ["retrieval", "episodic"])
def test_without_frames_nothing_is_read(
    reader: MaskedVideoDiffusion, new_memory: MakeMemory, frames: Frames, rule: str
) -> None:
    context, actions = asked(frames, 2)
    plain, noise = answers(reader, None, context, actions)
    read, drawn = answers(reader, new_memory(2, rule=rule, recalled=2), context, actions)
    torch.testing.assert_close(read, plain)
    assert torch.equal(noise, drawn)


def test_kept_frames_take_the_place_of_older_context(
    reader: MaskedVideoDiffusion, new_memory: MakeMemory, frames: Frames, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = new_memory(2, rule="retrieval", **ANY)
    seen, led = frames(2, 12)
    memory.append(seen, led)
    context, actions = asked(frames, 2)
    plain, noise = answers(reader, None, context, actions)
    shown = []
    original = type(reader).generate

    def spy(self, given, with_actions, *rest, **named):
        shown.append((given, with_actions))
        return original(self, given, with_actions, *rest, **named)

    monkeypatch.setattr(type(reader), "generate", spy)
    before = memory.snapshot()
    read, drawn = answers(reader, memory, context, actions)
    assert torch.equal(noise, drawn), "as many draws as without a memory"
    assert memory.snapshot().bank is before.bank, "reading writes nothing"
    (first, _), (second, null) = shown
    assert torch.equal(first, context)
    assert torch.equal(second[:, 2:], context[:, 2:])
    assert (null["move"][:, :2] == -1).all()
    assert torch.equal(null["move"][:, 2:], actions["move"][:, 2:])
    half = seen.half().float()
    for episode in range(2):
        for slot in range(2):
            likeness = torch.cosine_similarity(plain[episode, slot].flatten(), half[episode].flatten(1), dim=1)
            known = torch.stack(
                [torch.cosine_similarity(c.flatten(), half[episode].flatten(1), dim=1) for c in context[episode, 2:]]
            ).amax(0)
            allowed = torch.where(known > likeness, -1.0, likeness)
            if slot:
                allowed[torch.tensor([torch.equal(f, second[episode, 0]) for f in half[episode]])] = -1
            assert torch.equal(second[episode, slot], half[episode, allowed.argmax()])
    assert not torch.allclose(read, plain)


def test_an_episode_that_kept_too_little_is_as_without(
    reader: MaskedVideoDiffusion, new_memory: MakeMemory, frames: Frames
) -> None:
    memory = new_memory(2, rule="retrieval", **ANY)
    seen, led = frames(2, 12)
    memory.append(seen, led)
    memory.reset([1])
    context, actions = asked(frames, 2)
    plain, _ = answers(reader, None, context, actions)
    read, _ = answers(reader, memory, context, actions)
    assert torch.equal(read[1], plain[1])
    assert not torch.allclose(read[0], plain[0])


def test_what_looks_like_nothing_is_not_asked_for(
    reader: MaskedVideoDiffusion, new_memory: MakeMemory, frames: Frames
) -> None:
    memory = new_memory(2, rule="retrieval", alike=1.0, recall_chunk=None)
    memory.append(*frames(2, 12))
    context, actions = asked(frames, 2)
    plain, noise = answers(reader, None, context, actions)
    read, drawn = answers(reader, memory, context, actions)
    assert torch.equal(read, plain)
    assert torch.equal(noise, drawn)


def test_a_chunk_may_be_made_in_pieces_with_a_look_for_each(
    reader: MaskedVideoDiffusion, new_memory: MakeMemory, frames: Frames
) -> None:
    memory = new_memory(2, rule="retrieval", alike=-1.0, recall_chunk=3)
    seen, led = frames(2, 12)
    memory.append(seen, led)
    context, actions = asked(frames, 2)
    both, _ = answers(reader, memory, context, actions, CHUNK)
    generators = [episode_generator(7, row) for row in range(2)]
    first = select_actions(actions, (slice(None), slice(0, CONTEXT + 3)))
    one = generate(reader, memory, context, first, 3, generators, 2)
    on = torch.cat([context, one], 1)[:, -CONTEXT:]
    second = select_actions(actions, (slice(None), slice(3, CONTEXT + CHUNK)))
    two = generate(reader, memory, on, second, 1, generators, 2)
    assert torch.equal(both, torch.cat([one, two], 1))


def test_episodes_and_candidates_read_their_own(
    reader: MaskedVideoDiffusion, new_memory: MakeMemory, frames: Frames
) -> None:
    both = new_memory(2, rule="episodic", steps=1, recalled=2, **ANY)
    seen, led = frames(2, 9)
    both.append(seen, led)
    context, actions = asked(frames, 2, each=3)
    together, _ = answers(reader, both, context, actions)
    for episode in range(2):
        rows = slice(3 * episode, 3 * episode + 3)
        generators = [episode_generator(7, row) for row in range(3 * episode, 3 * episode + 3)]
        own = generate(reader, both, context[rows], select_actions(actions, rows), CHUNK, generators, 2, [episode])
        torch.testing.assert_close(own, together[rows], atol=1e-4, rtol=1e-4)


def test_a_snapshot_brings_kept_frames_back(
    reader: MaskedVideoDiffusion, new_memory: MakeMemory, frames: Frames, tmp_path: Path
) -> None:
    memory = new_memory(2, rule="retrieval", **ANY)
    seen, led = frames(2, 12)
    memory.append(seen[:, :8], select_actions(led, (slice(None), slice(0, 8))))
    context, actions = asked(frames, 2)
    then, _ = answers(reader, memory, context, actions)
    moment = memory.snapshot()
    memory.save_state(tmp_path)
    memory.append(seen[:, 8:], select_actions(led, (slice(None), slice(8, 12))))
    memory.restore(moment)
    assert torch.equal(answers(reader, memory, context, actions)[0], then)
    other = new_memory(2, rule="retrieval", **ANY)
    other.load_state(tmp_path)
    assert torch.equal(answers(reader, other, context, actions)[0], then)


def test_retrieval_alone_learns_nothing_and_reads_no_adapter(
    reader: MaskedVideoDiffusion, new_memory: MakeMemory, frames: Frames, tmp_path: Path
) -> None:
    memory = new_memory(1, rule="retrieval")
    rows = memory.snapshot().rows
    learned = memory.append(*frames(1, 12))
    assert learned["updates"].tolist() == [0]
    assert memory.snapshot().rows is rows
    new_memory(1).save(tmp_path, episode=0)
    with pytest.raises(ValueError, match="'retrieval' learns in 0 steps"):
        memory.load(tmp_path, episode=0)
