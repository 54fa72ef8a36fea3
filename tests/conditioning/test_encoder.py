"""What an action becomes for the network: every component counts, and every one can be missing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from slowfast.actions import ActionSpec, Columns, Continuous, Discrete, Keyboard, Language
from slowfast.conditioning.encoder import ActionEncoder, ActionEncoderConfig, module_name
from slowfast.conditioning.text import NoText, SmallTextEncoder
from slowfast.conditioning.tokenizer import SentencePieceTokenizer

NAMES = ("move", "motion", "keys", "text")


def full(spec: ActionSpec) -> Columns:
    """One window of two frames with all components given."""
    return spec.columns(
        {
            "move": [[0, 2]],  # the first label is not the null
            "motion": [[[10.0, 4.0, 2.0], [-5.0, 0.0, 7.0]]],
            "keys": [[[1, 0], [0, 0]]],
            "text": [["turn left", "forward"]],
        }
    )


def dropped(columns: Columns, spec: ActionSpec, *names: str) -> Columns:
    return {name: spec[name].null((1, 2)) if name in names else column for name, column in columns.items()}


def test_shapes_are_a_vector_and_tokens_a_frame(encoder: ActionEncoder, spec: ActionSpec) -> None:
    conditions = encoder(encoder.tensors(full(spec)))
    assert conditions.frame.shape == (1, 2, 32)
    assert conditions.text.shape == (1, 2, 8, 16)


@pytest.mark.parametrize("name", NAMES)
def test_each_component_changes_the_vector_and_so_does_its_absence(
    encoder: ActionEncoder, spec: ActionSpec, name: str
) -> None:
    columns = full(spec)
    other = dict(columns) | {name: columns[name][:, ::-1].copy()}
    vectors = [encoder(encoder.tensors(c)).frame for c in (columns, other, dropped(columns, spec, name))]
    for i, one in enumerate(vectors):
        for two in vectors[:i]:
            assert (one - two).abs().amax(-1).min() > 1e-4  # in both frames


@pytest.mark.parametrize("name", NAMES)
def test_the_null_of_each_component_is_learned(encoder: ActionEncoder, spec: ActionSpec, name: str) -> None:
    target = torch.randn(1, 2, 32, generator=torch.Generator().manual_seed(1))
    tensors = encoder.tensors(dropped(full(spec), spec, name))
    (encoder(tensors).frame - target).square().mean().backward()
    if name == "text":
        gradient = encoder.text.embedding.weight.grad[0]  # padding
    elif name == "move":
        gradient = encoder.components["move"].weight.grad[0]
    else:
        gradient = encoder.components[module_name(spec[name])].null.grad
    assert gradient.abs().max() > 0


@pytest.mark.parametrize("name", ["motion", "keys"])
def test_a_dropped_vector_leaves_no_trace_of_its_values(encoder: ActionEncoder, spec: ActionSpec, name: str) -> None:
    for bad in (np.nan, np.inf, -np.inf) if name == "motion" else (-1,):
        columns = full(spec)
        columns[name][..., 0] = bad
        tensors = encoder.tensors(columns)
        without = encoder(encoder.tensors(dropped(full(spec), spec, name))).frame
        assert torch.equal(encoder(tensors).frame, without)
        encoder.zero_grad()
        encoder(tensors).frame.sum().backward()
        assert all(p.grad.isfinite().all() for p in encoder.parameters() if p.grad is not None)


def test_continuous_bounds_map_to_one(encoder: ActionEncoder) -> None:
    seen: list[torch.Tensor] = []
    motion = encoder.components["motion"]
    motion.layers.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    motion(torch.tensor([[[-30.0, 0.0, 5.0], [30.0, 16.0, -5.0], [0.0, 8.0, 0.0]]]))
    assert seen[0].tolist() == [[[-1.0, -1.0, 5.0], [1.0, 1.0, -5.0], [0.0, 0.0, 0.0]]]


def test_frames_are_encoded_independently(encoder: ActionEncoder, spec: ActionSpec) -> None:
    tensors = encoder.tensors(full(spec))
    both = encoder(tensors)
    for k in range(2):
        alone = encoder({name: tensor[:, k : k + 1] for name, tensor in tensors.items()})
        torch.testing.assert_close(alone.frame[:, 0], both.frame[:, k])
        torch.testing.assert_close(alone.text[:, 0], both.text[:, k])


def test_null_is_what_null_columns_become(encoder: ActionEncoder, spec: ActionSpec) -> None:
    null = encoder.null(3, 2)
    assert (null["move"] == -1).all()
    assert null["motion"].isnan().all()
    assert (null["keys"] == -1).all()
    assert (null["text"] == 0).all()
    assert {name: tuple(tensor.shape[:2]) for name, tensor in null.items()} == dict.fromkeys(NAMES, (3, 2))


def test_no_frames_have_no_actions(encoder: ActionEncoder, spec: ActionSpec) -> None:
    tensors = encoder.tensors(spec.null((2, 0)))
    assert tensors["text"].shape == (2, 0, 8)


@pytest.mark.parametrize(
    "components",
    [
        (Discrete("move", ("a", "b")),),
        (Continuous("motion", (0.0,), (1.0,)),),
        (Keyboard("keys", ("up",)),),
        (Discrete("move", ("a", "b")), Continuous("motion", (0.0,), (1.0,))),
    ],
)
def test_a_world_without_words_has_one_learned_token(components: tuple) -> None:
    spec = ActionSpec(components)
    encoder = ActionEncoder(spec, ActionEncoderConfig(8, 4), NoText(4))
    conditions = encoder(encoder.null(2, 3))
    assert conditions.text.shape == (2, 3, 1, 4)
    assert conditions.frame.shape == (2, 3, 8)
    conditions.text.sum().backward()
    assert encoder.text.token.grad.abs().max() > 0


def test_words_alone_are_enough(tokenizer: SentencePieceTokenizer) -> None:
    spec = ActionSpec((Language("text"),))
    encoder = ActionEncoder(spec, ActionEncoderConfig(8, 16), SmallTextEncoder(tokenizer, 16))
    frame, text = encoder(encoder.tensors(spec.columns([["turn left", "turn right", ""]])))
    assert frame.shape == (1, 3, 8)
    assert len(torch.unique(text[0].flatten(1), dim=0)) == 3


@pytest.mark.parametrize("name", ["keys", "items", "training", "half", "arm.yaw", "2d", "links drehen"])
def test_a_component_may_have_any_name(name: str, tmp_path: Path) -> None:
    spec = ActionSpec((Discrete(name, ("a", "b")), Continuous("motion", (0.0,), (1.0,))))
    encoder = ActionEncoder(spec, ActionEncoderConfig(8, 4), NoText(4))
    encoder.save_pretrained(tmp_path)
    again = ActionEncoder.from_pretrained(tmp_path)
    tensors = encoder.tensors(spec.columns({name: [[0, 1]]}))
    assert torch.equal(encoder(tensors).frame, again(tensors).frame)
    assert not torch.equal(*encoder(tensors).frame[0])


def test_two_language_components_are_refused(tokenizer: SentencePieceTokenizer) -> None:
    spec = ActionSpec((Language("one"), Language("two")))
    with pytest.raises(ValueError, match=r"\['one', 'two'\]"):
        ActionEncoder(spec, ActionEncoderConfig(8, 16), SmallTextEncoder(tokenizer, 16))


def test_zero_init_has_no_effect_at_first_but_learns(spec: ActionSpec, tokenizer: SentencePieceTokenizer) -> None:
    encoder = ActionEncoder(spec, ActionEncoderConfig(32, 16, zero_init=True), SmallTextEncoder(tokenizer, 16))
    frame = encoder(encoder.tensors(full(spec))).frame
    assert not frame.any()
    frame.sum().backward()
    assert encoder.project[-1].weight.grad.abs().max() > 0


def test_saving_and_loading_keeps_every_output(encoder: ActionEncoder, spec: ActionSpec, tmp_path: Path) -> None:
    encoder.save_pretrained(tmp_path)
    again = ActionEncoder.from_pretrained(tmp_path).eval()
    assert again.spec == spec
    assert again.config == encoder.config
    for columns in (full(spec), spec.null((1, 2)), spec.columns({"text": [["go left please", "Ω≈ç√"]]})):
        for one, two in zip(encoder(encoder.tensors(columns)), again(again.tensors(columns)), strict=True):
            assert torch.equal(one, two)


def test_saving_in_half_precision_leaves_the_encoder_as_it_is(
    encoder: ActionEncoder, spec: ActionSpec, tmp_path: Path
) -> None:
    before = {name: tensor.clone() for name, tensor in encoder.state_dict().items()}
    encoder.save_pretrained(tmp_path, torch.bfloat16)
    assert all(torch.equal(before[name], tensor) for name, tensor in encoder.state_dict().items())
    again = ActionEncoder.from_pretrained(tmp_path)
    for name, tensor in again.state_dict().items():
        assert torch.equal(tensor, before[name].bfloat16().float())


def test_weights_that_do_not_fit_are_named(encoder: ActionEncoder, tmp_path: Path) -> None:
    encoder.save_pretrained(tmp_path)
    config = tmp_path / "config.json"
    config.write_text(config.read_text().replace('"motion"', '"speed"'))
    with pytest.raises(ValueError, match=r"model\.safetensors: missing .*components\.speed"):
        ActionEncoder.from_pretrained(tmp_path)
    (tmp_path / "tokenizer.model").unlink()
    with pytest.raises(FileNotFoundError, match=r"tokenizer\.model"):
        ActionEncoder.from_pretrained(tmp_path)
