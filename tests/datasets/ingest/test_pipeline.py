from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path

import pytest
from clips import counted, cut_off
from ingestions import StopAfter, Stopped, files, first_frames, folder_of_clips, odd

from slowfast.datasets import hdf5
from slowfast.datasets.episode import DatasetError, Episode
from slowfast.datasets.ingest.formats import SourceOptions
from slowfast.datasets.ingest.pipeline import REPORT, STAGE, Damaged, Ingestion, ingest
from slowfast.datasets.ingest.policy import FramePolicy
from slowfast.datasets.store import Store

HELPERS = Path(__file__).parent / "helpers"


def test_a_folder_of_clips_becomes_episodes_and_a_report(tmp_path: Path) -> None:
    source, out = folder_of_clips(tmp_path / "clips", 3), tmp_path / "out"
    seen: list[tuple[int, int, int]] = []
    ingestion = Ingestion(str(source), metadata={"licence": "CC0-1.0"}, compression="none")
    report = ingest(ingestion, out, progress=lambda done, total, skipped: seen.append((done, total, skipped)))
    assert seen == [(0, 3, 0), (1, 3, 0), (2, 3, 0), (3, 3, 0)]
    assert (report.format, report.recordings, report.episodes, report.frames) == ("videos", 3, 3, 27)
    assert report.seconds == pytest.approx(2.4)
    assert report.skipped == {}
    store = Store(out)
    assert [counted(episode.frames["camera"]) for episode in store] == [
        list(range(20 * k, 20 * k + 9)) for k in range(3)
    ]
    assert store[1].actions["action"].tolist() == [0, 1, 2, 0, 1, 2, 0, 1]
    assert store.metadata(2)["licence"] == "CC0-1.0"
    assert store.metadata(2)["recording"] == "2.mp4"
    assert store.fps(0) == pytest.approx(10)
    kept = json.loads((out / REPORT).read_text())
    assert kept["episodes"] == 3
    assert kept["settings"]["policy"]["fit"] == "crop"


def test_a_damaged_recording_is_skipped_named_and_counted(tmp_path: Path) -> None:
    source, out = folder_of_clips(tmp_path / "clips", 4), tmp_path / "out"
    cut_off(source / "1.mp4")
    (source / "3.csv").write_text("action\n1\n")
    counts: list[int] = []
    report = ingest(Ingestion(str(source)), out, progress=lambda *_, skipped: counts.append(skipped))
    assert (report.recordings, report.episodes, counts[-1]) == (4, 2, 2)
    assert list(report.skipped) == ["1.mp4", "3.mp4"]
    assert "cut off" in report.skipped["1.mp4"]
    assert "expected 9 or 8 rows in 3.csv, got 1" in report.skipped["3.mp4"]
    assert json.loads((out / REPORT).read_text())["skipped"] == report.skipped
    assert first_frames(out) == [0, 40]
    assert [path.name for path in sorted((out / "episodes").iterdir())] == ["000000.h5", "000001.h5"]
    assert not list((out / STAGE).glob("*.h5"))


def test_strict_stops_at_what_would_be_skipped_and_at_what_was(tmp_path: Path) -> None:
    source, out = folder_of_clips(tmp_path / "clips", 3), tmp_path / "out"
    cut_off(source / "1.mp4")
    with pytest.raises(Damaged, match=r"1\.mp4: .*cut off.*strict: nothing is skipped"):
        ingest(Ingestion(str(source)), out, strict=True)
    assert not list(out.glob("episodes/*"))
    ingest(Ingestion(str(source)), out)
    with pytest.raises(Damaged, match=r"1\.mp4"):
        ingest(Ingestion(str(source)), out, strict=True)


def test_numbers_do_not_depend_on_workers(tmp_path: Path) -> None:
    source = folder_of_clips(tmp_path / "clips", 6)
    cut_off(source / "2.mp4")
    policy = FramePolicy(fps=5, max_frames=3)
    reports = [
        ingest(Ingestion(str(source), policy=policy), tmp_path / str(workers), workers=workers) for workers in (1, 2)
    ]
    assert reports[0] == reports[1]
    assert files(tmp_path / "1") == files(tmp_path / "2")
    assert first_frames(tmp_path / "2") == [0, 4, 20, 24, 60, 64, 80, 84, 100, 104]


