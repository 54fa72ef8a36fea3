"""Recordings that damage hides are missed: what a source has lost is said, and not passed over."""

from __future__ import annotations

import csv
import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
from clips import counting, write_clip
from hdf5_files import opened as opened_hdf5
from hdf5_files import simple, write

from slowfast.datasets.episode import DatasetError
from slowfast.datasets.ingest.formats import SourceOptions
from slowfast.datasets.ingest.pipeline import Ingestion, ingest
from slowfast.datasets.ingest.readers.epic_kitchens import NarratedClips
from slowfast.datasets.ingest.readers.webdataset import WebDatasetShards

HEADER = ("narration_id", "video_id", "start_timestamp", "stop_timestamp", "narration", "verb", "verb_class", "noun")


def shard(path: Path, keys: tuple[str, ...] = ("a", "b", "c")) -> dict[str, int]:
    """Where in the file each member's header is."""
    clip = write_clip(path.parent / "clip.mp4", counting(5)).read_bytes()
    with tarfile.open(path, "w") as tar:
        for key in keys:
            for name, content in ((f"{key}.mp4", clip), (f"{key}.cls", b"1")):
                entry = tarfile.TarInfo(name)
                entry.size = len(content)
                tar.addfile(entry, io.BytesIO(content))
    with tarfile.open(path) as tar:
        return {member.name: member.offset for member in tar}


def test_a_header_of_zeros_in_a_shard_does_not_hide_what_follows_it(tmp_path: Path) -> None:
    path = tmp_path / "shards/x.tar"
    path.parent.mkdir()
    offset = shard(path)["b.mp4"]
    data = bytearray(path.read_bytes())
    data[offset : offset + 512] = bytes(512)
    path.write_bytes(data)
    report = ingest(Ingestion(str(path)), tmp_path / "out")
    assert report.episodes == 1
    (said,) = report.skipped.values()
    assert f"ends at byte {offset:,} and goes on behind its end" in said


@pytest.mark.parametrize("blocks", [0, 1, 4000])
def test_zeros_behind_the_end_of_a_shard_are_no_damage(tmp_path: Path, blocks: int) -> None:
    shard(tmp_path / "x.tar")
    with (tmp_path / "x.tar").open("ab") as file:
        file.write(bytes(512 * blocks))
    assert len(WebDatasetShards(tmp_path / "x.tar", SourceOptions())) == 3


def test_a_second_tar_behind_the_first_is_told(tmp_path: Path) -> None:
    shard(tmp_path / "x.tar", ("a", "b"))
    shard(tmp_path / "y.tar", ("c",))
    (tmp_path / "x.tar").write_bytes((tmp_path / "x.tar").read_bytes() + (tmp_path / "y.tar").read_bytes())
    reader = WebDatasetShards(tmp_path / "x.tar", SourceOptions())
    assert len(reader) == 3
    with pytest.raises(DatasetError, match="several tars were joined"):
        reader.read(2)


def narrated(folder: Path, *rows: tuple[object, ...]) -> Path:
    write_clip(folder / "P01_01.MP4", counting(31))
    with (folder / "train.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(HEADER)
        table.writerows(rows)
    return folder / "train.csv"


def test_a_last_row_that_was_cut_off_is_not_read_as_if_it_were_whole(tmp_path: Path) -> None:
    """Of verb class 12 there is a 1 left, which is another verb."""
    times = ("00:00:00.00", "00:00:01.00")
    first = ("a", "P01_01", *times, "open door", "open", 1, "door")
    table = narrated(tmp_path, first, ("b", "P01_01", *times, "peel carrot", "peel", 12, "carrot"))
    text = table.read_text()
    table.write_text(text[: text.rindex("12,") + 1])
    reader = NarratedClips(tmp_path, SourceOptions())
    assert reader.read(0).actions["verb"].tolist() == [1] * 10
    with pytest.raises(DatasetError, match=r"b: train\.csv line 3: has fewer cells than the header; the row"):
        reader.read(1)


def test_row_numbers_that_were_zeroed_are_not_taken_for_flags(tmp_path: Path) -> None:
    whole = opened_hdf5(tmp_path, write(tmp_path / "a.h5", simple(12, ends=np.array([5, 12]))), ends="ends")
    assert len(whole) == 2
    zeroed = write(tmp_path / "b.h5", simple(12, ends=np.array([0, 0])))
    with pytest.raises(DatasetError, match="2 flags for the 12 frames of images"):
        opened_hdf5(tmp_path, zeroed, ends="ends")
