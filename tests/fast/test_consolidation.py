"""Weights decay towards a slow copy of themselves, where a rule keeps one."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from slowfast.fast import memory_rule

SETTLING = {"rule": "ancestor", "steps": 1, "weight_decay": 5.0, "consolidate": 0.25}


def test_the_copy_follows_update_by_update(new_memory, frames) -> None:
    memory = new_memory(2, **SETTLING)
    first = memory.snapshot()
    assert torch.equal(first.settled, first.rows)
    memory.append(*frames(2, 5))
    then = memory.snapshot()
    torch.testing.assert_close(then.settled, torch.lerp(first.settled, then.rows, 0.25))
    assert torch.equal(first.settled, first.rows)  # a snapshot is left alone


def test_weights_decay_to_what_has_settled_and_not_to_nothing(new_memory, frames) -> None:
    plain, settling = (new_memory(1, **{**SETTLING, "consolidate": share}) for share in (0.0, 0.25))
    for memory in (plain, settling):
        memory.append(*frames(1, 5))
    # One step from the same start: the same gradient, the same Adam; the first rows decayed in one of them alone.
    kept = settling.snapshot().rows - plain.snapshot().rows
    torch.testing.assert_close(kept, 1e-2 * 5.0 * new_memory(1).snapshot().rows, rtol=1e-3, atol=1e-6)
    assert plain.snapshot().settled is None


def test_a_reset_and_a_loaded_adapter_settle_anew(new_memory, frames, tmp_path) -> None:
    memory = new_memory(2, **SETTLING)
    memory.append(*frames(2, 9))
    before = memory.snapshot()
    memory.save(tmp_path, episode=0)
    memory.reset([1])
    after = memory.snapshot()
    assert torch.equal(after.settled[1], after.rows[1])
    assert torch.equal(after.settled[0], before.settled[0])
    memory.load(tmp_path, episode=1)
    torch.testing.assert_close(memory.snapshot().settled[1], before.rows[0])


def test_it_is_part_of_what_is_saved(new_memory, frames, memory_digest, tmp_path) -> None:
    memory = new_memory(2, **SETTLING)
    memory.append(*frames(2, 9))
    memory.save_state(tmp_path)
    loaded = new_memory(2, **SETTLING)
    loaded.load_state(tmp_path)
    for each in (memory, loaded):
        each.append(*frames(2, 4))
    assert memory_digest(loaded) == memory_digest(memory)


def test_settings_that_settle_nothing_are_refused() -> None:
    rule = memory_rule("ancestor", weight_decay=1.0, consolidate=0.1)
    assert rule.settings()["consolidate"] == 0.1
    with pytest.raises(ValueError, match=r"consolidate is a share 0 to 1, got 1\.5"):
        replace(rule, consolidate=1.5)
    with pytest.raises(ValueError, match="weight_decay above 0"):
        replace(rule, weight_decay=0.0)
