"""Inverse dynamics over every kind of action: what it learns from, what it reads, and its folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from slowfast.actions import ActionSpec, Continuous, Discrete, Keyboard, Language
from slowfast.heads.inverse_dynamics import InverseDynamics, InverseDynamicsConfig

SPEC = ActionSpec(
    (
        Discrete("move", ("left", "right", "stay")),
        Continuous("speed", (-1.0, -np.inf), (1.0, np.inf)),
        Keyboard("keys", ("w", "a", "s", "d")),
        Language("text", describes="move"),
        Language("note"),
    )
)


def head() -> InverseDynamics:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        axes = {"middle": {"speed": (2.0, 100.0)}, "spread": {"speed": (2.0, 50.0)}}
        return InverseDynamics(InverseDynamicsConfig(channels=4, spec=SPEC, width=8, **axes)).eval()


def latents(episodes: int = 3, frames: int = 5) -> torch.Tensor:
    return torch.randn(episodes, frames, 4, 6, 5, generator=torch.Generator().manual_seed(1))


def tensors(columns: dict[str, np.ndarray]) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(own) for name, own in columns.items() if own.dtype != object}


def test_a_video_becomes_columns_of_the_spec() -> None:
    columns = head().read(latents())
    assert {name: own.shape for name, own in columns.items()} == {
        "move": (3, 4),
        "speed": (3, 4, 2),
        "keys": (3, 4, 4),
        "text": (3, 4),
        "note": (3, 4),
    }
    completed = SPEC.columns(columns)
    assert all((completed[name] == columns[name]).all() for name in columns), "what was read is a valid action"
    assert columns["speed"].dtype == np.float32


def test_each_step_is_read_from_its_two_frames_alone() -> None:
    frames = latents()
    whole = head()(frames[:, :-1], frames[:, 1:])
    pair = head()(frames[1:2, 2:3], frames[1:2, 3:4])
    for name, own in whole.items():
        torch.testing.assert_close(own[1:2, 2:3], pair[name])
    for name, column in head().read(frames, batch=2).items():
        if column.dtype == np.float32:
            np.testing.assert_allclose(column, head().read(frames)[name], rtol=1e-4)
        else:
            assert (column == head().read(frames)[name]).all()


def test_numbers_are_read_in_their_own_units_and_within_their_bounds() -> None:
    own = head()
    answers = own(latents()[:, :-1], latents()[:, 1:])["speed"]
    expected = (answers * torch.tensor([2.0, 50.0]) + torch.tensor([2.0, 100.0])).detach().numpy()
    assert (expected[..., 0] > 1).any()
    expected[..., 0] = expected[..., 0].clip(-1, 1)
    np.testing.assert_allclose(own.read(latents())["speed"], expected, rtol=1e-5)


def test_words_that_describe_a_choice_are_read_with_it() -> None:
    columns = head().read(latents())
    labels = np.array(SPEC["move"].labels, object)  # type: ignore[union-attr]
    assert (columns["text"] == labels[columns["move"]]).all()
    assert (columns["note"] == "").all()


def test_nulls_teach_nothing() -> None:
    own, frames = head(), latents(1, 3)
    answers = own(frames[:, :-1], frames[:, 1:])
    null = own.loss(answers, tensors(SPEC.null((1, 2))))
    assert [part.item() for part in null.values()] == [0.0, 0.0, 0.0]

    known = {"move": [[2, 1]], "speed": [[[0.5, 20.0], [-0.5, 7.0]]], "keys": [[[1, 0, 0, 1], [0, 0, 1, 1]]]}
    half = {"move": [[2, -1]], "speed": [[[0.5, np.nan], [np.nan, 7.0]]], "keys": [[[1, -1, 0, 1], [-1, 0, 1, 1]]]}
    for name, part in own.loss(answers, tensors(SPEC.columns(half))).items():
        whole = SPEC.columns(known)[name]
        kept = whole == SPEC.columns(half)[name]
        if name == "move":
            each = torch.nn.functional.cross_entropy(answers[name][0], torch.from_numpy(whole[0]), reduction="none")
        elif name == "keys":
            held = torch.from_numpy(whole).float()
            each = torch.nn.functional.binary_cross_entropy_with_logits(answers[name], held, reduction="none")
        else:
            scaled = own.scaled(SPEC[name], torch.from_numpy(whole))
            each = torch.nn.functional.huber_loss(answers[name], scaled, reduction="none")
        torch.testing.assert_close(part, each.reshape(kept.shape)[torch.from_numpy(kept)].mean())


def test_nulls_send_no_gradient_and_no_nan() -> None:
    own = head()
    frames = latents(1, 2)
    actions = tensors(SPEC.columns({"move": [[1]], "speed": [[[np.nan, np.nan]]]}))
    torch.stack(list(own.loss(own(frames[:, :1], frames[:, 1:]), actions).values())).sum().backward()
    last = own.answer[-1]
    assert isinstance(last, torch.nn.Linear)
    gradient = last.bias.grad
    assert gradient is not None
    assert torch.isfinite(gradient).all()
    assert gradient[:3].abs().min() > 0
    assert gradient[3:].abs().max() == 0


def test_a_folder_brings_back_the_same_head(tmp_path: Path) -> None:
    own = head()
    own.save_pretrained(tmp_path)
    again = InverseDynamics.from_pretrained(tmp_path)
    assert again.config == own.config
    for name, column in own.read(latents()).items():
        assert (again.read(latents())[name] == column).all()
    with pytest.raises(FileNotFoundError):
        InverseDynamics.from_pretrained(tmp_path / "nothing")


def test_actions_that_are_words_alone_are_refused() -> None:
    with pytest.raises(ValueError, match="reads no free text"):
        InverseDynamicsConfig(4, ActionSpec((Language("text"),)))
    with pytest.raises(ValueError, match="2 axes of 'speed'"):
        InverseDynamicsConfig(4, SPEC, {"speed": (0.0,)}, {"speed": (1.0, 1.0)})


def test_a_single_frame_holds_no_action() -> None:
    with pytest.raises(ValueError, match="between frames"):
        head().read(latents(1, 1))
