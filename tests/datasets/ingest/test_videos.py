"""Folders of videos with a file beside each clip."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clips import counted
from video_folders import N, clips, opened, texts

from slowfast.actions import ActionSpec, Continuous, Discrete, Keyboard, Language
from slowfast.datasets.episode import DatasetError


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
