"""A walk that was seen, played backwards: frames in reverse, the actions that are read of them, nothing else."""

from __future__ import annotations

import pytest
import torch

from slowfast.actions import ActionSpec, Continuous, Discrete, Keyboard, Language
from slowfast.fast import EpisodicMemory, memory_rule
from slowfast.fast.retracing import retraced, undoing
from slowfast.heads.inverse_dynamics import InverseDynamics, InverseDynamicsConfig
from slowfast.slow.build import SchedulerConfig, UNetConfig, create
from slowfast.slow.masked_diffusion import MaskedDiffusionConfig, MaskedVideoDiffusion
from slowfast.slow.windows import Windows
from tests.fast.conftest import CHANNELS, CHUNK, CONTEXT, build_slow_learner

SPEC = ActionSpec(
    (
        Discrete("move", ("left", "right", "stay")),
        Continuous("push", (-1.0, -1.0), (1.0, 1.0)),
        Keyboard("keys", ("a", "b")),
        Language("text", describes="move"),
    )
)


@pytest.fixture(scope="module")
def mixed() -> MaskedVideoDiffusion:
    torch.manual_seed(0)
    unet = UNetConfig(widths=(16, 32), head_size=8, norm_groups=4, text_width=16)
    return create(SPEC, CHANNELS, unet, SchedulerConfig(), MaskedDiffusionConfig(window=CONTEXT + CHUNK)).eval()


@pytest.fixture(scope="module")
def reader() -> InverseDynamics:
    torch.manual_seed(1)
    axes = {"middle": {"push": (0.0, 0.0)}, "spread": {"push": (1.0, 1.0)}}
    return InverseDynamics(InverseDynamicsConfig(CHANNELS, SPEC, width=8, **axes)).eval()


def seen(slow: MaskedVideoDiffusion, frames: int = 8, prefix: int = 4) -> Windows:
    """Two windows whose actions name moves alone, of the second also the push of its third step."""
    actions = slow.null_actions(2, frames)
    actions["move"] = torch.arange(frames).remainder(3).expand(2, -1).clone()
    actions["push"][1, 3] = 0.5
    latents = torch.randn(2, frames, CHANNELS, 4, 4, generator=torch.Generator().manual_seed(2))
    return Windows(latents, actions, prefix)


def test_steps_show_a_window_as_it_is_backwards_and_turned_round(mixed, reader) -> None:
    windows = seen(mixed)
    frames, undone = windows.latents, undoing(windows, mixed, reader)
    forth, back, turned = (retraced(windows, step, mixed, reader) for step in (3, 4, 5))
    assert forth is windows
    torch.testing.assert_close(back.latents, frames[:, [7, 6, 5, 4, 3, 2, 1, 0]])
    assert (back.actions["move"][:, 0] == -1).all()  # nobody knows how the way back began
    torch.testing.assert_close(back.actions["move"][:, 1:], undone["move"])
    torch.testing.assert_close(turned.latents, frames[:, [4, 5, 6, 7, 6, 5, 4, 3]])
    torch.testing.assert_close(turned.actions["move"][:, :4], windows.actions["move"][:, 4:])
    torch.testing.assert_close(turned.actions["move"][:, 4:], undone["move"][:, :4])
    assert back.prefix == turned.prefix == 4


def test_the_first_windows_of_an_episode_turn_round_too(mixed, reader) -> None:
    turned = retraced(seen(mixed, frames=5, prefix=1), 2, mixed, reader)
    assert turned.latents.shape[1] == 5
    torch.testing.assert_close(turned.latents, seen(mixed, frames=5, prefix=1).latents.flip(1))


def test_actions_are_read_where_they_were_known_and_missing_where_they_were_not(mixed, reader) -> None:
    windows = seen(mixed)
    undone, read = undoing(windows, mixed, reader), reader.read(windows.latents.flip(1))
    assert undone["move"].tolist() == read["move"].tolist()
    known = torch.isfinite(undone["push"]).all(-1)
    assert known.nonzero().tolist() == [[1, 7 - 3]]  # the step into frame 3 is undone fifth
    torch.testing.assert_close(undone["push"][1, 4], torch.from_numpy(read["push"][1, 4]))
    assert (undone["keys"] == -1).all()
    assert torch.equal(undone["text"], mixed.null_actions(2, 7)["text"])


def test_a_memory_learns_the_way_back_if_its_rule_says_so() -> None:
    slow = build_slow_learner()
    reader = InverseDynamics(InverseDynamicsConfig(CHANNELS, slow.actions.spec, width=8)).eval()
    with pytest.raises(ValueError, match="slowfast train inverse-dynamics"):
        EpisodicMemory(slow, memory_rule("ancestor", retrace=True), 1, 0, CONTEXT, CHUNK, "base")
    latents = torch.randn(1, 5, CHANNELS, 4, 4, generator=torch.Generator().manual_seed(0))
    learned = []
    for retrace in (False, True):
        rule = memory_rule("ancestor", retrace=retrace, steps=2, rank=4, learning_rate=1e-2)
        memory = EpisodicMemory(slow, rule, 1, 0, CONTEXT, CHUNK, "base", inverse=reader)
        memory.append(latents, slow.null_actions(1, 5))
        learned.append(memory.snapshot().rows)
    assert not torch.allclose(*learned)
    assert "retrace" not in memory_rule("ancestor").settings()  # what an earlier version wrote is still the same
