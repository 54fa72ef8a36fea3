"""EPIC-KITCHENS: a csv with a narration a row (what was done from when to when), and the videos that it names.

Two formats read the same files. ``epic-kitchens`` makes a recording of every narration: the frames between its start
and stop, all with that narration, as SlowFast-VGen trains on them. ``epic-kitchens-videos`` makes one of every video,
where a step has the narration in whose time it lies, or none.

Components: language ``narration``, discrete ``verb`` (the csv's ``verb_class``); the option ``action`` takes one of
the two. Labels of verbs: the option ``labels``; or the csv of verb classes beside the annotations (``*verb_classes*``,
columns ``id`` and ``key``); or the commonest verb of each class in the annotations. With the last, the annotations of
training and validation may differ in their labels, and a world takes one set of labels: put the verb classes beside
them.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from slowfast.actions import ActionSpec, Columns, Component, Discrete, Language
from slowfast.datasets.episode import DatasetError
from slowfast.datasets.ingest.formats import SourceOptions
from slowfast.datasets.ingest.readers.action_survey import spec_of
from slowfast.datasets.ingest.readers.epic_narrations import (
    Narration,
    csv_files,
    find_annotations,
    is_annotations,
    read_narrations,
    verb_labels,
)
from slowfast.datasets.ingest.recording import Frames, Recording
from slowfast.datasets.ingest.timeline import Span, over_actions
from slowfast.datasets.ingest.video import SUFFIXES, frame_times, read_frames

ROUNDED = 1e-4
"""Seconds by which a container rounds the times of its frames."""
OVERHANG = 1.0
"""Seconds by which a narration may go on after its video's last frame; beyond it the video is cut off."""


class _Narrated:
    def __init__(self, source: str | Path, options: SourceOptions) -> None:
        path = Path(source)
        self.folder = path.parent if path.is_file() else path
        self.table = options.annotations or (path if path.is_file() else find_annotations(path))
        self.narrations = list(read_narrations(self.table))
        if not self.narrations:
            raise DatasetError(f"{self.table}: no narrations")
        self.spec = _spec(self.narrations, self.table, options)
        self.videos: dict[str, list[Path]] = defaultdict(list)
        for video in sorted(path for path in self.folder.rglob("*") if path.suffix.lower() in SUFFIXES):
            self.videos[video.stem].append(video)
        self._latest: tuple[Path, np.ndarray] | None = None

    def facts(self) -> dict[str, Any]:
        named = {narration.cells["video_id"] for narration in self.narrations} - {""}
        return {
            "annotations": self.table.name,
            "narrations": len(self.narrations),
            "videos": f"{len(named & self.videos.keys())} of {len(named)} are there",
        }

    def _video(self, video_id: str) -> tuple[Path, np.ndarray]:
        """Path and times; those of the video that was asked for last are kept, for narrations come video by video."""
        found = self.videos.get(video_id, [])
        if len(found) != 1:
            said = f"there are {found[0]} and {found[1]}; keep one" if found else f"is nowhere below {self.folder}"
            raise DatasetError(f"video {video_id!r} {said}")
        if self._latest is None or self._latest[0] != found[0]:
            self._latest = (found[0], frame_times(found[0]))
        return self._latest

    def _verb(self, narration: Narration) -> int:
        verb = self.spec["verb"]
        assert isinstance(verb, Discrete)
        labels = verb.labels
        code = narration.verb_class
        if code is None or not 0 <= code < len(labels):
            said = f"verb_class is {narration.cells['verb_class']!r:.20}, expected 0 to {len(labels) - 1}"
            raise DatasetError(f"{narration.where}: {said}")
        return code


