"""Episodes in one memory: phases, reading, resets and snapshots, each exactly independent of the neighbours."""

from __future__ import annotations

import pytest
import torch


def part(frames, start: int, stop: int, episode: int = 0) -> tuple:
    latents, actions = frames(1, stop, start=episode)
    return latents[:, start:], {name: tensor[:, start:] for name, tensor in actions.items()}


def test_first_update_comes_after_one_frame_and_a_chunk_then_after_each_chunk(new_memory, frames) -> None:
    memory = new_memory()
    updates = []
    for frame in range(14):
        stats = memory.append(*part(frames, frame, frame + 1))
        updates.append(int(stats["updates"]))
        assert bool(stats["loss_first"].isnan()) == (updates[-1] == 0)
    assert [frame for frame, count in enumerate(updates) if count] == [4, 8, 12]
    assert memory.frames_pending.tolist() == [1]


def test_windows_grow_from_one_frame_of_prefix_to_the_full_context(slow, new_memory, frames, monkeypatch) -> None:
    seen = []
    loss = slow.loss
    monkeypatch.setattr(slow, "loss", lambda w, g, **named: seen.append((w.latents, w.prefix)) or loss(w, g, **named))
    latents, actions = frames(1, 13)
    new_memory(rule="ancestor", steps=1).append(latents, actions)
    assert [(window.shape[1], prefix) for window, prefix in seen] == [(5, 1), (8, 4), (8, 4)]
    for (window, _), (start, stop) in zip(seen, [(0, 5), (1, 9), (5, 13)], strict=True):
        assert torch.equal(window, latents[:, start:stop])


def test_how_frames_are_handed_over_does_not_matter(new_memory, frames) -> None:
    whole, pieces = new_memory(), new_memory()
    whole.append(*frames(1, 14))
    for start, stop in [(0, 1), (1, 7), (7, 8), (8, 14)]:
        pieces.append(*part(frames, start, stop))
    assert torch.equal(whole.snapshot().rows, pieces.snapshot().rows)


def test_every_sets_the_frames_between_updates(new_memory, frames) -> None:
    stats = new_memory(every=2).append(*frames(1, 9))
    assert stats["updates"].tolist() == [4]


def test_dreamed_frames_may_be_learned_in_fewer_steps_or_not_at_all(new_memory, frames) -> None:
    plain, fewer, never = (new_memory(steps=3, dreamed_steps=steps) for steps in (None, 1, 0))
    for memory in (plain, fewer, never):
        memory.append(*part(frames, 0, 5))  # observed
    assert [int(memory.steps) for memory in (plain, fewer, never)] == [3, 3, 3]
    told = [memory.append(*part(frames, 5, 9), dreamed=True) for memory in (plain, fewer, never)]
    assert [int(memory.steps) for memory in (plain, fewer, never)] == [6, 4, 3]
    assert [int(stats["updates"]) for stats in told] == [1, 1, 0]
    assert told[2]["loss_last"].isnan().all()
    never.append(*part(frames, 9, 13))  # the rhythm went on
    assert int(never.steps) == 6
    with pytest.raises(ValueError, match="dreamed_steps is at least 0"):
        new_memory(dreamed_steps=-1)


def test_episodes_keep_their_own_phase(new_memory, frames) -> None:
    memory = new_memory(2)
    memory.append(*part(frames, 0, 3), episodes=[0])
    first = memory.append(*frames(2, 4), episodes=[0, 1])
    assert first["updates"].tolist() == [1, 0]
    second = memory.append(*frames(2, 2), episodes=torch.tensor([True, True]))
    assert second["updates"].tolist() == [1, 1]
    assert memory.frames_pending.tolist() == [0, 1]


def test_after_a_cut_no_window_spans_it_and_what_was_learned_stays(slow, new_memory, frames, monkeypatch) -> None:
    memory = new_memory(2, replay=1)
    memory.append(*frames(2, 9))
    rows = memory.snapshot().rows
    memory.cut([0])
    assert torch.equal(memory.snapshot().rows, rows)
    seen = []
    loss = slow.loss
    monkeypatch.setattr(
        slow, "loss", lambda w, g, **named: seen.append(tuple(w.latents.shape[:2])) or loss(w, g, **named)
    )
    assert memory.append(*frames(2, 5))["updates"].tolist() == [1, 1]
    assert seen == [(1, 8), (1, 5)]  # episode 1 goes on after four frames, episode 0 begins again after five


def test_reading_changes_nothing(slow, new_memory, frames, predict, memory_digest, weights_digest) -> None:
    memory = new_memory(2)
    memory.append(*frames(2, 6))
    before = memory_digest(memory), weights_digest()
    latents, actions = frames(2, 8)
    with memory.attached():
        slow.generate(latents[:, :4], actions, 4, [torch.Generator().manual_seed(e) for e in range(2)], steps=2)
        predict(4)
    assert (memory_digest(memory), weights_digest()) == before


