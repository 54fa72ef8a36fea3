"""The windows of an episode that are kept: bounded, even over time, drawn by its own generator."""

from __future__ import annotations

import torch

from slowfast.fast.replay import Replay, Stream
from slowfast.slow.windows import Windows


def numbered(value: int) -> Windows:
    """One window whose every number is ``value``."""
    return Windows(torch.full((1, 3, 1, 1, 1), float(value)), {"move": torch.full((1, 3), value)}, 1)


def offered(slots: int, count: int, seed: int) -> Replay:
    first = numbered(0)
    replay = Replay.empty(slots, Stream.empty(2, 3, first.latents, first.actions))
    generator = torch.Generator().manual_seed(seed)
    for value in range(count):
        replay = replay.offer(torch.tensor([1]), numbered(value), [generator])
    return replay


def test_kept_windows_are_an_even_sample_of_a_long_episode() -> None:
    kept = torch.cat([offered(4, 40, seed).latents[1, :, 0, 0, 0, 0] for seed in range(200)])
    thirds = torch.histc(kept, 4, 0, 40) / len(kept)
    assert (thirds - 0.25).abs().max() < 0.06


def test_actions_stay_with_their_frames_and_neighbours_stay_empty() -> None:
    replay = offered(4, 9, 0)
    assert torch.equal(replay.actions["move"].float(), replay.latents.flatten(3)[..., 0])
    assert replay.offered.tolist() == [0, 9]
    assert not replay.latents[0].any()


def test_draws_come_from_what_is_kept_and_the_newest_alike() -> None:
    replay = offered(4, 2, 0)
    newest = Windows(torch.full((2, 2, 1, 1, 1), 7.0), {"move": torch.full((2, 2), 7)}, 1)
    candidates = replay.candidates(torch.tensor([0, 1]), newest)
    generators = [torch.Generator().manual_seed(seed) for seed in range(2)]
    untouched = generators[0].get_state()
    picks = candidates.draw(50, 3, generators)
    assert torch.equal(generators[0].get_state(), untouched)  # episode 0 has kept nothing: no choice, no draw
    values = [candidates.windows(step).latents.reshape(2, 3, 2) for step in picks]
    assert {float(v) for window in values for v in window[0].flatten()} == {7.0}
    assert {float(v) for window in values for v in window[1].flatten()} == {0.0, 1.0, 7.0}


def test_no_slots_keep_nothing_and_draw_nothing() -> None:
    generator = torch.Generator().manual_seed(0)
    before = generator.get_state()
    replay = offered(0, 1, 0).offer(torch.tensor([1]), numbered(1), [generator])
    assert torch.equal(generator.get_state(), before)
    assert replay.latents.numel() == 0
