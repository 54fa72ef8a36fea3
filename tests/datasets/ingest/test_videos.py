from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clips import counted, counting, cut_off, write_clip
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from slowfast.actions import ActionSpec, Continuous, Discrete, Keyboard, Language
from slowfast.datasets import hdf5
from slowfast.datasets.episode import DatasetError
from slowfast.datasets.ingest.formats import SourceOptions, detect
from slowfast.datasets.ingest.policy import FramePolicy, episodes
from slowfast.datasets.ingest.readers import videos
from slowfast.datasets.ingest.readers.videos import VideoFolder, name_as_sentence
from slowfast.datasets.ingest.recording import Recording

N = 11  # frames of a clip, at 10 a second


def clips(folder: Path, *names: str, frames: int = N) -> None:
    for name in names:
        write_clip(folder / name, counting(frames))


def opened(source: Path, **options: Any) -> VideoFolder:
    return VideoFolder(source, SourceOptions(**options))


def texts(recording: Recording, name: str = "text") -> list[str]:
    return list(recording.actions[name])


# --- a file beside each clip -------------------------------------------------------------------------------------


def rows(count: int) -> list[dict[str, Any]]:
    return [{"action": ["left", "right"][t % 2], "reward": t / 10} for t in range(count)]


def write_rows(path: Path, given: list[dict[str, Any]]) -> None:
    if path.suffix == ".csv":
        lines = [",".join(given[0])] + [",".join(map(str, row.values())) for row in given]
        path.write_text("\n".join(lines) + "\n")
    elif path.suffix == ".parquet":
        pa = pytest.importorskip("pyarrow")
        pytest.importorskip("pyarrow.parquet").write_table(pa.Table.from_pylist(given), path)
    else:
        path.write_text("\n".join(map(json.dumps, given)) if path.suffix == ".jsonl" else json.dumps(given))


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".json", ".parquet"])
@pytest.mark.parametrize("count", [N, N - 1])
def test_a_row_a_frame_is_an_action_a_frame_and_of_n_rows_the_last_leads_nowhere(
    tmp_path: Path, suffix: str, count: int
) -> None:
    clips(tmp_path, "b.mp4", "a.mp4")
    for name in ("a", "b"):
        write_rows(tmp_path / f"{name}{suffix}", rows(count))
    reader = opened(tmp_path)
    assert reader.spec == ActionSpec((Discrete("action", ("left", "right")), Language("text", describes="action")))
    assert [reader.name(i) for i in range(len(reader))] == ["a.mp4", "b.mp4"]
    recording = reader.read(1)
    assert recording.actions["action"].tolist() == [0, 1] * 5
    assert texts(recording) == ["left", "right"] * 5
    np.testing.assert_allclose(recording.rewards, np.arange(N - 1) / 10)
    np.testing.assert_allclose(recording.times, np.arange(N) / 10)
    assert counted(np.stack(list(recording.frames["camera"]()))) == list(range(N))


@pytest.mark.parametrize("count", [N - 2, N + 1, 3])
def test_rows_and_frames_that_do_not_match_are_the_error_of_that_clip_alone(tmp_path: Path, count: int) -> None:
    clips(tmp_path, "a.mp4", "b.mp4")
    write_rows(tmp_path / "a.csv", rows(count))
    write_rows(tmp_path / "b.csv", rows(N))
    reader = opened(tmp_path)
    with pytest.raises(DatasetError, match=rf"a\.mp4: has 11 frames; expected 11 or 10 rows in a\.csv, got {count}"):
        reader.read(0)
    assert len(reader.read(1).actions["action"]) == N - 1