@pytest.mark.parametrize(("workers", "stops"), [(1, (1, 4)), (2, (4,))])
def test_what_was_stopped_midway_continues_to_the_same_bytes(
    tmp_path: Path, workers: int, stops: tuple[int, ...]
) -> None:
    source = folder_of_clips(tmp_path / "clips", 6)
    ingestion = Ingestion(str(source), policy=FramePolicy(max_frames=4))
    whole = ingest(ingestion, tmp_path / "whole")
    cut = tmp_path / "cut"
    for count in stops:
        with pytest.raises(Stopped):
            ingest(ingestion, cut, workers=workers, progress=StopAfter(count))
    assert not list(cut.glob("episodes/*"))
    assert len(list((cut / STAGE).glob("*.json"))) >= 4
    seen: list[int] = []
    again = ingest(ingestion, cut, workers=workers, progress=lambda done, *_, **__: seen.append(done))
    assert seen[0] >= 4
    assert again == whole
    assert files(cut) == files(tmp_path / "whole")


def test_a_finished_ingestion_does_nothing_more_and_can_be_extended(tmp_path: Path) -> None:
    source, out = folder_of_clips(tmp_path / "clips", 5), tmp_path / "out"
    ingestion = Ingestion(str(source))
    assert ingest(ingestion, out, limit=2).episodes == 2
    before = {path: path.stat().st_mtime_ns for path in out.glob("episodes/*")}
    assert ingest(ingestion, out, limit=2).episodes == 2
    assert ingest(ingestion, out).episodes == 5
    assert first_frames(out) == [0, 20, 40, 60, 80]
    assert before.items() <= {path: path.stat().st_mtime_ns for path in out.glob("episodes/*")}.items()


