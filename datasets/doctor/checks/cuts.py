"""Scene cuts inside a clip."""

from __future__ import annotations

from collections.abc import Iterator

from slowfast.datasets.doctor.check import Check
from slowfast.datasets.doctor.finding import Finding
from slowfast.datasets.doctor.footage import Clip
from slowfast.datasets.doctor.spool import Spool


class SceneCuts(Check):
    """Scene cuts inside a clip, each at the first frame of the new scene."""

    name = "scene-cuts"

    def __init__(self, spool: Spool) -> None:
        super().__init__(spool)
        self._unseen = False

    def look(self, clip: Clip) -> Iterator[Finding]:
        for camera, look in clip.looks.items():
            self._unseen = self._unseen or look.cuts is None
            for cut in look.cuts or ():
                said = "another scene begins here: no action leads to it"
                fix = "`slowfast doctor DIR --split-cuts OUT` writes a copy in which clips end where their scene ends"
                yield self.found("warning", said, fix, clip, cut, camera)

    def conclude(self) -> Iterator[Finding]:
        if self._unseen:
            said = "scene cuts were not looked for: PySceneDetect is not installed"
            yield self.found("note", said, "pip install 'slowfast[eval]'")
