"""Folders of videos with one table for all clips, or nothing but names."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from video_folders import N, clips, opened, texts

from slowfast.actions import Discrete, Language
from slowfast.datasets.episode import DatasetError
from slowfast.datasets.ingest.readers.videos import name_as_sentence

# --- one table for all clips -------------------------------------------------------------------------------------


def test_a_table_of_captions_as_hugging_face_has_it(tmp_path: Path) -> None:
    clips(tmp_path, "train/a.mp4", "train/sub/b.mp4", "test/a.mp4")
    (tmp_path / "train/metadata.csv").write_text('file_name,text\na.mp4,"go, then stop"\nsub/b.mp4,stop\n')
    (tmp_path / "test/metadata.jsonl").write_text('{"file_name": "a.mp4", "text": "turn"}\n')
    reader = opened(tmp_path)
    assert [reader.name(i) for i in range(3)] == ["test/a.mp4", "train/a.mp4", "train/sub/b.mp4"]
    assert [set(texts(reader.read(i))) for i in range(3)] == [{"turn"}, {"go, then stop"}, {"stop"}]


def test_a_table_of_classes_is_a_class_a_clip(tmp_path: Path) -> None:
    names = [f"{k}.mp4" for k in range(8)]
    clips(tmp_path, *names, frames=3)
    lines = [f"{k},{'ab'[k % 2]}{k % 2},{k * 7}" for k in range(8)]  # names without suffixes
    (tmp_path / "annotations.csv").write_text("\n".join(["clip,label,duration", *lines]))
    reader = opened(tmp_path)
    assert reader.spec.components[0] == Discrete("label", ("a0", "b1"))
    assert reader.read(3).actions["label"].tolist() == [1, 1]
    (tmp_path / "annotations.csv").write_text("\n".join(["clip,label", *(f"{k},{k % 3}" for k in range(8))]))
    assert opened(tmp_path).read(5).actions["label"].tolist() == [2, 2]


def test_a_table_may_hold_rows_of_frames_or_spans_of_all_clips(tmp_path: Path) -> None:
    clips(tmp_path, "a.mp4", "b.mp4")
    lines = [f"{name},{t}" for t in range(N) for name in ("a.mp4", "b.mp4")]
    (tmp_path / "metadata.csv").write_text("\n".join(["video,action", *lines]))
    assert opened(tmp_path).read(1).actions["action"].tolist() == list(range(N - 1))
    (tmp_path / "metadata.csv").write_text("path,start,end,text\na.mp4,0,0.5,x\na.mp4,0.5,1,y\nb.mp4,0,1,z\n")
    reader = opened(tmp_path)
    assert texts(reader.read(0)) == ["x"] * 5 + ["y"] * 5
    assert texts(reader.read(1)) == ["z"] * 10


def test_a_table_elsewhere_can_be_named_and_replaces_what_is_beside_the_clips(tmp_path: Path) -> None:
    clips(tmp_path / "videos", "a.mp4")
    (tmp_path / "videos/a.txt").write_text("not this")
    (tmp_path / "videos/metadata.csv").write_text("file,text\na.mp4,nor this\n")
    (tmp_path / "labels.csv").write_text("file,text\na.mp4,but this\n")
    reader = opened(tmp_path / "videos", annotations=tmp_path / "labels.csv")
    assert set(texts(reader.read(0))) == {"but this"}


def test_clips_that_are_missing_outside_or_not_in_the_table_are_named_one_by_one(tmp_path: Path) -> None:
    root = tmp_path / "root"
    clips(tmp_path, "outside.mp4")
    clips(root, "a.mp4", "b.mp4")
    names = ["a.mp4", "gone.mp4", "../outside.mp4", str(tmp_path / "outside.mp4"), "..\\outside.mp4"]
    (root / "metadata.csv").write_text("\n".join(["file,text", *(f"{name},x" for name in names)]))
    reader = opened(root)
    found = {}
    for i in range(len(reader)):
        try:
            found[reader.name(i)] = str(len(reader.read(i).times))
        except DatasetError as error:
            found[reader.name(i)] = str(error)
    assert found.pop("a.mp4") == str(N)
    assert "no annotations; expected b.csv (or jsonl, json, parquet, txt) beside it, or rows in meta" in found.pop(
        "b.mp4"
    )
    assert "metadata.csv names it, and there is no such file" in found.pop("gone.mp4")
    assert len(found) == 2
    assert all("leads out of the source's folder" in said for said in found.values())


def test_a_link_that_leads_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    root = tmp_path / "root"
    clips(tmp_path, "outside.mp4")
    clips(root, "a.mp4")
    os.symlink(tmp_path / "outside.mp4", root / "turn left.mp4")
    os.symlink(tmp_path, root / "folder")
    reader = opened(root)
    assert len(reader) == 2
    with pytest.raises(
        DatasetError, match=r"turn left\.mp4: is a link that leads out of .*; put the file itself there"
    ):
        reader.read(1)


def test_a_table_that_names_no_clips_or_stands_beside_another_is_refused(tmp_path: Path) -> None:
    clips(tmp_path, "a.mp4")
    (tmp_path / "metadata.csv").write_text("name,text\na.mp4,x\n")
    with pytest.raises(DatasetError, match=r"metadata\.csv: no column names the clips; expected one of file_name, "):
        opened(tmp_path)
    (tmp_path / "metadata.csv").write_text("file,text\na.mp4,x\n,y\n")
    with pytest.raises(DatasetError, match=r"metadata\.csv: row 1: column file is empty"):
        opened(tmp_path)
    (tmp_path / "annotations.json").write_text("[]")
    with pytest.raises(DatasetError, match=r"both .* and .*; name one with --options\.annotations"):
        opened(tmp_path)


def test_a_metadata_json_that_is_about_something_else_is_left_alone(tmp_path: Path) -> None:
    clips(tmp_path, "go.mp4")
    (tmp_path / "metadata.json").write_text('{"licence": "CC0-1.0", "version": 3}')
    reader = opened(tmp_path)
    assert set(texts(reader.read(0))) == {"go"}
    assert "metadata.json" in reader.facts()["left out"]


# --- nothing but names -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("turn_left_003.mp4", "turn left"),
        ("0012-TurnLeft.webm", "turn left"),
        ("pick up the cup (2).mp4", "pick up the cup"),
        ("jump12.mp4", "jump"),
        ("öffne_Tür.mp4", "öffne tür"),
        ("000123.mp4", ""),
        ("take.2.mp4", "take"),
        ("a/b/pour_water", "pour water"),
    ],
)
def test_a_name_is_a_sentence(name: str, sentence: str) -> None:
    assert name_as_sentence(name) == sentence


def test_clips_without_annotations_are_described_by_their_names(tmp_path: Path) -> None:
    clips(tmp_path, "turn_left_001.mp4", "sub/go_ahead.mp4", "002.mp4", frames=3)
    (tmp_path / "readme.txt").write_text("about")
    (tmp_path / "labels.csv").write_text("file,text\n")
    reader = opened(tmp_path)
    assert reader.spec.components == (Language("text"),)
    assert texts(reader.read(2)) == ["turn left"] * 2
    assert texts(reader.read(1)) == ["go ahead"] * 2
    with pytest.raises(DatasetError, match=r"002\.mp4: no annotations; expected 002\.csv .* or words in its name"):
        reader.read(0)
    left_out = "1 tables, labels.csv for one (--options.annotations)"
    assert reader.facts() == {"clips": 3, "said by": "the clips' names", "left out": left_out}


def test_clips_that_are_all_in_folders_are_described_by_these(tmp_path: Path) -> None:
    clips(tmp_path, "turn_left/v_01.mp4", "turn_left/v_02.mp4", "train/go/v_03.mp4", frames=3)
    reader = opened(tmp_path)
    assert [set(texts(reader.read(i))) for i in range(3)] == [{"go"}, {"turn left"}, {"turn left"}]
    assert reader.facts()["said by"] == "the names of the clips' folders"


def test_clips_that_nothing_describes_are_refused(tmp_path: Path) -> None:
    clips(tmp_path, "001.mp4", "002.mp4", frames=3)
    with pytest.raises(DatasetError, match=r"001\.mp4: no annotations; expected 001\.csv"):
        opened(tmp_path)
