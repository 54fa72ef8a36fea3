"""What comes of ingesting damaged sets: read, skipped and named, or refused; anything else is a fault.

The small sets of `benchmarks/formats.py`, each round with one file damaged at random: bytes changed, a run zeroed, the
end cut off, a piece of another file spliced in, a figure changed, emptied, or removed. Half of the places lie near a
file's ends, where headers are. Rounds run in a child process with a limit of memory and of time; a child that dies is
replaced. A round is decided by the seed, the set's name and its number, so that one can be had again:

    python benchmarks/fuzz.py --rounds 300
    python benchmarks/fuzz.py --only vpt --first 17 --rounds 1
"""

from __future__ import annotations

import contextlib
import dataclasses
import faulthandler
import multiprocessing
import os
import re
import resource
import shutil
import tempfile
import time
import traceback
import zlib
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import foreign_rlds
import numpy as np
import tyro
from foreign_sets import SmallSet
from format_tables import BAD, OUTCOMES, fuzz_table
from formats import original, small_sets
from fuzz_damage import KINDS, damage
from report import RESULTS, machine, write_json

from slowfast.datasets.episode import DatasetError
from slowfast.datasets.ingest.pipeline import Ingestion, ingest
from slowfast.datasets.store import Store

ROOT = str(Path(__file__).parents[1])
A_CHILD = 200
"""Rounds after which a child is replaced, so that what a library leaks is not taken for what a file costs."""
START_SECONDS = 120
SHORT_OF_MEMORY = re.compile(r"needs more memory|MemoryError|malloc of size|out of memory", re.IGNORECASE)
"""In a reason. FFmpeg's "Cannot allocate memory" is none: so it answers tables that are longer than it takes, without
having asked for any."""
RESIDENT_MEBIBYTES = 1024
"""By which a round may make the process larger, before it counts as short of memory too; undamaged sets need 200 in
all."""
SHOWN = 5


@dataclass(frozen=True)
class Settings:
    """``rounds``: a set, from number ``first`` on; ``only``: names of sets (default: all); ``gibibytes`` of address
    space and ``seconds`` a round that a child may take; ``episodes`` of ``steps`` actions and ``side`` pixels. ``out``:
    by default the JSON that the page is made of, and none where ``only`` leaves something out."""

    rounds: int = 300
    first: int = 0
    only: tuple[str, ...] = ()
    seed: int = 0
    gibibytes: float = 4.0
    seconds: float = 20.0
    episodes: int = 2
    steps: int = 12
    side: int = 32
    out: Path | None = None


@dataclass(frozen=True)
class Round:
    """``outcome``: a key of ``OUTCOMES``. ``damage``: what was done to which file; ``said``: the reason given.
    ``seconds`` by the clock, and of processor time, which other work on the machine spares."""

    number: int
    outcome: str
    damage: str
    said: str
    seconds: float
    processor_seconds: float
    peak_mebibytes: float


def main(settings: Settings) -> int:
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        store = original(None, settings.episodes, settings.steps, folder, settings.side)
        for name, written in small_sets(store, folder / "sets"):
            if settings.only and name not in settings.only:
                continue
            rows.append({"name": name, "title": written.title, **counted(rounds(name, written, settings))})
            print(rows[-1]["title"], rows[-1]["counts"], f"{rows[-1]['seconds']:.0f} s", flush=True)
    asked = {name: value for name, value in dataclasses.asdict(settings).items() if name not in ("out", "only")}
    result = {"machine": machine(threads=1), "settings": asked, "rows": rows}
    out = settings.out or (None if settings.only else RESULTS / "fuzz.json")
    if out:
        write_json(out, result)
    print(fuzz_table(result))
    return int(any(row["counts"][outcome] for row in rows for outcome in BAD))


def rounds(name: str, written: SmallSet, settings: Settings) -> list[Round]:
    """All rounds of a set, in their order, by one child after another."""
    done: list[Round] = []
    first, last = settings.first, settings.first + settings.rounds
    while first < last:
        numbers = range(first, min(first + A_CHILD, last))
        done += _in_a_child(name, written, settings, numbers)
        first = done[-1].number + 1
    return done


def _in_a_child(name: str, written: SmallSet, settings: Settings, numbers: range) -> list[Round]:
    """The rounds that a child did, of which the last may have been its end."""
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe(duplex=False)
    done: list[Round] = []
    with tempfile.TemporaryDirectory() as scratch:
        child = spawn.Process(target=_child, args=(theirs, name, written, settings, numbers, Path(scratch)))
        child.start()
        theirs.close()
        if not ours.poll(START_SECONDS):
            child.kill()
            raise TimeoutError(f"{name}: no child could be started within {START_SECONDS} s")
        try:
            ours.recv()  # it is ready
            while len(done) < len(numbers):
                if not ours.poll(settings.seconds):
                    child.kill()
                    done.append(_ended("slow", numbers[len(done)], f"more than {settings.seconds:g} s", scratch))
                    break
                done.append(ours.recv())
        except EOFError:
            child.join()
            done.append(_ended("died", numbers[len(done)], f"exit status {child.exitcode}", scratch))
        child.join()
    return done


