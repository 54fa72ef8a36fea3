"""What a check is."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from slowfast.datasets.doctor.finding import Finding, Severity
from slowfast.datasets.doctor.footage import Clip
from slowfast.datasets.doctor.spool import Spool


class Check:
    """Looks at every clip once, in order, and concludes when it has seen them all; overrides what it needs.

    What it keeps of a clip has to be small; the rest goes into ``spool``. ``name`` is how findings, ``--json`` and the
    documentation call it. ``whole``: it sees all splits of a data set; otherwise there is one for every split.
    """

    name: ClassVar[str]
    whole: ClassVar[bool] = False

    def __init__(self, spool: Spool) -> None:
        self.spool = spool

    def look(self, clip: Clip) -> Iterable[Finding]:
        """What is wrong with this clip by itself."""
        return ()

    def conclude(self) -> Iterable[Finding]:
        """What shows only in all clips together."""
        return ()

    def measured(self) -> dict[str, Any]:
        """Figures for the report, whether or not something is wrong: JSON-compatible, short. After ``conclude``."""
        return {}

    def found(
        self,
        severity: Severity,
        message: str,
        fix: str,
        at: Clip | Place | None = None,
        frame: int | None = None,
        camera: str | None = None,
    ) -> Finding:
        """A finding of this check, in a clip or (``at`` None) in all of them."""
        place = at if at is not None else Place(None, None, 1.0)
        seconds = None if frame is None else round(frame / place.fps, 3)
        return Finding(self.name, severity, message, fix, place.split, place.name, frame, seconds, camera)


class Place:
    """What is remembered of a clip, so that a finding can name it later."""

    __slots__ = ("fps", "name", "split")

    def __init__(self, split: str | None, name: str | None, fps: float) -> None:
        self.split, self.name, self.fps = split, name, fps

    @classmethod
    def of(cls, clip: Clip) -> Place:
        return cls(clip.split, clip.name, clip.fps)