class NarratedClips(_Narrated):
    """A recording a narration; ``Reader`` of the format ``epic-kitchens``.

    ``source``: a folder with the csv and, anywhere below it, ``VIDEO_ID.MP4``; or the csv. Raises
    :class:`DatasetError` for a csv that cannot be read. A narration with times that make no sense, whose verb has no
    label, or whose video is missing, raises it when it is read, naming the csv's line.
    """

    def __init__(self, source: str | Path, options: SourceOptions) -> None:
        super().__init__(source, options)
        names = [narration.cells["narration_id"] for narration in self.narrations]
        counts = Counter(names)
        self.names = [
            name if name and counts[name] == 1 else narration.where
            for name, narration in zip(names, self.narrations, strict=True)
        ]

    def __len__(self) -> int:
        return len(self.narrations)

    def name(self, i: int) -> str:
        return self.names[i]

    def read(self, i: int) -> Recording:
        narration = self.narrations[i]
        try:
            start, stop = narration.times()
            path, times = self._video(narration.video_id)
            if stop > times[-1] + OVERHANG:
                said = f"stops at {stop:g} s, {path} ends at {times[-1]:.2f} s; is it cut off?"
                raise DatasetError(f"{narration.where}: {said}")
            first, last = np.searchsorted(times, [start - ROUNDED, stop - ROUNDED])
            shown = times[first : last + 1]
            if len(shown) < 2:
                raise DatasetError(f"{narration.where}: {start:g} to {stop:g} s are fewer than 2 frames of {path}")
            actions = self._columns(len(shown) - 1, narration)
        except DatasetError as error:
            raise DatasetError(f"{self.names[i]}: {error}") from None
        frames: Frames = partial(read_frames, path, float(shown[0]), len(shown))
        when = {"start": start, "stop": stop}
        metadata = {"video": narration.video_id, "instruction": narration.text, **when, **narration.notes}
        return Recording(self.names[i], shown - shown[0], {"head": frames}, actions, self.spec, metadata=metadata)

    def _columns(self, steps: int, narration: Narration) -> Columns:
        columns: Columns = {}
        for component in self.spec.components:
            if isinstance(component, Language):
                columns["narration"] = np.full(steps, narration.text, object)
            else:
                columns["verb"] = np.full(steps, self._verb(narration), np.int64)
        return columns


class NarratedVideos(_Narrated):
    """A recording a video of the csv; ``Reader`` of the format ``epic-kitchens-videos``.

    Where narrations overlap, a step has the one that began last. Raises as :class:`NarratedClips` does; one narration
    that makes no sense spoils its video.
    """

    def __init__(self, source: str | Path, options: SourceOptions) -> None:
        super().__init__(source, options)
        self.of_video: dict[str, list[Narration]] = defaultdict(list)
        for narration in self.narrations:
            self.of_video[narration.cells["video_id"] or narration.where].append(narration)
        self.names = list(self.of_video)

    def __len__(self) -> int:
        return len(self.names)

    def name(self, i: int) -> str:
        return self.names[i]

    def read(self, i: int) -> Recording:
        video_id = self.names[i]
        narrations = self.of_video[video_id]
        try:
            path, times = self._video(video_id)
            actions: Columns = {}
            for component in self.spec.components:
                verb = isinstance(component, Discrete)
                spans = [Span(*n.times(), self._verb(n) if verb else n.text) for n in narrations]
                values = over_actions(times, spans, -1 if verb else "")
                actions[component.name] = np.array(values, np.int64 if verb else object)
        except DatasetError as error:
            raise DatasetError(f"{video_id}: {error}") from None
        metadata = {"video": video_id, "narrations": len(narrations)}
        return Recording(video_id, times, {"head": partial(read_frames, path)}, actions, self.spec, metadata=metadata)


def detect(path: Path) -> bool:
    """A csv with the columns of EPIC-KITCHENS, or a folder that has one, at most one folder down."""
    if path.is_file():
        return path.suffix.lower() == ".csv" and is_annotations(path)
    return any(is_annotations(table) for table in csv_files(path))


def _spec(narrations: list[Narration], table: Path, options: SourceOptions) -> ActionSpec:
    offered = ("narration", "verb")
    if options.action not in (None, *offered):
        raise DatasetError(f"action {options.action!r}: EPIC-KITCHENS has {' and '.join(offered)}")
    if options.labels and options.action == "narration":
        raise DatasetError("labels name verbs, and the action is the narration alone")
    wanted = offered if options.action is None else (options.action,)
    if wanted == offered and not options.labels and all(narration.verb_class is None for narration in narrations):
        wanted = ("narration",)
    components: list[Component] = []
    if "narration" in wanted:
        components.append(Language("narration", max(256, *(len(n.cells["narration"]) for n in narrations))))
    if "verb" in wanted:
        components.append(Discrete("verb", options.labels or verb_labels(narrations, table)))
    return spec_of(components, str(table))
