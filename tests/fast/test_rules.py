"""What each rule learns: which frames count, and whether actions are seen."""

from __future__ import annotations

import json

import pytest
import torch

from slowfast.fast import MemoryRule, memory_rule
from slowfast.slow.windows import Windows

PREFIX = 3


def loss(slow, rule: str, latents, actions) -> torch.Tensor:
    windows = memory_rule(rule).windows(Windows(latents, actions, PREFIX), slow)
    with torch.no_grad():
        return slow.loss(windows, [torch.Generator().manual_seed(5)])


def gradient_by_frame(slow, rule: str, latents, actions) -> torch.Tensor:
    """How much the loss depends on the network's prediction for each frame, ``[F]``."""
    seen = []

    def keep(module, inputs, output) -> tuple[torch.Tensor]:
        seen.append(output[0].detach().requires_grad_())
        return (seen[-1],)

    handle = slow.unet.register_forward_hook(keep)
    try:
        windows = memory_rule(rule).windows(Windows(latents, actions, PREFIX), slow)
        slow.loss(windows, [torch.Generator().manual_seed(5)]).sum().backward()
    finally:
        handle.remove()
    return seen[0].grad.abs().sum((0, 1, 3, 4))


def test_paper_learns_all_frames_and_ancestor_the_new_ones(slow, frames) -> None:
    latents, actions = frames(1, 8)
    assert (gradient_by_frame(slow, "paper", latents, actions) > 0).all()
    by_frame = gradient_by_frame(slow, "ancestor", latents, actions)
    assert not by_frame[:PREFIX].any()
    assert (by_frame[PREFIX:] > 0).all()


def test_paper_puts_noise_on_the_prefix_and_ancestor_keeps_it_clean(slow, frames, monkeypatch) -> None:
    latents, actions = frames(1, 8)
    shown = []
    predict = slow.predict
    monkeypatch.setattr(slow, "predict", lambda sample, *rest: shown.append(sample) or predict(sample, *rest))
    loss(slow, "paper", latents, actions)
    loss(slow, "ancestor", latents, actions)
    assert (shown[0] != latents).flatten(2).all(-1).all()
    assert torch.equal(shown[1][:, :PREFIX], latents[:, :PREFIX])


def test_action_and_text_say_nothing_to_paper_and_something_to_ancestor(slow, frames) -> None:
    latents, actions = frames(1, 8)
    other = slow.actions.tensors(slow.actions.spec.columns([["turn left"] * 8]))
    other["move"] = (actions["move"] + 1) % 4
    assert torch.equal(loss(slow, "paper", latents, actions), loss(slow, "paper", latents, other))
    assert not torch.equal(loss(slow, "ancestor", latents, actions), loss(slow, "ancestor", latents, other))


def test_episodic_learns_every_frame_but_the_first_as_an_answer(slow, frames) -> None:
    latents, actions = frames(1, 8)
    rule, windows = memory_rule("episodic"), Windows(latents, actions, PREFIX)
    assert [rule.windows(windows, slow, step).prefix for step in range(4)] == [PREFIX, 1, PREFIX, 1]
    assert torch.equal(rule.windows(windows, slow, 1).latents, latents)


def test_imprint_learns_a_view_after_prefixes_of_every_length(slow, frames) -> None:
    latents, actions = frames(1, 8)
    rule, windows = memory_rule("imprint"), Windows(latents, actions, 4)
    shown = [rule.windows(windows, slow, step) for step in range(8)]
    assert [(window.prefix, window.latents.shape[1]) for window in shown[:4]] == [(4, 8), (1, 8), (2, 6), (3, 7)]
    first, last = shown[2], shown[6]
    assert torch.equal(first.latents, latents[:, :6])
    assert torch.equal(last.latents, latents[:, 2:])
    assert torch.equal(last.actions["move"], actions["move"][:, 2:])


def test_imprint_takes_the_window_that_an_episode_begins_with(slow, frames) -> None:
    latents, actions = frames(1, 5)
    rule, windows = memory_rule("imprint"), Windows(latents, actions, 1)
    assert all(torch.equal(rule.windows(windows, slow, step).latents, latents) for step in range(3))


def test_a_rate_may_fall_over_an_update() -> None:
    falling, even = (memory_rule("imprint", steps=4, learning_rate=1.0, anneal=anneal) for anneal in (True, False))
    assert [falling.rate_at(step) for step in range(4)] == [1.0, 0.75, 0.5, 0.25]
    assert [even.rate_at(step) for step in range(4)] == [1.0] * 4


def test_what_is_solved_for_has_no_steps_to_anneal() -> None:
    for rule in ("readout", "associative"):
        with pytest.raises(ValueError, match="takes none: choose anneal: false"):
            memory_rule(rule, anneal=True)


def test_a_rule_may_draw_noise_levels_of_its_own(slow, frames) -> None:
    latents, actions = frames(1, 8)
    windows = Windows(latents, actions, PREFIX)
    losses = [
        float(slow.loss(windows, [torch.Generator().manual_seed(5)], shift=shift).detach())
        for shift in (None, 1.0, 5.0)
    ]
    assert losses[0] == losses[1] != losses[2]
    with pytest.raises(ValueError, match="shift is above 0"):
        memory_rule("ancestor", shift=0.0)
    with pytest.raises(ValueError, match="levels 'sampled'"):
        memory_rule("ancestor", shift=2.0, levels="sampled")
    with pytest.raises(ValueError, match="levels are trained, sampled, start, got 'all'"):
        memory_rule("ancestor", levels="all")


def test_rules_carry_their_own_defaults_and_take_overrides() -> None:
    assert memory_rule("paper") == MemoryRule("paper", steps=1, learning_rate=1e-4, rank=32, layers="attention")
    assert memory_rule("paper").scaled_by == 32
    ancestor = memory_rule("ancestor", steps=7)
    assert (ancestor.steps, ancestor.rank, ancestor.clip, ancestor.learning_rate) == (7, 64, 1.0, 5e-5)


def test_what_is_not_known_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"'papr'.*paper, ancestor, episodic"):
        memory_rule("papr")
    with pytest.raises(ValueError, match=r"'stepz'.*steps"):
        memory_rule("paper", stepz=2)
    with pytest.raises(ValueError, match="steps is at least 0, got -1"):
        memory_rule("paper", steps=-1)


def test_what_an_earlier_version_wrote_of_a_rule_is_still_that_rule() -> None:
    """Files hold rules: settings that came later are at their defaults where they are not said, and left out there."""
    rule = memory_rule("ancestor", steps=7)
    written = json.loads(json.dumps(rule.settings()))
    assert not {"optimiser", "damping", "start"} & written.keys()
    assert MemoryRule(**written) == rule
    changed = memory_rule("ancestor", optimiser="momentum", start="learned")
    assert {"optimiser": "momentum", "start": "learned"}.items() <= changed.settings().items()
    assert MemoryRule(**json.loads(json.dumps(changed.settings()))) == changed
