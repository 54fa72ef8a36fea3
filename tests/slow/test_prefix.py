"""A prefix that layers along time keep: the new frames alone then give what the whole window gives."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from slowfast.slow.config import MaskedDiffusionConfig, SamplingConfig
from slowfast.slow.prefix import KeptPrefix
from slowfast.slow.windows import select_actions

SPLITS = ((1, 1), (1, 4), (4, 1), (3, 3), (6, 2))
every_split = pytest.mark.parametrize(("prefix", "new"), SPLITS)


@every_split
@torch.no_grad()
def test_new_frames_alone_give_what_the_whole_window_gives(learner: Any, windows: Any, prefix: int, new: int) -> None:
    slow, batch = learner(), windows(2, prefix, new)
    level = torch.full((2, prefix + new), 300.0)
    level[:, :prefix] = -1
    kept = KeptPrefix(prefix)
    whole = slow.predict(batch.latents, level, batch.actions)
    torch.testing.assert_close(slow.predict(batch.latents, level, batch.actions, kept), whole, rtol=0, atol=0)
    arguments = (
        batch.latents[:, prefix:],
        level[:, prefix:],
        select_actions(batch.actions, (slice(None), slice(prefix, None))),
    )
    for _ in range(2):  # what is kept may be read again
        torch.testing.assert_close(slow.predict(*arguments, kept), whole[:, prefix:], rtol=1e-4, atol=1e-5)
    assert (slow.predict(*arguments) - whole[:, prefix:]).abs().max() > 0.01  # without it the new frames stand alone


@every_split
def test_later_steps_run_the_new_frames_alone(
    learner: Any, windows: Any, generators: Any, recorded: Any, prefix: int, new: int
) -> None:
    batch, slow = windows(2, prefix, new), learner(keep_prefix=True)
    kept = slow.generate(batch.latents[:, :prefix], batch.actions, new, generators(2), steps=3)
    assert [call["sample"].shape[1] for call in recorded] == [prefix + new, new, new]
    full = learner().generate(batch.latents[:, :prefix], batch.actions, new, generators(2), steps=3)
    assert 0 < (kept - full).square().mean() < 0.05 * full.square().mean()
    one = [s.generate(batch.latents[:, :prefix], batch.actions, new, generators(2), steps=1) for s in (slow, learner())]
    assert torch.equal(*one)


def test_windows_without_a_prefix_have_nothing_to_keep(learner: Any, windows: Any, generators: Any) -> None:
    batch = windows(2, 0, 4)
    made = [
        slow.generate(batch.latents[:, :0], batch.actions, 4, generators(2), steps=2)
        for slow in (learner(keep_prefix=True), learner())
    ]
    assert torch.equal(*made)


def test_guidance_keeps_both_of_its_prefixes(learner: Any, windows: Any, generators: Any, recorded: Any) -> None:
    batch, slow = windows(2, 4, 1), learner(keep_prefix=True)
    made = slow.generate(batch.latents[:, :4], batch.actions, 1, generators(2), steps=2, guidance=2.0)
    assert [tuple(call["sample"].shape[:2]) for call in recorded] == [(4, 5), (4, 1)]
    alone = slow.generate(
        batch.latents[1:, :4], select_actions(batch.actions, slice(1, None)), 1, generators(1, 1), steps=2, guidance=2.0
    )
    torch.testing.assert_close(made[1:], alone, rtol=1e-4, atol=1e-4)


def test_setting_is_saved_and_needs_timesteps_of_its_own(learner: Any) -> None:
    slow = learner()
    slow.set_sampling(SamplingConfig(keep_prefix=True))
    assert slow.config.keep_prefix
    slow.set_sampling(SamplingConfig(steps=3))
    assert slow.config.keep_prefix
    with pytest.raises(ValueError, match="keep_prefix"):
        MaskedDiffusionConfig(keep_prefix=True, prefix_timestep="shared")
    with pytest.raises(ValueError, match="roll_prefix"):
        learner(prefix_timestep="shared").set_sampling(SamplingConfig(roll_prefix=True))
    with pytest.raises(ValueError, match="roll_prefix needs context_noise=0"):
        learner(context_noise=0.1).set_sampling(SamplingConfig(roll_prefix=True))


@torch.no_grad()
def test_a_frame_enters_as_if_it_had_been_there(learner: Any, windows: Any) -> None:
    slow, batch, level = learner(), windows(2, 4, 1), torch.tensor([[-1.0, -1, -1, -1, 300]] * 2)
    whole = slow.predict(batch.latents, level, batch.actions, complete := KeptPrefix(4))
    slow.predict(batch.latents, level, batch.actions, before := KeptPrefix(3))  # without the fourth frame
    assert len(before.tensors) == len(complete.tensors) > 4
    kept = KeptPrefix(4, [_with_an_oldest(*pair) for pair in zip(before.tensors, complete.tensors, strict=True)])
    kept.enter(1)
    part = (slice(None), slice(3, None))
    made = slow.predict(batch.latents[part], level[part], select_actions(batch.actions, part), kept)
    torch.testing.assert_close(made, whole[part], rtol=1e-4, atol=1e-5)
    for own, other in zip(kept.tensors, complete.tensors, strict=True):
        torch.testing.assert_close(own, other, rtol=1e-4, atol=1e-5)
    part = (slice(None), slice(4, None))  # and is there from then on
    made = slow.predict(batch.latents[part], level[part], select_actions(batch.actions, part), kept)
    torch.testing.assert_close(made, whole[part], rtol=1e-4, atol=1e-5)


def _with_an_oldest(tensor: torch.Tensor, longer: torch.Tensor) -> torch.Tensor:
    """``tensor`` with a frame before its first, which will have left; as it is where no other frames are kept."""
    axes = [axis for axis in range(tensor.ndim) if tensor.shape[axis] != longer.shape[axis]]
    return torch.cat([torch.full_like(tensor.narrow(axes[0], 0, 1), 9), tensor], axes[0]) if axes else tensor


def test_something_has_to_stay_where_frames_enter() -> None:
    for frames in (0, 4):
        with pytest.raises(ValueError, match="1 to 3"):
            KeptPrefix(4).enter(frames)
