"""The bars a recipe sets for its last validation. Training always reports; the gate decides at the end."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any


@dataclass(frozen=True)
class CodecGate:
    """Bars for a codec; a bar that is None does not count."""

    codec_psnr: float | None = None
    """At least this reconstruction PSNR on validation worlds, in dB."""


@dataclass(frozen=True)
class SlowGate:
    """Bars for a slow learner; a bar that is None does not count."""

    action_sensitivity: float | None = None
    """At least this relative rise of the first new frame's squared error when actions are swapped (1.0 = doubled)."""
    text_action_sensitivity: float | None = None
    """The same through the text route alone."""
    shuffled_actions: float | None = None
    """At least this relative rise of the chunk's squared error when actions are shuffled between windows."""
    first_frame_ratio: float | None = None
    """At most this squared error of the first new frame, relative to repeating the last frame."""
    chunk_ratio: float | None = None
    """At most this squared error of the whole chunk, relative to repeating the last frame."""
    codec_psnr: float | None = None
    """At least this PSNR of the codec on the same frames, in dB."""


@dataclass(frozen=True)
class OdometryGate:
    """Bars for an odometry; a bar that is None does not count."""

    step_error: float | None = None
    """At most this root mean square error of one step, in steps of the world."""
    drift: float | None = None
    """At most so many steps off, on average, after as many as the task says."""


@dataclass(frozen=True)
class OutcomeGate:
    """Bars for an outcome head; a bar that is None does not count."""

    reward_explained: float | None = None
    """At least this share of the rewards' variance, beside always saying their mean."""
    termination_precision: float | None = None
    """At least this average precision of ends."""


@dataclass(frozen=True)
class InverseDynamicsGate:
    """Bars for an inverse dynamics; a bar that is None does not count."""

    accuracy: float | None = None
    """At least this share of choices and keys read right."""
    explained: float | None = None
    """At least this share of the numbers' variance."""


UPPER = ("first_frame_ratio", "chunk_ratio", "step_error", "drift")
"""Figures that have to stay below their bar; the others have to reach it."""


def failures(gate: Any, figures: dict[str, float]) -> list[str]:
    """One line for each bar of ``gate`` that ``figures`` miss; a figure that was not measured, or is NaN, misses."""
    lines = []
    for field in fields(gate):
        bar, value = getattr(gate, field.name), figures.get(field.name)
        if bar is None:
            continue
        if value is None:
            lines.append(f"{field.name} was not measured, the gate asks for {bar:g}")
        elif field.name in UPPER and not value <= bar:
            lines.append(f"{field.name} is {value:.3f}, the gate allows at most {bar:g}")
        elif field.name not in UPPER and not value >= bar:
            lines.append(f"{field.name} is {value:.3f}, the gate asks for at least {bar:g}")
    return lines