def test_columns_are_told_apart_by_their_names(tmp_path: Path) -> None:
    clips(tmp_path, "a.mp4")
    header = "frame,action.x,action.jump,terminated,truncated,state.speed,state.pose.x,comment,caption"
    lines = [f"{t},{t / 2},{'true' if t > 5 else 'false'},{int(t == 8)},0,{t},{-t},none,go there" for t in range(N)]
    (tmp_path / "a.csv").write_text("\n".join([header, *lines]))
    reader = opened(tmp_path)
    assert reader.spec.components == (
        Language("text"),
        Keyboard("keys", ("jump",)),
        Continuous("action", (0.0,), (5.0,), ("x",)),
    )
    recording = reader.read(0)
    assert recording.actions["action"][:, 0].tolist() == [t / 2 for t in range(N - 1)]
    assert recording.actions["keys"][:, 0].tolist() == [0] * 6 + [1] * 4
    assert recording.terminations is not None
    assert recording.truncations is not None
    assert recording.terminations.tolist() == [t == 8 for t in range(N - 1)]
    assert not recording.truncations.any()
    assert {name: array[:, 0].tolist() for name, array in recording.states.items()} == {
        "speed": list(range(N)),
        "pose.x": [-t for t in range(N)],
    }
    assert reader.facts()["left out"] == "columns comment"


def test_without_an_action_column_all_columns_of_numbers_are_actions(tmp_path: Path) -> None:
    clips(tmp_path, "a.mp4")
    lines = [f"{t / 10},{t % 2},{t * 0.5},x,true" for t in range(N)]
    (tmp_path / "a.csv").write_text("\n".join(["timestamp,gear,speed,driver,brake", *lines]))
    assert opened(tmp_path).spec.components == (
        Discrete("gear", ("0", "1")),
        Keyboard("keys", ("brake",)),
        Continuous("action", (0.0,), (5.0,), ("speed",)),
    )


def test_the_column_of_the_actions_and_its_labels_can_be_named(tmp_path: Path) -> None:
    clips(tmp_path, "a.mp4")
    (tmp_path / "a.csv").write_text("action,command\n" + "\n".join(f"{t},{t % 2}" for t in range(N)))
    reader = opened(tmp_path, action="command", labels=("stop", "go"))
    assert reader.spec["command"] == Discrete("command", ("stop", "go"))
    assert texts(reader.read(0)) == ["stop", "go"] * 5
    with pytest.raises(DatasetError, match=r"a\.mp4: expected a column nothing; there are action, command"):
        opened(tmp_path, action="nothing")


def test_a_counter_that_skips_frames_is_refused(tmp_path: Path) -> None:
    clips(tmp_path, "a.mp4", "b.mp4")
    counters = [0, 1, 2, 4, 5, 6, 7, 8, 9, 10]
    (tmp_path / "a.csv").write_text("frame,action\n" + "\n".join(f"{t},1" for t in counters))
    (tmp_path / "b.csv").write_text("frame,action\n" + "\n".join(f"{t},1" for t in range(1, N + 1)))
    reader = opened(tmp_path)
    with pytest.raises(DatasetError, match=r"a\.csv: column frame goes from 2 to 4 in row 3; expected a row for each"):
        reader.read(0)
    assert reader.read(1).actions["action"].tolist() == [1] * (N - 1)


def test_states_need_a_row_for_each_frame(tmp_path: Path) -> None:
    clips(tmp_path, "a.mp4")
    (tmp_path / "a.csv").write_text("action,state.x\n" + "1,2\n" * (N - 1))
    with pytest.raises(DatasetError, match=r"state\.x in a\.csv needs a row for each, got 10"):
        opened(tmp_path).read(0)


@pytest.mark.parametrize("column", ["reward", "terminated", "state.x"])
def test_a_missing_reward_end_or_state_is_refused(tmp_path: Path, column: str) -> None:
    clips(tmp_path, "a.mp4")
    (tmp_path / "a.csv").write_text(f"action,{column}\n" + "1,1\n" * 4 + "1,\n" + "1,1\n" * 6)
    with pytest.raises(DatasetError, match=r"a\.csv: column .*: expected a number in every row"):
        opened(tmp_path).read(0)


