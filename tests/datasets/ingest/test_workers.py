"""Readers and workers that fail: each costs its own recording, and a full disk stops everything."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from ingestions import StopAfter, Stopped, first_frames, odd

from slowfast.datasets import hdf5
from slowfast.datasets.episode import DatasetError
from slowfast.datasets.ingest.pipeline import STAGE, Ingestion, ingest
from slowfast.datasets.ingest.policy import FramePolicy
from slowfast.datasets.store import Store


def test_errors_that_no_reader_foresaw_take_no_other_recording_with_them(tmp_path: Path) -> None:
    report = ingest(odd("Unforeseen", 5, policy=FramePolicy(max_frames=3)), tmp_path)
    assert report.skipped == {
        "recording 1": "recording 1: cannot be read (KeyError: 'key')",
        "recording 3": "recording 3: needs more memory than there is",
    }
    assert first_frames(tmp_path) == [0, 2, 4, 20, 22, 24, 40, 42, 44]
    assert not list((tmp_path / STAGE).glob("*.h5"))


def test_a_full_disk_stops_everything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(hdf5, "write_file", full)
    with pytest.raises(OSError, match="No space left"):
        ingest(odd("Plain", 2), tmp_path)
    monkeypatch.undo()
    assert ingest(odd("Plain", 2), tmp_path).episodes == 2


def test_a_worker_that_dies_costs_only_its_recording(tmp_path: Path) -> None:
    report = ingest(odd("Deadly", 4, policy=FramePolicy(max_frames=3)), tmp_path, workers=2)
    assert report.skipped == {
        "recording 2": "recording 2: the process that read it died; the file is damaged or too large"
    }
    assert first_frames(tmp_path) == [0, 2, 4, 10, 12, 14, 30, 32, 34]
    assert not list((tmp_path / STAGE).glob("*.h5"))


def test_readers_of_ones_own_work_in_workers_even_if_they_cannot_be_sent_there(tmp_path: Path) -> None:
    assert ingest(odd("Homebound", 4), tmp_path, workers=2).episodes == 4
    assert first_frames(tmp_path) == [0, 10, 20, 30]
    assert all(episode.metadata["process"] != os.getpid() for episode in Store(tmp_path))


def test_a_reader_that_is_not_there_is_named(tmp_path: Path) -> None:
    for name in ("odd_readers:Nothing", "no_such_module:Plain", ":x"):
        with pytest.raises(DatasetError, match=rf'format \'{name}\': expected "module:class" of a reader'):
            ingest(Ingestion("2", name), tmp_path)


def test_stopping_does_not_wait_for_the_end_of_a_long_recording(tmp_path: Path) -> None:
    with pytest.raises(Stopped):
        ingest(odd("Long", 2, policy=FramePolicy(max_frames=5)), tmp_path, workers=2, progress=StopAfter(1))
    assert len(list((tmp_path / STAGE).glob("00000001-*.h5"))) < 100  # of 1000
