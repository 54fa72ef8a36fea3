"""Whether the splits of a data set fit together."""

from __future__ import annotations

from collections.abc import Iterator

from slowfast.datasets.doctor.check import Check
from slowfast.datasets.doctor.checks.videos import SAME_RATE
from slowfast.datasets.doctor.finding import Finding
from slowfast.datasets.doctor.footage import Clip
from slowfast.datasets.doctor.spool import Spool


class SplitsAgree(Check):
    """The first episode of each split against that of the first split: actions, cameras and sizes, frame rate."""

    name = "splits-agree"
    whole = True

    def __init__(self, spool: Spool) -> None:
        super().__init__(spool)
        self._first: Clip | None = None
        self._seen: set[str | None] = set()

    def look(self, clip: Clip) -> Iterator[Finding]:
        if clip.split in self._seen:
            return
        self._seen.add(clip.split)
        if self._first is None:
            self._first = clip
            return
        first = self._first
        if clip.spec != first.spec:
            said = f"actions differ from those of {first.split}: {_names(clip)} against {_names(first)}"
            yield self.found("error", said, "ingest all splits with the same options", clip, 0)
        sizes = [{name: look.size for name, look in one.looks.items()} for one in (clip, first)]
        if sizes[0] != sizes[1]:
            said = f"frames differ from those of {first.split}: {_sized(sizes[0])} against {_sized(sizes[1])}"
            yield self.found("error", said, "ingest all splits with one --policy.size", clip, 0)
        if abs(clip.fps / first.fps - 1) > SAME_RATE:
            said = f"{clip.fps:.4g} frames a second, against {first.fps:.4g} in {first.split}"
            yield self.found("warning", said, "ingest all splits with one --policy.fps", clip, 0)


def _names(clip: Clip) -> str:
    return ", ".join(f"{component.name} ({component.kind})" for component in clip.spec.components)


def _sized(sizes: dict[str, tuple[int, int]]) -> str:
    return ", ".join(f"{name} {height}x{width}" for name, (height, width) in sorted(sizes.items()))
