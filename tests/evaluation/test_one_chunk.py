"""The measuring functions, held against worlds whose answers are known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch

from slowfast.actions import ActionSpec, Columns, Discrete, Language
from slowfast.evaluation.horizon import horizon_errors
from slowfast.evaluation.one_chunk import (
    TrueWindows,
    action_effect,
    one_chunk_errors,
    route,
    shuffled_actions,
    swapped_actions,
)

LABELS = ("turn left", "turn right", "stay")
SPEC = ActionSpec((Discrete("move", LABELS), Language("text", describes="move")))
SWAP = {"turn left": "turn right", "turn right": "turn left"}
SHIFT = np.array([-1, 1, 0, 0])  # the last: null


class Ring:
    """A world that is a ring of pixels: turning shifts it. It reads the index, or the words, or neither; ``error`` is
    added to all that it foretells."""

    def __init__(self, reads: str = "index", error: float = 0.0) -> None:
        self.reads, self.error, self.action_spec = reads, error, SPEC

    def encode(self, frames: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(frames.astype(np.float32))

    def decode(self, latents: torch.Tensor) -> np.ndarray:
        return latents.round().clamp(0, 255).to(torch.uint8).numpy()

    def action_tensors(self, columns: Columns) -> Columns:
        return columns

    def imagine_latents(
        self, context: torch.Tensor, actions: Columns, memory: Any, generators: Sequence[torch.Generator]
    ) -> torch.Tensor:
        words = np.vectorize(lambda text: LABELS.index(text) if text in LABELS else -1)(actions["text"])
        index = {"index": actions["move"], "text": words, "nothing": np.full_like(words, -1)}[self.reads]
        rows = []
        for row, past in enumerate(context):
            frame, made = past[-1], []
            for action in index[row, context.shape[1] :]:
                frame = torch.roll(frame, int(SHIFT[action]), 1)
                made.append(frame + self.error)
            rows.append(torch.stack(made))
        return torch.stack(rows)


def windows(count: int = 40, frames: int = 6, prefix: int = 2) -> TrueWindows:
    random = np.random.default_rng(0)
    first = random.integers(50, 200, (count, 8, 8, 3), np.uint8)
    moves = random.integers(0, 3, (count, frames))
    shifts = np.cumsum(SHIFT[moves], axis=1)
    all_frames = np.stack([[np.roll(f, s, 1) for s in row] for f, row in zip(first, shifts, strict=True)])
    return TrueWindows(all_frames, SPEC.columns({"move": moves}), prefix)


def test_a_perfect_world_has_no_error_and_a_static_one_that_of_repeating() -> None:
    perfect = one_chunk_errors(Ring(), windows())
    assert perfect.first_frame_ratio == perfect.chunk_ratio == 0.0
    static = one_chunk_errors(Ring("nothing"), windows())
    assert static.first_frame_ratio == static.chunk_ratio == 1.0
    assert static.chunk_psnr == static.repeat_psnr < 30 < static.codec_psnr


def test_errors_are_averaged_before_decibels_are_taken() -> None:
    truth = windows()
    errors = one_chunk_errors(Ring("nothing"), truth)
    last = truth.frames[:, 1:2].astype(float)
    expected = 10 * np.log10(255**2 / np.mean((truth.frames[:, 2:] - last) ** 2))
    assert errors.repeat_psnr == pytest.approx(expected, abs=1e-4)


def test_action_sensitivity_is_the_rise_of_the_error_on_turns_alone() -> None:
    truth = windows()
    effect = action_effect(Ring(error=10.0), truth, SWAP)
    turns = truth.actions["move"][:, 2] < 2
    chosen, moves = truth.frames[turns], truth.actions["move"][turns, 2]
    wrong = np.stack([np.roll(f, -SHIFT[m], 1) for f, m in zip(chosen[:, 1], moves, strict=True)]) + 10.0
    expected = np.mean((wrong - chosen[:, 2]) ** 2) / 100 - 1
    assert effect.action_sensitivity == pytest.approx(expected, rel=1e-4)
    assert effect.shuffled_actions > 1


def test_each_route_is_measured_by_itself() -> None:
    truth = windows()
    by_index, by_text = route(SPEC, truth, text=False), route(SPEC, truth, text=True)
    assert (by_text.actions["move"] == -1).all()
    assert (by_index.actions["text"] == "").all()
    reads_words, reads_index = Ring("text", 10.0), Ring("index", 10.0)
    assert action_effect(reads_words, by_text, SWAP).action_sensitivity > 1
    assert action_effect(reads_index, by_index, SWAP).action_sensitivity > 1
    assert action_effect(reads_words, by_index, SWAP).action_sensitivity == pytest.approx(0.0)
    assert action_effect(reads_index, by_text, SWAP).action_sensitivity == pytest.approx(0.0)
    assert action_effect(reads_index, by_text, SWAP).shuffled_actions == pytest.approx(0.0)


def test_swapping_leaves_the_prefix_and_other_actions_alone() -> None:
    truth = windows()
    turns, swapped = swapped_actions(SPEC, truth, SWAP)
    assert (swapped["move"][:, :2] == truth.actions["move"][:, :2]).all()
    before, after = truth.actions["move"][:, 2:], swapped["move"][:, 2:]
    assert (after[before == 0] == 1).all()
    assert (after[before == 1] == 0).all()
    assert (after[before == 2] == 2).all()
    assert (turns == (truth.actions["move"][:, 2] < 2)).all()


def test_shuffling_gives_every_window_the_actions_of_another() -> None:
    truth = windows(count=3, frames=30)
    shuffled = shuffled_actions(SPEC, truth, 0)
    assert (shuffled["move"][:, :2] == truth.actions["move"][:, :2]).all()
    for row in range(3):
        donors = [other for other in range(3) if (shuffled["move"][row, 2:] == truth.actions["move"][other, 2:]).all()]
        assert donors
        assert row not in donors


def test_nan_where_no_action_can_be_swapped_and_an_error_for_unknown_labels() -> None:
    truth = windows()
    stay = TrueWindows(truth.frames, SPEC.columns({"move": np.full((40, 6), 2)}), 2)
    assert np.isnan(action_effect(Ring(), stay, SWAP).action_sensitivity)
    with pytest.raises(ValueError, match="turn up"):
        action_effect(Ring(), truth, {"turn up": "turn left"})


def test_long_dreams_are_measured_frame_by_frame() -> None:
    truth = windows(count=8, frames=14)
    perfect = horizon_errors(Ring(error=2.0), truth, SWAP)
    assert len(perfect.psnr) == 12
    assert max(perfect.psnr) - min(perfect.psnr) < 0.5
    assert perfect.swapped_rise > 1
    deaf = horizon_errors(Ring("nothing", 2.0), truth, SWAP)
    assert deaf.late_psnr < perfect.late_psnr - 5
    assert deaf.swapped_rise == pytest.approx(0.0)
