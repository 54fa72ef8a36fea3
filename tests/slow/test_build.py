"""New slow learners: from a configuration, and from a trained world for other actions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from slowfast.actions import ActionSpec, Continuous, Discrete, Keyboard, Language
from slowfast.conditioning.text import NoText, SmallTextEncoder
from slowfast.slow.build import SchedulerConfig, UNetConfig, create, with_actions
from slowfast.slow.masked_diffusion import MaskedDiffusionConfig, MaskedVideoDiffusion

DRIVE = ActionSpec((Continuous("drive", (-1.0, 0.0), (1.0, 1.0)), Keyboard("keys", ("brake", "horn"))))


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return list(one) == list(other) and all(torch.equal(one[name], other[name]) for name in one)


def test_creation_is_decided_by_the_global_seed(spec: ActionSpec) -> None:
    def make(seed: int) -> dict[str, torch.Tensor]:
        torch.manual_seed(seed)
        unet = UNetConfig(widths=(8, 8), head_size=4, norm_groups=4, text_width=8)
        return create(spec, 2, unet, SchedulerConfig(), MaskedDiffusionConfig()).state_dict()

    assert same(make(0), make(0))
    assert not same(make(0), make(1))


def test_phrases_reach_the_tokenizer(spec: ActionSpec) -> None:
    unet = UNetConfig(widths=(8, 8), head_size=4, norm_groups=4, text_width=8)
    phrase = {"turn left": ("anticlockwise",)}
    slow = create(spec, 2, unet, SchedulerConfig(), MaskedDiffusionConfig(), phrase)
    plain = create(spec, 2, unet, SchedulerConfig(), MaskedDiffusionConfig())
    word = np.array(["anticlockwise"], object)
    assert (slow.actions.text.tokenize(word) != 0).sum() < (plain.actions.text.tokenize(word) != 0).sum()


def test_an_encoder_that_does_not_fit_the_network_is_refused(base: MaskedVideoDiffusion, spec: ActionSpec) -> None:
    small = UNetConfig(widths=(8, 8), head_size=4, norm_groups=4, text_width=16).build(4)
    with pytest.raises(ValueError, match="the action encoder is 64 wide, the UNet takes 32"):
        MaskedVideoDiffusion(small, base.actions, base.noise, base.config)


@pytest.mark.parametrize("target", [DRIVE, ActionSpec((Language("instruction"),))])
def test_new_actions_leave_the_network_as_it_was(base: MaskedVideoDiffusion, target: ActionSpec) -> None:
    before = {name: tensor.clone() for name, tensor in base.state_dict().items()}
    slow = with_actions(base, target)
    assert slow.actions.spec == target
    assert slow.config == base.config
    assert slow.noise is base.noise
    assert same(slow.unet.state_dict(), base.unet.state_dict())
    assert same(before, base.state_dict())
    for part in ("project", "pooled"):
        assert same(getattr(slow.actions, part).state_dict(), getattr(base.actions, part).state_dict())


def test_new_actions_can_be_used_at_once(base: MaskedVideoDiffusion) -> None:
    slow = with_actions(base, DRIVE)
    assert isinstance(slow.actions.text, NoText)
    actions = slow.actions.tensors(DRIVE.columns(np.float32([[[0.5, 1.0]] * 3])))
    made = slow.generate(torch.randn(1, 2, 4, 4, 4), actions, 1, [torch.Generator().manual_seed(0)])
    assert made.isfinite().all()


def test_components_that_did_not_change_keep_what_they_learned(base: MaskedVideoDiffusion, spec: ActionSpec) -> None:
    wider = ActionSpec((Keyboard("keys", ("jump",)), *spec.components))
    slow = with_actions(base, wider)
    for name in ("components.move.weight", *(f"text.{key}" for key in base.actions.text.state_dict())):
        assert torch.equal(slow.actions.state_dict()[name], base.actions.state_dict()[name])
    columns = spec.columns([[0, "turn right", 2]])
    old = base.actions(base.actions.tensors(columns))
    new = slow.actions(slow.actions.tensors(wider.columns(columns)))
    torch.testing.assert_close(new.text, old.text)


def test_a_component_that_changed_starts_anew(base: MaskedVideoDiffusion) -> None:
    other = ActionSpec((Discrete("move", ("left", "right", "up", "down")), Language("text", describes="move")))
    slow = with_actions(base, other)
    assert not torch.equal(slow.actions.components["move"].weight, base.actions.components["move"].weight)
    assert isinstance(slow.actions.text, SmallTextEncoder)
    words = np.array(["left", "right", "up", "down"], object)
    assert ((slow.actions.text.tokenize(words) != 0).sum(1) <= 2).all()


def test_the_same_actions_are_the_same_world(base: MaskedVideoDiffusion, spec: ActionSpec) -> None:
    assert with_actions(base, spec) is base


def test_losses_train_the_network_and_the_encoder(base: MaskedVideoDiffusion, windows: Any, generators: Any) -> None:
    slow = with_actions(base, ActionSpec((Discrete("move", ("turn left", "turn right", "forward", "stay")),)))
    batch = windows(4, 2, 3)
    del batch.actions["text"]
    slow.loss(batch, generators(4)).mean().backward()
    for name, parameter in slow.named_parameters():
        if not name.startswith("actions.pooled"):  # reads language, of which there is none
            assert parameter.grad is not None, name
    base.zero_grad()