def test_reading_some_episodes_reads_theirs(new_memory, frames, predict) -> None:
    memory = new_memory(3, steps=3)
    memory.append(*frames(3, 5))
    with memory.attached(episodes=[2, 0]):
        chosen = predict(4)
    for position, episode in enumerate([2, 0]):
        with memory.attached(episodes=torch.tensor([episode])):
            alone = predict(4)
        half = slice(2 * position, 2 * position + 2)
        torch.testing.assert_close(chosen[half], alone[half], rtol=1e-4, atol=1e-5)


def test_frames_are_refused_while_the_memory_is_read(new_memory, frames) -> None:
    memory = new_memory()
    with memory.attached(), pytest.raises(RuntimeError, match="leave"):
        memory.append(*frames(1, 1))


def test_reset_gives_back_the_original_function_exactly(new_memory, frames, predict) -> None:
    memory = new_memory(2, steps=2)
    plain = predict(2)
    memory.append(*frames(2, 9))
    with memory.attached():
        assert not torch.equal(predict(2), plain)
    memory.reset(torch.tensor([True, True]))
    with memory.attached():
        assert torch.equal(predict(2), plain)
    assert memory.steps.tolist() == [0, 0]


def test_a_reset_leaves_the_neighbours_alone_and_does_not_depend_on_them(new_memory, frames) -> None:
    busy, idle = new_memory(3), new_memory(3)
    busy.append(*frames(3, 9))
    before = busy.snapshot()
    busy.reset([1])
    idle.reset([1])
    after, fresh = busy.snapshot(), idle.snapshot()
    assert torch.equal(after.rows[[0, 2]], before.rows[[0, 2]])
    assert torch.equal(after.random[[0, 2]], before.random[[0, 2]])
    assert torch.equal(after.rows[1], fresh.rows[1])
    assert torch.equal(after.random[1], fresh.random[1])
    assert busy.frames_pending.tolist() == [0, 0, 0]
    # Its next life is another draw than the first one.
    assert not torch.equal(fresh.rows[1], new_memory(3).snapshot().rows[1])


def test_what_an_episode_draws_does_not_depend_on_how_many_there_are(new_memory) -> None:
    many, few = new_memory(5, seed=3).snapshot(), new_memory(2, seed=3).snapshot()
    assert torch.equal(many.rows[:2], few.rows)
    assert torch.equal(many.random[:2], few.random)
    assert len(many.rows.unique(dim=0)) == 5


def test_after_a_reset_nothing_of_the_old_episode_is_learned(slow, new_memory, frames, monkeypatch) -> None:
    memory = new_memory(2, replay=4, steps=4)
    memory.append(*frames(2, 17))
    memory.reset([0])
    seen = []
    loss = slow.loss
    monkeypatch.setattr(slow, "loss", lambda w, g, **named: seen.append(w.latents) or loss(w, g, **named))
    latents, actions = frames(1, 9, start=7)
    memory.append(latents, actions, episodes=[0])
    assert all(any(torch.equal(w[0], latents[0, s : s + w.shape[1]]) for s in range(9)) for w in seen)


def test_restore_repeats_the_same_bits(new_memory, frames, memory_digest) -> None:
    memory = new_memory(2, replay=2, steps=2)
    memory.append(*frames(2, 15))
    snapshot, before = memory.snapshot(), memory_digest(memory)
    ends = []
    for _ in range(2):
        memory.restore(snapshot)
        assert memory_digest(memory) == before
        memory.append(*frames(2, 9))
        memory.reset([1])
        ends.append(memory_digest(memory))
    assert ends[0] == ends[1] != before


def test_a_snapshot_shares_its_tensors(new_memory, frames) -> None:
    memory = new_memory(2)
    memory.append(*frames(2, 5))
    first, second = memory.snapshot(), memory.snapshot()
    assert first.rows.data_ptr() == second.rows.data_ptr()
    assert first.adam.second.data_ptr() == second.adam.second.data_ptr()


def test_frames_and_episodes_that_do_not_fit_are_refused(new_memory, frames) -> None:
    memory = new_memory(2)
    latents, actions = frames(2, 2)
    with pytest.raises(ValueError, match="twice"):
        memory.append(latents, actions, episodes=[1, 1])
    with pytest.raises(ValueError, match=r"0\.\.1"):
        memory.append(latents, actions, episodes=[0, 2])
    with pytest.raises(ValueError, match="need latents"):
        memory.append(latents[:1], actions)
    with pytest.raises(ValueError, match="move"):
        memory.append(latents, {**actions, "move": actions["move"][:, :1]})
    memory.append(latents, actions)
    with pytest.raises(ValueError, match="do not continue"):
        memory.append(latents[..., :2], actions)
    with pytest.raises(ValueError, match="this memory"):
        memory.restore(new_memory(3).snapshot())
