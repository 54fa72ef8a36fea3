"""Sentences that never vary, or are empty."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from slowfast.actions import ActionSpec, Language
from slowfast.datasets.doctor.acting import missing
from slowfast.datasets.doctor.check import Check, Place
from slowfast.datasets.doctor.finding import Finding
from slowfast.datasets.doctor.footage import Clip
from slowfast.datasets.doctor.spool import Spool

INSTRUCTION = "instruction"
"""The metadata of an episode that a sentence for the whole of it lies in."""
COUNTED = 1000
"""Distinct sentences that are remembered."""


class LanguageVaries(Check):
    """Of language components that put no other component in words, and of the episodes' instructions."""

    name = "language"

    def __init__(self, spool: Spool) -> None:
        super().__init__(spool)
        self._spec: ActionSpec | None = None
        self._clips = 0
        self._sentences: dict[str, set[str]] = {}
        self._blank: dict[str, list[Place]] = {}  # the first without a sentence
        self._blanks: dict[str, int] = {}

    def look(self, clip: Clip) -> Iterator[Finding]:
        self._clips += 1
        self._spec = clip.spec
        for component in clip.spec.components:
            if not isinstance(component, Language) or component.describes is not None:
                continue
            column = clip.actions[component.name]
            self._heard(clip, repr(component.name), set(column[~missing(component, column)].tolist()))
        instruction = clip.metadata.get(INSTRUCTION)
        self._heard(clip, INSTRUCTION, {instruction} if isinstance(instruction, str) else set())
        yield from ()

    def conclude(self) -> Iterator[Finding]:
        for name, sentences in self._sentences.items():
            alone = name != INSTRUCTION and self._spec is not None and len(self._spec.components) == 1
            blanks = self._blanks.get(name, 0)
            if not sentences and name == INSTRUCTION and not self._any_instruction:
                continue
            if not sentences:
                said = f"{name} is empty in all {self._clips} episodes"
                yield self.found("warning", said, "say where the sentences are, or leave it out")
            elif blanks:
                said = f"{name} is empty in {blanks} of {self._clips} episodes; this is the first"
                yield self.found("warning", said, "write what happens there, or leave it out", self._blank[name][0], 0)
            if len(sentences) == 1 and self._clips > 1:
                said = f"{name} is always {next(iter(sentences))!r}"
                fix = "nothing can be learned from it: describe what differs, or leave it out"
                yield self.found("warning" if alone else "note", said, fix)

    def measured(self) -> dict[str, Any]:
        return {name: len(sentences) for name, sentences in self._sentences.items() if sentences}

    _any_instruction = False

    def _heard(self, clip: Clip, name: str, sentences: set[str]) -> None:
        if name == INSTRUCTION and INSTRUCTION in clip.metadata:
            self._any_instruction = True
        told = {sentence for sentence in sentences if sentence.strip()}
        known = self._sentences.setdefault(name, set())
        known.update(told if len(known) < COUNTED else ())
        if not told:
            self._blanks[name] = self._blanks.get(name, 0) + 1
            self._blank.setdefault(name, [Place.of(clip)])
