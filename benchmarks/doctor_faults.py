"""What the doctor finds of faults that were planted, and what it says of sets without any.

Sets of DoomRooms, 24 training and 8 validation episodes of test worlds each, are examined as they are, with the action
as a choice and as a vector: nothing may be said but notes. Then each kind of fault of ``doctor_plants.py`` is planted
into copies of the first, decided by a seed; found is what its own check reports as an error or a warning in the right
episode. Prints a table and writes JSON.

    python benchmarks/doctor_faults.py
"""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tyro
from doctor_copies import TRAIN, VALIDATION, Copy, Planted, as_vector
from doctor_plants import FAULTS, Fault
from format_tables import doctor_table
from report import RESULTS, write_json

from slowfast.datasets.collect import collect
from slowfast.datasets.doctor.examine import examine, footage
from slowfast.datasets.doctor.finding import Finding
from slowfast.envs.doom_rooms.splits import SEED_RANGES

POLICY = "slowfast.envs.policies:make_policy:explore"
NEAR = 3
"""Frames by which a finding may miss the first frame of a fault."""


@dataclass(frozen=True)
class Settings:
    """``clean``: sets without faults; ``each``: faults of a kind, at least, in as many copies of the first set as it
    takes; ``only``: checks to plant for (default: all). ``out``: by default the JSON that the page is made of, and none
    where ``only`` leaves something out."""

    clean: int = 3
    each: int = 8
    train: int = 24
    validation: int = 8
    steps: int = 64
    only: tuple[str, ...] = ()
    seed: int = 0
    out: Path | None = None


def main(settings: Settings) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        clean = [clean_set(settings, number, folder / f"clean-{number}") for number in range(settings.clean)]
        silent = []
        for number, (choices, vectors) in enumerate(clean):
            for kind, path in (("choice", choices), ("vector", vectors)):
                alarms = [finding.described() for finding in examined(path)]
                silent.append({"set": number, "action": kind, "alarms": alarms})
                print(f"clean set {number}, {kind}: {len(alarms)} alarms", flush=True)
        rows = []
        for number, fault in enumerate(FAULTS):
            if settings.only and fault.check not in settings.only:
                continue
            rows.append(planted(fault, clean[0][fault.vectors], settings, number, folder / "planted"))
            print(rows[-1], flush=True)
    asked = {name: getattr(settings, name) for name in ("train", "validation", "steps", "seed")}
    result = {"settings": {**asked, "clean": settings.clean}, "clean": silent, "rows": rows}
    out = settings.out or (None if settings.only else RESULTS / "doctor_faults.json")
    if out:
        write_json(out, result)
    print(doctor_table(result))


def clean_set(settings: Settings, number: int, folder: Path) -> tuple[Path, Path]:
    """A set with choices and the same with vectors; no world is in two sets or splits."""
    size = settings.train + settings.validation
    seeds = SEED_RANGES["test"][-(number + 1) * size :][:size]
    parts = {TRAIN: seeds[: settings.train], VALIDATION: seeds[settings.train :]}
    for split, worlds in parts.items():
        collect("slowfast/DoomRooms-v0", POLICY, worlds, folder / "choice" / split, steps=settings.steps)
    vectors = Copy(folder / "choice", folder / "vector")
    vectors.change_all(as_vector)
    return folder / "choice", folder / "vector"


def examined(folder: Path) -> list[Finding]:
    """All but notes."""
    name, splits = footage(folder)
    return [finding for finding in examine(splits, format=name).findings if finding.severity != "note"]


def planted(fault: Fault, clean: Path, settings: Settings, number: int, folder: Path) -> dict[str, Any]:
    """How many faults of a kind were planted and found, how many at their frame, and what else was said."""
    counts: Counter[str] = Counter()
    others: Counter[str] = Counter()
    while counts["planted"] < settings.each:
        copy = Copy(clean, folder)
        places = fault.plant(copy, np.random.default_rng((settings.seed, number, counts["sets"])))
        findings = examined(copy.folder)
        shutil.rmtree(folder)
        counts["sets"] += 1
        for place in places:
            of_it = [finding for finding in findings if _found(finding, fault, place)]
            counts["planted"] += 1
            counts["found"] += bool(of_it)
            if place.frame is not None:
                counts["with_frame"] += 1
                counts["at_frame"] += any(abs((finding.frame or 0) - place.frame) <= NEAR for finding in of_it)
        others.update(_others(findings, fault, places))
    names = ("sets", "planted", "found", "with_frame", "at_frame")
    return {"check": fault.check, "what": fault.what, **{n: counts[n] for n in names}, "others": dict(others)}


def _found(finding: Finding, fault: Fault, place: Planted) -> bool:
    return (
        finding.check == fault.check
        and place.split in (None, finding.split)
        and place.episode in (None, finding.episode)
    )


def _others(findings: Iterable[Finding], fault: Fault, places: list[Planted]) -> Iterable[str]:
    """Checks that said something which is no fault that was planted."""
    for finding in findings:
        if not any(_found(finding, fault, place) for place in places):
            yield finding.check


if __name__ == "__main__":
    main(tyro.cli(Settings, description=__doc__))