def test_time_spans_are_laid_on_the_frames(tmp_path: Path) -> None:
    clips(tmp_path, "a.mp4", "b.mp4")
    spans: list[dict[str, Any]] = [
        {"start": 0.1, "stop": 0.4, "label": "push"},
        {"start": 0.6, "stop": 9, "label": "pull"},
    ]
    write_rows(tmp_path / "a.jsonl", spans)
    (tmp_path / "b.csv").write_text("start_frame,stop_frame,label\n1,4,push\n6,11,pull\n")
    reader = opened(tmp_path, labels=("pull", "push"))
    expected = [-1, 1, 1, 1, -1, -1, 0, 0, 0, 0]
    assert [reader.read(i).actions["label"].tolist() for i in (0, 1)] == [expected, expected]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("start,stop,text\n0.5,0.2,a\n", r"row 0 lasts from 0\.5 to 0\.2; expected 0 <= start < stop"),
        ("start,stop,text\n-1,0.2,a\n", r"row 0 lasts from -1 to 0\.2"),
        ("start,stop,text\n0,,a\n", "column stop: expected a number in every row"),
        ("start,stop,text\n0:10,0:20,a\n", "column start: expected a number in every row"),
        ("start,text\n0,a\n", "there is start; a span has start and stop"),
        ("start,stop_frame,text\n0,3,a\n", "there is start; a span has"),
        ("start,stop,text\n0,0.5,a\n7,8,b\n", r"a\.mp4: ends after 1 seconds; a span in a\.csv begins at 7"),
        ("start_frame,stop_frame,text\n10,12,b\n", r"ends after 10 frames; a span in a\.csv begins at 10"),
    ],
)
def test_spans_that_make_no_sense_are_refused(tmp_path: Path, text: str, message: str) -> None:
    clips(tmp_path, "a.mp4", "b.mp4")
    (tmp_path / "a.csv").write_text(text)
    (tmp_path / "b.csv").write_text("start,stop,text\n0,1,a\n")
    reader = opened(tmp_path)
    with pytest.raises(DatasetError, match=message):
        reader.read(0)
    assert texts(reader.read(1)) == ["a"] * (N - 1)


@pytest.mark.parametrize(
    ("suffix", "text"),
    [
        (".txt", "  pour the water\n"),
        (".json", '{"caption": "pour the water", "duration": 3, "tags": ["a", "b"]}'),
        (".jsonl", '{"instruction": "pour the water"}'),
        (".csv", "text\npour the water"),
    ],
)
def test_a_sentence_a_clip_holds_for_all_its_steps(tmp_path: Path, suffix: str, text: str) -> None:
    clips(tmp_path, "a.mp4")
    (tmp_path / f"a{suffix}").write_text(text)
    reader = opened(tmp_path)
    assert reader.spec.components == (Language("text"),)
    recording = reader.read(0)
    assert texts(recording) == ["pour the water"] * (N - 1)
    assert recording.metadata == {"instruction": "pour the water"}


def test_several_files_beside_a_clip_add_up_and_may_not_say_the_same(tmp_path: Path) -> None:
    clips(tmp_path, "a.mp4", "b.mp4")
    for name in "ab":
        (tmp_path / f"{name}.csv").write_text("action\n" + "1\n" * N)
        (tmp_path / f"{name}.txt").write_text("pour")
    (tmp_path / "b.json").write_text('{"action": [1, 2]}')
    reader = opened(tmp_path)
    recording = reader.read(0)
    assert recording.actions["action"].tolist() == [1] * (N - 1)
    assert texts(recording) == ["pour"] * (N - 1)
    with pytest.raises(DatasetError, match=r"b\.mp4: has 11 frames; expected 11 or 10 rows in b\.json"):
        reader.read(1)
    (tmp_path / "b.json").write_text(json.dumps({"action": [1] * N}))
    with pytest.raises(DatasetError, match=r"b\.mp4: action stands in b\.json and in another of its files"):
        reader.read(1)


def test_lists_in_a_json_object_are_columns(tmp_path: Path) -> None:
    clips(tmp_path, "a.mp4")
    given = {"action": [[t, 0.5] for t in range(N - 1)], "reward": [1] * (N - 1), "state.x": [0] * N, "text": "pour"}
    (tmp_path / "a.json").write_text(json.dumps(given))
    recording = opened(tmp_path).read(0)
    assert recording.actions["action"].tolist() == [[t, 0.5] for t in range(N - 1)]
    assert recording.states["x"].shape == (N, 1)
    assert texts(recording) == ["pour"] * (N - 1)


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


# --- sources -----------------------------------------------------------------------------------------------------


