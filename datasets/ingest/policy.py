"""One frame rate and one size for all episodes: which frames are kept, what becomes of the actions between them, and
how a picture is brought to size. Kept with every episode, and applied again to frames that a trained world is shown."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from slowfast.actions import ActionSpec, Columns, Component, Continuous, Discrete, Keyboard
from slowfast.datasets.episode import DatasetError, Episode
from slowfast.datasets.ingest.combine import Rule, combine
from slowfast.datasets.ingest.recording import Recording
from slowfast.frames import Fit, fitted

SLACK = 1e-3
"""Of a frame's duration: a frame that comes so little later than a tick still belongs to it (mp4 rounds times)."""
EPISODE_BYTES = 2**30
MOST_HELD = 50
"""Ticks a frame, on average, before a recording counts as one with a hole, and not as one with held frames."""


@dataclass(frozen=True)
class FramePolicy:
    """``fps``: frames a second of the episodes; None keeps a steady source's own, and the median of an unsteady one.
    A tick of the new rate shows the latest frame that was there. ``size``: (H, W), None keeps the source's. ``fit``:
    ``crop`` cuts the middle to the new shape, ``pad`` adds black bars, ``stretch`` distorts. ``continuous``,
    ``discrete``, ``keyboard``: what stands for several actions that fall between two kept frames: of targets the last,
    of speeds the mean, of steps the sum; of choices the commonest; of keys those held at any time. Rewards add up.
    ``max_frames``: a longer recording becomes several episodes; each begins with the frame that the last ended with.
    So does one whose frames take more than 1 GiB, since an episode is held in memory while it is written.
    """

    fps: float | None = None
    size: tuple[int, int] | None = None
    fit: Fit = "crop"
    continuous: Literal["last", "mean", "sum"] = "last"
    discrete: Literal["commonest", "last"] = "commonest"
    keyboard: Literal["any", "last"] = "any"
    max_frames: int = 2048

    def __post_init__(self) -> None:
        if self.fps is not None and not 0 < self.fps < 1e4:
            raise DatasetError(f"fps has to be above 0, got {self.fps}")
        if self.size is not None and not all(0 < side <= 8192 for side in self.size):
            raise DatasetError(f"size is height and width in pixels, 1 to 8192, got {self.size}")
        if self.max_frames < 2:
            raise DatasetError(f"max_frames has to be at least 2, got {self.max_frames}")

    def described(self) -> dict[str, Any]:
        """As it is kept in an episode's metadata."""
        return asdict(self)


def kept_frames(recording: Recording, policy: FramePolicy) -> tuple[np.ndarray, float]:
    """Indices of the frames that are kept, ``int64 [M]`` (not falling; a held frame comes twice), and their rate.

    Raises :class:`DatasetError` for a rate above the recording's, which would only repeat frames.
    """
    times, own = recording.times, recording.fps
    fps = policy.fps or own
    if fps > own * 1.01:
        raise DatasetError(f"{recording.name}: has {own:.4g} frames a second, {fps:g} would only repeat them")
    if recording.steady and abs(fps / own - 1) < 0.01:
        return np.arange(len(times)), own if policy.fps is None else fps
    duration = times[-1] - times[0]
    if duration * fps > MOST_HELD * len(times) + 1000:
        gap = np.diff(times).max()
        raise DatasetError(f"{recording.name}: between two of its frames lie {gap:.4g} s; its times are damaged")
    ticks = times[0] + np.arange(int(duration * fps + SLACK) + 1) / fps
    kept = np.searchsorted(times, ticks + SLACK / fps, side="right") - 1
    if len(kept) < 2:
        raise DatasetError(f"{recording.name}: lasts {duration:.3g} s, too short for {fps:g} a second")
    return kept, fps


