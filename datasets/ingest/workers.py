"""Recordings staged in this process or in several, and what to do when one takes its process down."""

from __future__ import annotations

import itertools
import multiprocessing
import signal
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from typing import Any

from slowfast.datasets.ingest.formats import open_source
from slowfast.datasets.ingest.recording import Reader
from slowfast.datasets.ingest.staging import Ingestion, Outcome, remove_parts, stage_recording
from slowfast.datasets.orphans import end_with_parent


def outcomes(
    ingestion: Ingestion, reader: Reader, stage: Path, todo: list[int], workers: int
) -> Iterator[tuple[int, Outcome]]:
    """Number and outcome of each recording of ``todo`` as it is through, in any order."""
    if workers <= 1 or len(todo) <= 1:
        for i in todo:
            yield i, stage_recording(ingestion, reader, stage, i)
        return
    remaining, travelling = list(todo), _travelling(reader)
    while remaining:
        started: dict[Future[Outcome], int] = {}
        stop = _flag()
        pool = _pool(min(workers, len(remaining)), ingestion, travelling, stage, stop)
        try:
            waiting = iter(list(remaining))
            for i in itertools.islice(waiting, 2 * workers):
                started[pool.submit(_work, i)] = i
            while started:
                finished, _ = wait(started, return_when=FIRST_COMPLETED)
                for future in finished:
                    i = started[future]
                    outcome = future.result()
                    del started[future]
                    remaining.remove(i)
                    yield i, outcome
                    for following in itertools.islice(waiting, 1):
                        started[pool.submit(_work, following)] = following
        except BrokenProcessPool:  # a decoder took its process down: those in hand go one by one, to find it
            suspects = sorted(started.values())
            remaining = [i for i in remaining if i not in suspects]
            yield from _one_by_one(ingestion, reader, travelling, stage, suspects)
        finally:
            stop.value = True
            pool.shutdown(wait=True, cancel_futures=True)


def _one_by_one(
    ingestion: Ingestion, reader: Reader, travelling: Reader | None, stage: Path, suspects: list[int]
) -> Iterator[tuple[int, Outcome]]:
    waiting = list(suspects)
    while waiting:
        i, stop = waiting[0], _flag()
        with _pool(1, ingestion, travelling, stage, stop) as pool:
            try:
                for i in suspects[-len(waiting) :]:
                    outcome = pool.submit(_work, i).result()
                    waiting.remove(i)
                    yield i, outcome
            except BrokenProcessPool:
                waiting.remove(i)
                remove_parts(stage, i)
                said = "the process that read it died; the file is damaged or too large"
                yield i, {"error": f"{reader.name(i)}: {said}"}
            finally:
                stop.value = True


def _flag() -> Any:
    """A flag that workers read. Without a lock, unlike an Event: a worker that dies holding it would never let go."""
    return multiprocessing.get_context("spawn").RawValue("b", False)


def _travelling(reader: Reader) -> Reader | None:
    """The reader, if it can be sent to a worker; else the worker opens the source anew."""
    try:
        ForkingPickler.dumps(reader)
    except Exception:  # whatever a reader's parts raise who cannot be sent
        return None
    return reader


def _pool(workers: int, ingestion: Ingestion, travelling: Reader | None, stage: Path, stop: Any) -> ProcessPoolExecutor:
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(workers, context, _start_worker, (ingestion, travelling, stage, stop))


_worker: dict[str, Any] = {}


def _start_worker(ingestion: Ingestion, reader: Reader | None, stage: Path, stop: Any) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent ends the pool
    _worker.update(ingestion=ingestion, reader=reader, stage=stage, stop=stop)
    end_with_parent()


def _work(i: int) -> Outcome:
    ingestion = _worker["ingestion"]
    if _worker["reader"] is None:  # not in the initialiser, whose errors the pool swallows
        _worker["reader"] = open_source(ingestion.source, ingestion.format, ingestion.options)[1]
    return stage_recording(ingestion, _worker["reader"], _worker["stage"], i, lambda: bool(_worker["stop"].value))
