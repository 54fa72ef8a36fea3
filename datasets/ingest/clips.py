"""Clips with annotations as recordings: what the readers for folders, shards and the like have in common."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from slowfast.actions import ActionError
from slowfast.datasets.episode import DatasetError
from slowfast.datasets.ingest.annotations import Annotations
from slowfast.datasets.ingest.cells import read_cells
from slowfast.datasets.ingest.infer import SENTENCE, Actions, Inference
from slowfast.datasets.ingest.laying import laid
from slowfast.datasets.ingest.recording import Recording
from slowfast.datasets.ingest.video import Video, frame_times, read_frames

CAMERA = "camera"
Parts = Sequence[Annotations]


@dataclass(frozen=True)
class Survey:
    """What all annotations of a source have in common. ``unread``: columns that nothing was made of."""

    actions: Actions
    unread: tuple[str, ...]


def survey(count: int, parts_of: Callable[[int], Parts], labels: Sequence[str], source: str) -> Survey:
    """Reads the annotations of ``count`` clips, one after another, and no video.

    A clip whose annotations raise :class:`DatasetError` is left out; where all do, the first error is raised.
    """
    inference, first = Inference(labels), None
    unread: set[str] = set()
    for i in range(count):
        try:
            parts = parts_of(i)
            for part in parts:
                _add(inference, part)
            unread.update(name for part in parts for name in part.unread)
        except DatasetError as error:
            first = first or error
    try:
        return Survey(inference.actions(), tuple(sorted(unread)))
    except DatasetError as error:
        raise first or DatasetError(f"{source}: {error}") from error


def _add(inference: Inference, part: Annotations) -> None:
    try:
        inference.add(part.actions)
    except DatasetError as error:
        raise DatasetError(f"{part.where}: {error}") from error


def clip_recording(name: str, video: Video, parts: Parts, actions: Actions) -> Recording:
    """One clip. Raises :class:`DatasetError` naming it where its annotations do not fit its frames or the source."""
    times = frame_times(video)
    if len(times) < 2:
        raise DatasetError(f"{name}: has one frame; a clip needs at least 2")
    rows = laid(parts, times, name)
    try:
        columns = actions.columns(rows["actions"], len(times) - 1)
    except (DatasetError, ActionError) as error:
        raise DatasetError(f"{name}: {error}") from error
    said = [part.actions[SENTENCE] for part in parts if part.shape == "clip" and SENTENCE in part.actions]
    sentence = read_cells(SENTENCE, said[0]).as_words()[0] if said else ""
    return Recording(
        name,
        times,
        {CAMERA: partial(read_frames, video)},
        columns,
        actions.spec,
        rows["outcomes"].get("rewards"),
        rows["outcomes"].get("terminations"),
        rows["outcomes"].get("truncations"),
        states=rows["states"],
        metadata={"instruction": sentence} if sentence else {},
    )