def episodes(recording: Recording, policy: FramePolicy) -> Iterator[Episode]:
    """The recording as episodes of at most ``policy.max_frames`` frames; frames are decoded as they are needed.

    Raises :class:`DatasetError` where a camera ends before its last frame, or changes its size.
    """
    kept, fps = kept_frames(recording, policy)
    cameras = {name: _picked(recording, name, kept, policy) for name in recording.frames}
    actions = combined(recording.spec, recording.actions, kept, policy)
    outcomes = _outcomes(recording, kept)
    last = {name: next(stream) for name, stream in cameras.items()}
    room = max(2, EPISODE_BYTES // sum(frame.nbytes for frame in last.values()))
    step = min(policy.max_frames, room) - 1
    starts = range(0, len(kept) - 1, step)
    for part, start in enumerate(starts):
        between, seen = slice(start, start + step), kept[start : start + step + 1]
        frames = {name: _stacked(recording, name, last[name], cameras[name], len(seen)) for name in cameras}
        last = {name: stack[-1].copy() for name, stack in frames.items()}
        yield Episode(
            frames=frames,
            actions=ActionSpec.select(actions, between),
            spec=recording.spec,
            fps=fps,
            **{name: None if rows is None else rows[between] for name, rows in outcomes.items()},
            states={name: np.asarray(rows)[seen] for name, rows in recording.states.items()},
            infos={name: np.asarray(rows)[seen] for name, rows in recording.infos.items()},
            metadata={
                **recording.metadata,
                "recording": recording.name,
                **({"part": part, "parts": len(starts)} if len(starts) > 1 else {}),
                "source_fps": recording.fps,
                **({} if recording.steady else {"source_intervals": list(recording.intervals)}),
                "frames": policy.described(),
            },
        )


def combined(spec: ActionSpec, actions: Columns, kept: np.ndarray, policy: FramePolicy) -> Columns:
    """Actions between kept frames, ``[M-1, ...]``; null where a frame was held. Missing actions are left out of a
    combination, and a combination of nothing but missing ones is missing."""
    columns = {component.name: np.asarray(actions[component.name]) for component in spec.components}
    if (np.diff(kept) == 1).all():
        return {name: rows[kept[0] : kept[-1]] for name, rows in columns.items()}
    return {
        component.name: combine(
            columns[component.name], kept, _rule(component, policy), component.null((len(kept) - 1,))
        )
        for component in spec.components
    }


def _picked(recording: Recording, camera: str, kept: np.ndarray, policy: FramePolicy) -> Iterator[np.ndarray]:
    """The kept frames of one camera, at the policy's size."""
    stream, given = recording.frames[camera](), 0
    shown = np.zeros(0, np.uint8)
    for index in kept.tolist():
        while given <= index:
            try:
                frame = next(stream)
            except StopIteration:
                said = f"ends after {given} of {len(recording.times)} frames"
                raise DatasetError(f"{recording.name}: camera {camera!r} {said}; it is cut off or damaged") from None
            if given == index:
                shown = fitted(frame, policy.size, policy.fit)
            given += 1
        yield shown


def _stacked(
    recording: Recording, camera: str, first: np.ndarray, stream: Iterator[np.ndarray], count: int
) -> np.ndarray:
    """``count`` frames, of which ``first`` is known already."""
    stack = np.empty((count, *first.shape), np.uint8)
    stack[0] = first
    for k in range(1, count):
        frame = next(stream)
        if frame.shape != first.shape:
            raise DatasetError(
                f"{recording.name}: camera {camera!r} changes from {first.shape[1]}x{first.shape[0]} to "
                f"{frame.shape[1]}x{frame.shape[0]} pixels on the way; give a size (--policy.size H W)"
            )
        stack[k] = frame
    return stack


def _rule(component: Component, policy: FramePolicy) -> Rule:
    if isinstance(component, Continuous):
        return policy.continuous
    if isinstance(component, Keyboard):
        return policy.keyboard
    return policy.discrete if isinstance(component, Discrete) else "last"


def _outcomes(recording: Recording, kept: np.ndarray) -> dict[str, np.ndarray | None]:
    """Rewards between kept frames add up, an end at any of them is an end; 0 and no end where a frame was held."""
    groups = np.flatnonzero(np.diff(kept))
    found: dict[str, np.ndarray | None] = {}
    for name, kind, gather in (
        ("rewards", np.float32, np.add),
        ("terminations", np.bool_, np.logical_or),
        ("truncations", np.bool_, np.logical_or),
    ):
        rows = getattr(recording, name)
        found[name] = None
        if rows is not None:
            gathered = np.zeros(len(kept) - 1, kind)
            gathered[groups] = gather.reduceat(np.asarray(rows, kind)[: kept[-1]], kept[groups])
            found[name] = gathered
    return found
