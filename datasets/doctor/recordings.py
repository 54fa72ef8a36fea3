"""The recordings of a source that has not been ingested, as they would become episodes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from slowfast.actions import Columns
from slowfast.datasets.doctor.footage import Timing
from slowfast.datasets.episode import DatasetError
from slowfast.datasets.ingest.policy import FramePolicy, combined, episodes, kept_frames
from slowfast.datasets.ingest.recording import Reader, Recording

FRAMES_AT_ONCE = 16  # a reader does not say how large they are


class RecordedFootage:
    """What ``reader`` gives, brought to frame rate and size by ``policy``. A recording is one episode here, however
    long it is, so that frames are counted from its start."""

    def __init__(self, reader: Reader, policy: FramePolicy) -> None:
        self._reader = reader
        self._policy = replace(policy, max_frames=FRAMES_AT_ONCE)
        self.spec = reader.spec

    def __len__(self) -> int:
        return len(self._reader)

    def name(self, i: int) -> str:
        return self._reader.name(i)

    def path(self, i: int) -> Path | None:
        return None

    def take(self, i: int) -> RecordedTake:
        recording = self._reader.read(i)
        kept, fps = kept_frames(recording, self._policy)
        actions = combined(recording.spec, recording.actions, kept, self._policy)
        return RecordedTake(recording, self._policy, self.spec.columns(actions), fps)

    def pictures(self, i: int, camera: str, numbers: Sequence[int]) -> dict[int, np.ndarray]:
        found: dict[int, np.ndarray] = {}
        wanted, first = set(numbers), 0
        try:
            for part in self.take(i).frames():
                frames = part[camera]
                here = [n for n in wanted if first <= n < first + len(frames)]
                found |= {n: frames[n - first].copy() for n in here}
                first += len(frames)
                if first > max(wanted, default=-1):
                    break
        except (DatasetError, KeyError):
            pass
        return found


@dataclass(frozen=True)
class RecordedTake:
    recording: Recording
    policy: FramePolicy
    actions: Columns
    fps: float

    @property
    def metadata(self) -> dict[str, Any]:
        policy = {name: value for name, value in self.policy.described().items() if name != "max_frames"}
        return {**self.recording.metadata, "frames": policy}

    @property
    def timing(self) -> Timing | None:
        return Timing(self.recording.fps, *self.recording.intervals)

    def frames(self) -> Iterator[dict[str, np.ndarray]]:
        for number, part in enumerate(episodes(self.recording, self.policy)):
            repeated = int(number > 0)  # a part begins with the frame that the last one ended with
            yield {name: frames[repeated:] for name, frames in part.frames.items()}
