"""Scene cuts inside a clip, as PySceneDetect finds them: a dream that jumps is cut where no one cut it."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np

DETECTORS = {"adaptive": {}, "content": {"threshold": 27.0}}
"""PySceneDetect's ``AdaptiveDetector`` (as StreamingT2V counts cuts) and ``ContentDetector``, with their defaults."""


def scene_cuts(frames: np.ndarray, detector: str = "adaptive", fps: float = 8.0, least: int = 15) -> list[int]:
    """First frames of new scenes in ``uint8 [T, H, W, 3]``.

    ``least``: frames a scene has at least, PySceneDetect's own default. Raises ValueError for an unknown detector,
    ImportError that names the extra without PySceneDetect.
    """
    if detector not in DETECTORS:
        raise ValueError(f"detector {detector!r} is not known; choose one of {', '.join(DETECTORS)}")
    try:
        from scenedetect import AdaptiveDetector, ContentDetector, FrameTimecode
    except ImportError as error:
        raise ImportError('scene cuts need PySceneDetect: pip install "slowfast[eval]"') from error
    kinds: dict[str, Any] = {"adaptive": AdaptiveDetector, "content": ContentDetector}
    finder = kinds[detector](min_scene_len=least, **DETECTORS[detector])
    rate, cuts = Fraction(fps).limit_denominator(1000), []
    for number, frame in enumerate(frames):
        blue_first = np.ascontiguousarray(frame[..., ::-1])
        cuts += finder.process_frame(FrameTimecode(number, rate), blue_first)
    if len(frames):
        cuts += finder.post_process(FrameTimecode(len(frames) - 1, rate))
    return [int(cut.frame_num) for cut in cuts]