def test_a_killed_ingestion_leaves_nothing_half_written_and_continues(tmp_path: Path) -> None:
    source = folder_of_clips(tmp_path / "clips", 8, frames=30)
    cut = tmp_path / "cut"
    arguments = ["ingest", str(source), "--out", str(cut), "--workers", "2", "--policy.max-frames", "10"]
    command = [sys.executable, "-m", "slowfast.cli", *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
    deadline = time.monotonic() + 240
    while len(list(cut.glob(f"{STAGE}/*.json"))) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.kill()
    process.communicate(timeout=60)  # its workers hold these pipes too, and end with it
    for path in cut.glob(f"{STAGE}/*.h5"):
        hdf5.open_file(path).close()
    half = cut / STAGE / ".00000007-00000.h5.999999999.tmp"
    half.write_bytes(b"half an episode")
    ingestion = Ingestion(str(source), policy=FramePolicy(max_frames=10), metadata={"source": str(source)})
    ingest(ingestion, cut)
    ingest(ingestion, tmp_path / "whole")
    assert files(cut) == files(tmp_path / "whole")
    assert not list((cut / STAGE).glob("*.h5"))
    assert not half.exists()


def test_other_settings_are_refused(tmp_path: Path) -> None:
    source, out = folder_of_clips(tmp_path / "clips", 2), tmp_path / "out"
    ingest(Ingestion(str(source)), out)
    for other, key in (
        (Ingestion(str(source), policy=FramePolicy(fps=5)), "policy"),
        (Ingestion(str(folder_of_clips(tmp_path / "others", 1))), "source"),
        (Ingestion(str(source), options=SourceOptions(labels=("a", "b", "c"))), "options"),
        (Ingestion(str(source), compression="none"), "compression"),
    ):
        with pytest.raises(DatasetError, match=rf"ingest\.json: was begun with other settings \({key}\); choose"):
            ingest(other, out)


def test_a_source_that_has_changed_is_refused(tmp_path: Path) -> None:
    source, out = folder_of_clips(tmp_path / "clips", 3), tmp_path / "out"
    with pytest.raises(Stopped):
        ingest(Ingestion(str(source)), out, progress=StopAfter(2))
    for suffix in (".mp4", ".csv"):
        (source / f"00{suffix}").write_bytes((source / f"1{suffix}").read_bytes())
    with pytest.raises(DatasetError, match=r"recording 1 was '1\.mp4' and is '00\.mp4' now; the source has changed"):
        ingest(Ingestion(str(source)), out)
    (source / "00.csv").write_text("action\n" + "7\n" * 9)
    with pytest.raises(DatasetError, match=r"the actions of .* have changed since this was begun"):
        ingest(Ingestion(str(source)), out)


def test_notes_that_did_not_reach_the_disk_are_made_again(tmp_path: Path) -> None:
    source, out = folder_of_clips(tmp_path / "clips", 2), tmp_path / "out"
    with pytest.raises(Stopped):
        ingest(Ingestion(str(source)), out, progress=StopAfter(1))
    (out / STAGE / "00000000.json").write_text("")
    assert ingest(Ingestion(str(source)), out).episodes == 2
    (out / REPORT).write_text("")
    with pytest.raises(DatasetError, match=r"ingest\.json: is damaged .*; choose another --out"):
        ingest(Ingestion(str(source)), out)


def test_names_of_files_need_not_be_text(tmp_path: Path) -> None:
    source, out = folder_of_clips(tmp_path / "clips", 1), tmp_path / "out"
    name = os.fsdecode(b"go \xff.mp4")
    try:
        (source / name).write_bytes(b"no video")
    except OSError:
        pytest.skip("this file system takes text alone")
    (source / os.fsdecode(b"go \xff.csv")).write_text("action\n1\n")
    report = ingest(Ingestion(str(source)), out)
    assert list(report.skipped) == ["go ?.mp4"]
    "".join([*report.skipped, *report.skipped.values()]).encode()


def test_a_folder_of_other_episodes_is_left_alone(tmp_path: Path) -> None:
    source, out = folder_of_clips(tmp_path / "clips", 1), tmp_path / "out"
    (out / "episodes").mkdir(parents=True)
    (out / "episodes/000000.h5").write_bytes(b"something")
    with pytest.raises(DatasetError, match="holds episodes that were not ingested; choose another --out"):
        ingest(Ingestion(str(source)), out)
    assert files(out) == {"000000.h5": b"something"}


def test_a_source_of_which_nothing_can_be_read_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    source, out = folder_of_clips(tmp_path / "clips", 2), tmp_path / "out"
    for clip in source.glob("*.mp4"):
        cut_off(clip)
    with pytest.raises(DatasetError, match=r"none of 2 recordings can be read; the first says: .*0\.mp4"):
        ingest(Ingestion(str(source)), out)
    assert list(out.iterdir()) == []


def test_a_recording_is_never_in_memory_as_a_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, out = folder_of_clips(tmp_path / "clips", 1, frames=50), tmp_path / "out"
    written: list[int] = []
    genuine = hdf5.write_file

    def watched(path: Path, episode: Episode, compression: str) -> None:
        written.append(len(episode.frames["camera"]))
        genuine(path, episode, compression)

    monkeypatch.setattr(hdf5, "write_file", watched)
    assert ingest(Ingestion(str(source), policy=FramePolicy(max_frames=8)), out).episodes == 7
    assert written == [8] * 7
    shown = [counted(episode.frames["camera"]) for episode in Store(out)]
    assert [numbers[0] for numbers in shown[1:]] == [numbers[-1] for numbers in shown[:-1]]
    assert [number for numbers in shown for number in numbers[:-1]] + [shown[-1][-1]] == list(range(50))


def test_memory_does_not_grow_with_the_number_of_recordings(tmp_path: Path) -> None:
    peaks = {}
    ingest(odd("Plain", 2), tmp_path / "first")  # what is loaded once
    for count in (8, 64):
        tracemalloc.start()
        ingest(odd("Plain", count), tmp_path / str(count))
        peaks[count] = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    frames = Store(tmp_path / "8")[0].frames["camera"].nbytes
    assert peaks[64] - peaks[8] < 56 * frames / 2  # the index grows by a line an episode, and no frames are kept