def _ended(outcome: str, number: int, said: str, scratch: str) -> Round:
    damage, log = (Path(scratch) / name for name in ("damage", "stderr"))
    tail = log.read_text(errors="replace")[-2000:] if log.exists() else ""
    return Round(number, outcome, damage.read_text() if damage.exists() else "", f"{said}\n{tail}", 0.0, 0.0, 0.0)


def _child(pipe: Connection, name: str, written: SmallSet, settings: Settings, numbers: range, scratch: Path) -> None:
    log = os.open(scratch / "stderr", os.O_WRONLY | os.O_CREAT)
    os.dup2(log, 1)
    os.dup2(log, 2)  # what C libraries say of damaged files would fill the terminal
    faulthandler.enable()
    in_place = dataclasses.replace(written, folder=scratch / "set", source=_moved(written, scratch / "set"))
    options = in_place.options
    if options.mapping:
        in_place = dataclasses.replace(
            in_place, options=dataclasses.replace(options, mapping=scratch / "set" / options.mapping.name)
        )
    foreign_rlds.folder = in_place.folder
    whole = _warm_up(written, in_place, scratch)
    limit = int(settings.gibibytes * 2**30)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    pipe.send("ready")
    for number in numbers:
        pipe.send(one_round(name, written, in_place, settings.seed, number, scratch, whole))


def _moved(written: SmallSet, folder: Path) -> str:
    return str(folder) if written.source == str(written.folder) else written.source


def _warm_up(written: SmallSet, in_place: SmallSet, scratch: Path) -> int:
    """Imports are no part of a round's time. The frames that the set has undamaged."""
    shutil.copytree(written.folder, in_place.folder)
    return ingest(Ingestion(in_place.source, in_place.format, in_place.options), scratch / "warm").frames


def one_round(
    name: str, written: SmallSet, in_place: SmallSet, seed: int, number: int, scratch: Path, whole: int
) -> Round:
    """Damages a fresh copy in ``in_place`` and ingests it; ``whole``: frames that it has undamaged."""
    random = np.random.default_rng((seed, zlib.crc32(name.encode()), number))
    for folder in (in_place.folder, scratch / "out"):
        shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(written.folder, in_place.folder)
    said = damage(in_place.folder, random)
    (scratch / "damage").write_text(said)
    before = _peak(anew=True)
    clock, processor = time.perf_counter(), time.process_time()
    named = in_place.named or number % 2 == 0
    ingestion = Ingestion(in_place.source, in_place.format if named else None, in_place.options)
    outcome, reason = _outcome(ingestion, scratch / "out", whole)
    clock, processor = time.perf_counter() - clock, time.process_time() - processor
    peak = _peak()
    outcome = "memory" if peak - before > RESIDENT_MEBIBYTES else outcome
    reason = reason.replace(str(scratch), ".").replace(ROOT, ".")[:2000]
    return Round(number, outcome, said, reason, clock, processor, peak)


def _peak(anew: bool = False) -> float:
    """MiB that this process held at most; ``anew``: since now, where the system allows it. (``ru_maxrss`` would do, but
    a child begins with its parent's.)"""
    if anew:
        with contextlib.suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")
    held = re.search(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text())
    return int(held.group(1)) / 2**10 if held else 0.0


def _outcome(ingestion: Ingestion, out: Path, whole: int) -> tuple[str, str]:
    try:
        report = ingest(ingestion, out)
        for episode in Store(out):  # whatever was written can be read
            del episode
    except DatasetError as error:
        return _unless_memory("refused", str(error))
    except MemoryError:
        return "memory", traceback.format_exc()
    except Exception:
        return "raised", traceback.format_exc()
    if report.skipped:
        return _unless_memory("skipped", "\n".join(report.skipped.values()))
    return ("read" if report.frames >= whole else "fewer"), f"{report.format}, {report.frames} of {whole} frames"


def _unless_memory(outcome: str, said: str) -> tuple[str, str]:
    return ("memory" if SHORT_OF_MEMORY.search(said) else outcome), said


def counted(done: list[Round]) -> dict[str, Any]:
    """Counts by outcome; every fault (the first few in full), the slowest round and the largest child."""
    faults = [dataclasses.asdict(one) for one in done if one.outcome in BAD]
    return {
        "rounds": len(done),
        "counts": {outcome: sum(one.outcome == outcome for one in done) for outcome in OUTCOMES},
        "damage": {kind: sum(one.damage.endswith(f" {kind}") for one in done) for kind in KINDS},
        "seconds": sum(one.seconds for one in done),
        "slowest_processor_seconds": max(one.processor_seconds for one in done),
        "peak_mebibytes": max(one.peak_mebibytes for one in done),
        "faults": faults[:SHOWN],
        "fault_rounds": [fault["number"] for fault in faults],
    }


if __name__ == "__main__":
    raise SystemExit(main(tyro.cli(Settings, description=__doc__)))
