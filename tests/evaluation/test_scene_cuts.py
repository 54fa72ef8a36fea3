"""Scene cuts: found where a clip jumps, not where a view turns."""

from __future__ import annotations

import numpy as np
import pytest

from slowfast.evaluation.scene_cuts import DETECTORS, scene_cuts


def panning(random: np.random.Generator, frames: int) -> np.ndarray:
    """A view that turns along a panorama of blocks, four pixels a frame."""
    panorama = random.integers(0, 256, (8, 64, 3), np.uint8).repeat(8, 0).repeat(8, 1)
    return np.stack([np.roll(panorama, -4 * number, 1)[:, :64] for number in range(frames)])


@pytest.mark.parametrize("detector", DETECTORS)
def test_a_jump_is_a_cut(detector: str) -> None:
    dark, bright = np.full((20, 64, 64, 3), 40, np.uint8), np.full((30, 64, 64, 3), 220, np.uint8)
    assert scene_cuts(np.concatenate([dark, bright, dark]), detector) == [20, 50]
    assert scene_cuts(dark, detector) == []
    assert scene_cuts(dark[:0], detector) == []


def test_the_adaptive_detector_lets_a_turning_view_pass() -> None:
    random = np.random.default_rng(0)
    one, other = panning(random, 40), panning(random, 40)
    assert scene_cuts(one) == []
    assert scene_cuts(np.concatenate([one[:20] // 4, 255 - other[:20] // 4])) == [20]


def test_an_unknown_detector_is_named() -> None:
    with pytest.raises(ValueError, match="'fast' is not known; choose one of adaptive, content"):
        scene_cuts(np.zeros((2, 8, 8, 3), np.uint8), "fast")
