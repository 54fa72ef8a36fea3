"""Frame rates and sizes: one of each in a data set, and what became of the recordings' own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from slowfast.datasets.doctor.check import Check, Place
from slowfast.datasets.doctor.finding import Finding
from slowfast.datasets.doctor.footage import Clip
from slowfast.datasets.doctor.spool import Spool

SAME_RATE = 0.01
"""Part by which two frame rates may differ and count as one."""
UNEVEN = 0.2
"""Of a frame's duration: two frames closer or farther than that make the rate variable."""
GAP = 2.5
"""Durations of a frame without one: frames are missing."""
WHOLE = 0.05
"""How near a ratio of frame rates has to be to a whole number for steps to be of equal length."""


class FrameRate(Check):
    """Mixed rates, variable rates, gaps, and which resampling was used."""

    name = "frame-rate"

    def __init__(self, spool: Spool) -> None:
        super().__init__(spool)
        self._rates: dict[float, tuple[Place, int]] = {}
        self._resampled: dict[tuple[float, float], tuple[Place, int, dict[str, Any]]] = {}

    def look(self, clip: Clip) -> Iterator[Finding]:
        rate = next((r for r in self._rates if abs(clip.fps / r - 1) <= SAME_RATE), clip.fps)
        place, count = self._rates.get(rate, (Place.of(clip), 0))
        self._rates[rate] = (place, count + 1)
        if clip.timing is None:
            return
        source = clip.timing.fps
        if abs(source / clip.fps - 1) > SAME_RATE:
            key = (float(f"{source:.4g}"), float(f"{clip.fps:.4g}"))
            policy = clip.metadata.get("frames")
            kept = self._resampled.get(key, (Place.of(clip), 0, policy if isinstance(policy, dict) else {}))
            self._resampled[key] = (kept[0], kept[1] + 1, kept[2])
        yield from self._unsteady(clip)

    def conclude(self) -> Iterator[Finding]:
        if len(self._rates) > 1:
            ordered = sorted(self._rates.items(), key=lambda item: -item[1][1])
            said = ", ".join(f"{rate:.4g} ({count} episodes)" for rate, (_, count) in ordered)
            place = ordered[-1][1][0]
            said = f"frames a second differ: {said}; this is the first of the rarest"
            fix = "ingest with one --policy.fps: an action has to last equally long everywhere"
            yield self.found("warning", said, fix, place, 0)
        for (source, fps), (place, count, policy) in self._resampled.items():
            rules = ", ".join(
                f"{key}: {policy[key]}" for key in ("continuous", "discrete", "keyboard") if key in policy
            )
            ratio = source / fps
            said = f"{count} episodes were resampled from {source:g} to {fps:g} frames a second"
            said += f" (of actions between, {rules})" if rules else ""
            fix = "see that the rule suits the actions: targets want the last, speeds the mean, steps the sum"
            if abs(ratio - round(ratio)) > WHOLE:
                said += f"; a step stands for {int(ratio)} or {int(ratio) + 1} frames of the recording in turn"
                fix += f"; {source / max(round(ratio), 1):.4g} frames a second would make steps equal"
            yield self.found("note", said, fix, place)

    def _unsteady(self, clip: Clip) -> Iterator[Finding]:
        timing = clip.timing
        if timing is None or timing.shortest is None or timing.longest is None:
            return
        shortest, longest = timing.shortest * timing.fps, timing.longest * timing.fps
        if longest > GAP:
            said = f"frames are missing: up to {timing.longest:.3g} s lie between two, usually {1 / timing.fps:.3g} s"
            fix = "cut the recording at the gap; ingestion holds the last frame there and leaves actions unknown"
            yield self.found("warning", said, fix, clip)
        elif longest > 1 + UNEVEN or shortest < 1 - UNEVEN:
            said = f"variable frame rate: {timing.shortest:.3g} to {timing.longest:.3g} s between frames; "
            said += f"resampled to {clip.fps:.4g} a second"
            yield self.found("note", said, "--policy.fps sets the rate; below the slowest no frame is held", clip)


class Resolution(Check):
    """Cameras and sizes that differ between episodes."""

    name = "resolution"

    def __init__(self, spool: Spool) -> None:
        super().__init__(spool)
        self._sizes: dict[tuple[tuple[str, tuple[int, int]], ...], tuple[Place, int]] = {}

    def look(self, clip: Clip) -> Iterator[Finding]:
        key = tuple(sorted((camera, look.size) for camera, look in clip.looks.items()))
        place, count = self._sizes.get(key, (Place.of(clip), 0))
        self._sizes[key] = (place, count + 1)
        yield from ()

    def conclude(self) -> Iterator[Finding]:
        if len(self._sizes) < 2:
            return
        ordered = sorted(self._sizes.items(), key=lambda item: -item[1][1])
        for key, (place, count) in ordered[1:]:
            said = f"frames are {_sizes(key)} in {count} episodes, {_sizes(ordered[0][0])} in {ordered[0][1][1]}; "
            same = {camera for camera, _ in key} == {camera for camera, _ in ordered[0][0]}
            fix = (
                "ingest with one --policy.size HEIGHT WIDTH"
                if same
                else "take cameras that all have: --options.cameras"
            )
            yield self.found("error", said + "this is the first", fix, place, 0)

    def measured(self) -> dict[str, Any]:
        return {_sizes(key): count for key, (_, count) in self._sizes.items()}


def _sizes(key: tuple[tuple[str, tuple[int, int]], ...]) -> str:
    return ", ".join(f"{camera} {height}x{width}" for camera, (height, width) in key)