def test_a_single_video_is_a_source(tmp_path: Path) -> None:
    clips(tmp_path, "a.mp4", "b.mp4")
    (tmp_path / "a.csv").write_text("action\n" + "1\n" * N)
    assert detect(tmp_path / "a.mp4") == "videos"
    reader = opened(tmp_path / "a.mp4")
    assert len(reader) == 1
    assert reader.read(0).actions["action"].tolist() == [1] * (N - 1)


def test_folders_are_recognised_by_a_video_anywhere_in_them(tmp_path: Path) -> None:
    (tmp_path / ".hidden").mkdir()
    clips(tmp_path / ".hidden", "a.mp4", frames=2)
    write_clip(tmp_path / "sub/._a.mp4", counting(2))
    assert not videos.detect(tmp_path)
    with pytest.raises(DatasetError, match=r"no videos \(\.mp4"):
        opened(tmp_path)
    clips(tmp_path, "sub/deep/go.MP4", frames=2)
    assert detect(tmp_path) == "videos"
    assert len(opened(tmp_path)) == 1


def test_opening_reads_no_video_and_a_damaged_one_is_named(tmp_path: Path) -> None:
    clips(tmp_path, "go_a.mp4", "go_b.mp4")
    cut_off(tmp_path / "go_a.mp4")
    reader = opened(tmp_path)
    with pytest.raises(DatasetError, match=r"go_a\.mp4: .* cut off"):
        reader.read(0)
    assert len(reader.read(1).times) == N


def test_a_clip_of_one_frame_is_refused(tmp_path: Path) -> None:
    clips(tmp_path, "go.mp4", frames=1)
    with pytest.raises(DatasetError, match=r"go\.mp4: has one frame; a clip needs at least 2"):
        opened(tmp_path).read(0)


def test_a_damaged_table_takes_no_other_clip_with_it(tmp_path: Path) -> None:
    clips(tmp_path, "a.mp4", "b.mp4", "c.mp4", "d.mp4")
    for name in "cd":
        (tmp_path / f"{name}.csv").write_text("action\n" + "0.5\n" * N)
    (tmp_path / "a.csv").write_text("action\n0.5,1\n")
    (tmp_path / "b.csv").write_text("action\n" + "fast\n" * N)
    reader = opened(tmp_path)
    assert reader.spec.components == (Continuous("action", (0.5,), (0.5,)),)
    with pytest.raises(DatasetError, match=r"a\.csv: line 2 has 2 cells"):
        reader.read(0)
    with pytest.raises(DatasetError, match=r"b\.mp4: action: holds text, where the source's other tables have numbers"):
        reader.read(1)
    assert reader.read(2).actions["action"].tolist() == [[0.5]] * (N - 1)


NAMES = st.sampled_from(
    [
        "action",
        "action.x",
        "action./",
        "label",
        "text",
        "start",
        "stop",
        "reward",
        "done",
        "state.x",
        "state.",
        "frame",
        "z",
    ]
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
CELLS = SCALARS | st.lists(SCALARS, max_size=3) | st.dictionaries(st.text(max_size=2), SCALARS, max_size=1)
TABLES = st.dictionaries(NAMES, CELLS, max_size=5).flatmap(
    lambda row: st.one_of(st.just([row] * N), st.just([row] * (N - 1)), st.just(row), st.just([row]))
) | st.lists(st.dictionaries(NAMES, CELLS, max_size=4), max_size=N)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(table=TABLES)
def test_any_annotations_are_episodes_or_an_error_of_their_clip(tmp_path: Path, table: Any) -> None:
    if not (tmp_path / "good.mp4").exists():
        clips(tmp_path, "good.mp4", "odd.mp4")
        (tmp_path / "good.txt").write_text("fine")
    (tmp_path / "odd.json").write_text(json.dumps(table))
    reader = opened(tmp_path)
    assert len(reader.read(0).times) == N
    made, said = [], "odd"
    try:
        made = list(episodes(reader.read(1), FramePolicy()))
    except DatasetError as error:
        said = str(error)
    assert "odd" in said
    for episode in made:
        hdf5.write_file(tmp_path / "odd.h5", episode)
