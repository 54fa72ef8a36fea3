"""The contexts that ship with a world come back as they were saved, and fit the world's actions."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from slowfast.actions import ActionSpec, Continuous, Discrete, Language
from slowfast.starts import Starts

SPEC = ActionSpec(
    (Discrete("move", ("left", "right")), Continuous("drive", (0.0,), (1.0,)), Language("text", describes="move"))
)


def make(number: int = 5, length: int = 4) -> Starts:
    random = np.random.default_rng(0)
    actions = SPEC.null((number, length - 1))
    actions["move"] = random.integers(0, 2, (number, length - 1))
    actions["text"][::2] = "links ↺"
    pose = random.normal(size=(number, length, 3))
    pose[0] = np.nan
    frames = random.integers(0, 256, (number, length, 8, 6, 3), np.uint8)
    return Starts(frames, actions, pose.astype(np.float32), np.arange(number))


@pytest.mark.parametrize(("number", "length"), [(5, 4), (3, 1), (1, 2)])
def test_saving_and_loading(tmp_path: Path, number: int, length: int) -> None:
    starts = make(number, length)
    starts.save(tmp_path / "starts.safetensors")
    again = Starts.load(tmp_path / "starts.safetensors", SPEC)
    assert len(again) == number
    assert list(tmp_path.iterdir()) == [tmp_path / "starts.safetensors"]
    for name in ("frames", "pose", "seeds"):
        np.testing.assert_array_equal(getattr(again, name), getattr(starts, name))
    assert list(again.actions) == list(starts.actions)
    for name, column in starts.actions.items():
        assert again.actions[name].dtype == column.dtype
        assert again.actions[name].shape == column.shape
        np.testing.assert_array_equal(again.actions[name], column)


def test_views_are_saved_as_what_they_show(tmp_path: Path) -> None:
    starts = make()
    turned = replace(starts, frames=starts.frames[::-1, :, :, ::2], pose=np.asfortranarray(starts.pose))
    turned.save(tmp_path / "starts.safetensors")
    again = Starts.load(tmp_path / "starts.safetensors", SPEC)
    np.testing.assert_array_equal(again.frames, turned.frames)
    np.testing.assert_array_equal(again.pose, turned.pose)


def test_a_world_without_starts_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"this world ships no starts; reset with options"):
        Starts.load(tmp_path / "starts.safetensors", SPEC)


@pytest.mark.parametrize(
    "other",
    [
        ActionSpec((Discrete("move", ("left", "right")), Language("text"))),
        ActionSpec((Discrete("move", ("left",)), *SPEC.components[1:])),
        ActionSpec((SPEC.components[0], Continuous("drive", (0.0, 0.0), (1.0, 1.0)), SPEC.components[2])),
    ],
)
def test_actions_of_another_world_are_refused(tmp_path: Path, other: ActionSpec) -> None:
    make().save(tmp_path / "starts.safetensors")
    with pytest.raises(ValueError, match="action"):
        Starts.load(tmp_path / "starts.safetensors", other)
