"""LeRobot data sets: what was written comes back, episode by episode; what is damaged is said and skipped."""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import huggingface_hub
import numpy as np
import pyarrow.parquet as pq
import pytest
from clips import counted, cut_off, write_clip
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lerobot_sets import FRONT, JOINTS, TASKS, WRIST, LeRobotSet, change_table, encode, png

from slowfast.actions import ActionError, Continuous, Discrete, Keyboard, Language
from slowfast.datasets.episode import DatasetError
from slowfast.datasets.ingest import video
from slowfast.datasets.ingest.formats import SourceOptions, detect, open_source
from slowfast.datasets.ingest.pipeline import Ingestion, ingest
from slowfast.datasets.ingest.readers import parquet_rows
from slowfast.datasets.ingest.recording import Recording
from slowfast.datasets.store import Store

EVERY_KIND = [
    {"version": "v2.1"},
    {"version": "v2.1", "pictures": True},
    {"version": "v3.0"},
    {"version": "v3.0", "one_group": True, "split_files": 2},
    {"version": "v3.0", "pictures": True, "one_group": True},
]


def opened(root: Path, **options: Any) -> Any:
    return open_source(root, "lerobot", SourceOptions(**options))[1]


def shown(recording: Recording, camera: str = FRONT) -> list[int]:
    return counted(np.stack(list(recording.frames[camera]())))


# --- what comes back ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", EVERY_KIND, ids=str)
def test_every_episode_comes_back_as_it_was_written(tmp_path: Path, kind: dict[str, Any]) -> None:
    written = LeRobotSet(tmp_path / "set", **kind)
    assert detect(written.write()) == "lerobot"
    reader = opened(tmp_path / "set")
    assert len(reader) == 3
    assert reader.spec.components == (
        Continuous("action", (0.0, 0.0, -11.0), (11.0, 2.0, 0.0), tuple(JOINTS)),
        Language("task"),
    )
    for i in (2, 0, 1):  # in no order, so that what is kept of a file is not what is wanted next
        rows, recording = written.rows(i), reader.read(i)
        assert recording.name == f"episode {i}"
        assert shown(recording) == (written.starts[i] + np.arange(written.lengths[i])).tolist()
        np.testing.assert_array_equal(recording.actions["action"], rows["action"][:-1])
        np.testing.assert_array_equal(recording.states["observation.state"], rows["observation.state"])
        np.testing.assert_array_equal(recording.rewards, rows["next.reward"][:-1])
        np.testing.assert_allclose(recording.times, np.arange(written.lengths[i]) / 10, rtol=0, atol=1e-12)
        assert set(recording.actions["task"]) == {TASKS[i % 2]}
        assert recording.metadata == {
            "source": "set",
            "episode": i,
            "robot": "so100",
            "licence": "apache-2.0",
            "split": "train",
            "instruction": TASKS[i % 2],
        }


@pytest.mark.parametrize("kind", EVERY_KIND[:3], ids=str)
def test_ingested_episodes_are_read_back_from_the_store(tmp_path: Path, kind: dict[str, Any]) -> None:
    written = LeRobotSet(tmp_path / "set", cameras=(FRONT, WRIST), **kind)
    report = ingest(Ingestion(str(written.write())), tmp_path / "out")
    assert (report.format, report.episodes, report.frames, report.skipped) == ("lerobot", 3, 24, {})
    assert report.facts["licence"] == "apache-2.0"
    store = Store(tmp_path / "out")
    for i, episode in enumerate(store):
        numbers = written.starts[i] + np.arange(written.lengths[i])
        assert counted(episode.frames[FRONT]) == numbers.tolist()
        assert counted(episode.frames[WRIST]) == (numbers + 100).tolist()
        np.testing.assert_array_equal(episode.actions["action"], written.rows(i)["action"][:-1])
        assert list(episode.actions["task"]) == [TASKS[i % 2]] * (written.lengths[i] - 1)
        assert episode.fps == pytest.approx(10)
        assert episode.metadata["licence"] == "apache-2.0"


def test_worker_processes_open_the_set_themselves(tmp_path: Path) -> None:
    root = LeRobotSet(tmp_path / "set").write()
    assert ingest(Ingestion(str(root)), tmp_path / "out", workers=2).episodes == 3
    assert counted(Store(tmp_path / "out")[1].frames[FRONT]) == list(range(7, 19))


def test_frames_are_what_was_encoded_up_to_the_codecs_loss(tmp_path: Path) -> None:
    written = LeRobotSet(tmp_path / "set")
    recording = opened(written.write()).read(1)
    loss = np.abs(np.stack(list(recording.frames[FRONT]())).astype(int) - written.frames(FRONT, 7, 12))
    assert loss.mean() < 4


def test_videos_of_av1_which_lerobot_itself_writes_are_read(tmp_path: Path) -> None:
    try:
        av.Codec("libsvtav1", "w")
    except av.codec.codec.UnknownCodecError:
        pytest.skip("this build of av encodes no AV1")
    root = LeRobotSet(tmp_path / "set", codec="libsvtav1").write()
    assert shown(opened(root).read(2)) == [19, 20, 21, 22, 23]


@pytest.mark.parametrize("slip", [-0.4, 0.4])
def test_an_episodes_first_frame_is_found_though_its_time_has_slipped(tmp_path: Path, slip: float) -> None:
    root = LeRobotSet(tmp_path / "set").write()

    def change(rows: list[dict[str, Any]]) -> None:
        for row in rows[1:]:
            row[f"videos/{FRONT}/from_timestamp"] += slip / 10
            row[f"videos/{FRONT}/to_timestamp"] += slip / 10

    change_table(root / "meta/episodes/chunk-000/file-000.parquet", change)
    assert [shown(opened(root).read(i))[0] for i in range(3)] == [0, 7, 19]


def test_a_late_episode_is_not_decoded_from_the_start_of_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = LeRobotSet(tmp_path / "set", lengths=(60, 60, 6), gop=10).write()
    decoded: list[float] = []
    opening = av.open

    class Counting:
        def __init__(self, *given: Any, **named: Any) -> None:
            self._container = opening(*given, **named)

        def __getattr__(self, name: str) -> Any:
            return getattr(self._container, name)

        def __enter__(self) -> Counting:
            return self

        def __exit__(self, *_: Any) -> None:
            self._container.close()

        def decode(self, *given: Any) -> Iterator[Any]:
            for frame in self._container.decode(*given):
                decoded.append(frame.time)
                yield frame

    monkeypatch.setattr(video.av, "open", Counting)
    assert shown(opened(root).read(2)) == [120, 121, 122, 123, 124, 125]
    assert 6 <= len(decoded) <= 6 + 10


def test_only_the_row_groups_of_the_episode_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = LeRobotSet(tmp_path / "set").write()
    reader, read, groups = opened(root), pq.ParquetFile.read_row_groups, []

    def noted(self: Any, row_groups: list[int], *given: Any, **named: Any) -> Any:
        groups.append(row_groups)
        return read(self, row_groups, *given, **named)

    monkeypatch.setattr(pq.ParquetFile, "read_row_groups", noted)
    reader.read(1)
    assert groups == [[1]]


def test_a_row_group_that_several_episodes_share_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = LeRobotSet(tmp_path / "set", one_group=True).write()
    reader, read, calls = opened(root), pq.ParquetFile.read_row_groups, []
    monkeypatch.setattr(
        pq.ParquetFile, "read_row_groups", lambda self, *given, **named: calls.append(1) or read(self, *given, **named)
    )
    for i in range(3):
        reader.read(i)
    assert len(calls) == 1


# --- cameras, actions, tasks -------------------------------------------------------------------------------------


def test_cameras_are_chosen_by_their_keys(tmp_path: Path) -> None:
    root = LeRobotSet(tmp_path / "set", cameras=(FRONT, WRIST)).write()
    assert list(opened(root).read(0).frames) == [FRONT, WRIST]
    assert shown(opened(root, cameras=(WRIST,)).read(1), WRIST)[0] == 107
    assert list(opened(root, cameras=(WRIST,)).read(1).frames) == [WRIST]
    with pytest.raises(DatasetError, match=f"no camera 'top'; there are {FRONT}, {WRIST}"):
        opened(root, cameras=("top",))


def test_depth_is_left_out_and_said(tmp_path: Path) -> None:
    depth = {"dtype": "video", "shape": [32, 32, 1], "info": {"video.is_depth_map": True}}
    root = LeRobotSet(tmp_path / "set", version="v2.1", features={"observation.depth": depth}).write()
    reader = opened(root)
    assert list(reader.read(0).frames) == [FRONT]
    assert reader.facts()["left out"] == "observation.depth"
    with pytest.raises(DatasetError, match="shows depth"):
        opened(root, cameras=("observation.depth",))


def test_a_set_without_pictures_is_refused(tmp_path: Path) -> None:
    root = LeRobotSet(tmp_path / "set", cameras=()).write()
    with pytest.raises(DatasetError, match="no camera of colour"):
        opened(root)


def test_bounds_without_statistics_are_those_of_the_rows(tmp_path: Path) -> None:
    root = LeRobotSet(tmp_path / "set", version="v2.1", stats=False).write()
    (root / "data/chunk-000/episode_000001.parquet").write_bytes(b"damaged")
    action = opened(root).spec["action"]
    assert (action.low, action.high) == ((0.0, 0.0, -6.0), (6.0, 2.0, 0.0))


def test_one_integer_is_a_choice_whose_labels_are_its_numbers(tmp_path: Path) -> None:
    feature = {"command": {"dtype": "int64", "shape": [1], "names": None}}
    root = LeRobotSet(
        tmp_path / "set", features=feature, columns=lambda episode, length: {"command": np.arange(length) % 4 - 1}
    ).write()
    reader = opened(root, action="command")
    assert reader.spec["action"] == Discrete("action", ("-1", "0", "1", "2"))
    assert reader.read(0).actions["action"].tolist() == [0, 1, 2, 3, 0, 1]


def test_bools_are_keys(tmp_path: Path) -> None:
    feature = {"keys": {"dtype": "bool", "shape": [2], "names": ["jump", "fire"]}}
    root = LeRobotSet(
        tmp_path / "set",
        features=feature,
        columns=lambda episode, length: {"keys": np.stack([np.arange(length) % 2 == 1] * 2, 1)},
    ).write()
    reader = opened(root, action="keys")
    assert reader.spec["action"] == Keyboard("action", ("jump", "fire"))
    assert reader.read(0).actions["action"].tolist() == [[0, 0], [1, 1]] * 3


def test_an_action_that_is_not_there_names_those_that_could_be(tmp_path: Path) -> None:
    root = LeRobotSet(tmp_path / "set").write()
    with pytest.raises(
        DatasetError, match=r"no feature 'torque'; for the action, name one of observation.state, action"
    ):
        opened(root, action="torque")
    with pytest.raises(DatasetError, match=f"'{FRONT}' is video"):
        opened(root, action=FRONT)


def test_tasks_may_change_within_an_episode(tmp_path: Path) -> None:
    def columns(episode: int, length: int) -> dict[str, Any]:
        return {"task_index": (np.arange(length) >= 3).astype(int)}

    recording = opened(LeRobotSet(tmp_path / "set", columns=columns).write()).read(0)
    assert list(recording.actions["task"]) == [TASKS[0]] * 3 + [TASKS[1]] * 3
    assert "instruction" not in recording.metadata


@pytest.mark.parametrize("name", ["task", "__index_level_0__"])
def test_tasks_are_found_under_whatever_name_pandas_gave_their_column(tmp_path: Path, name: str) -> None:
    root = LeRobotSet(tmp_path / "set").write()
    change_table(
        root / "meta/tasks.parquet", lambda rows: [row.update({name: row.pop("__index_level_0__")}) for row in rows]
    )
    assert opened(root).read(1).metadata["instruction"] == TASKS[1]


def test_a_set_without_tasks_has_no_language(tmp_path: Path) -> None:
    reader = opened(LeRobotSet(tmp_path / "set", tasks=()).write())
    assert [component.name for component in reader.spec.components] == ["action"]
    assert list(reader.read(0).actions) == ["action"]


def test_a_long_task_still_fits(tmp_path: Path) -> None:
    root = LeRobotSet(tmp_path / "set", tasks=("push " * 100,)).write()
    ingest(Ingestion(str(root)), tmp_path / "out", limit=1)
    assert Store(tmp_path / "out").actions(0)["task"][0] == "push " * 100


def test_an_end_in_the_last_row_counts_for_the_last_action_that_is_kept(tmp_path: Path) -> None:
    recording = opened(LeRobotSet(tmp_path / "set").write()).read(2)
    assert np.asarray(recording.terminations).tolist() == [False, False, False, True]
    assert recording.truncations is None


def test_a_truncation_is_no_termination(tmp_path: Path) -> None:
    root = LeRobotSet(
        tmp_path / "set",
        features={"next.truncated": {"dtype": "bool", "shape": [1], "names": None}},
        columns=lambda episode, length: {"next.truncated": np.arange(length) == length - 1},
    ).write()
    recording = opened(root).read(2)
    assert np.asarray(recording.truncations).tolist() == [False, False, False, True]
    assert not np.asarray(recording.terminations).any()


def test_times_off_the_grid_are_kept(tmp_path: Path) -> None:
    def columns(episode: int, length: int) -> dict[str, Any]:
        return {"timestamp": (np.arange(length) ** 1.5 / 10).astype(np.float32)}

    recording = opened(LeRobotSet(tmp_path / "set", columns=columns).write()).read(0)
    np.testing.assert_allclose(recording.times, np.arange(7) ** 1.5 / 10, rtol=1e-6)


def test_the_splits_of_info_json_are_kept(tmp_path: Path) -> None:
    def change(info: dict[str, Any]) -> None:
        info["splits"] = {"train": "0:2", "test": "2:3"}

    reader = opened(LeRobotSet(tmp_path / "set", change_info=change).write())
    assert [reader.read(i).metadata["split"] for i in range(3)] == ["train", "train", "test"]


# --- damage: said, and only the recording that has it is skipped ----------------------------------------------------


def lose_index(root: Path) -> None:
    cut_off(root / f"videos/chunk-000/{FRONT}/episode_000001.mp4")


def spoil_video(root: Path) -> None:
    path = root / f"videos/chunk-000/{FRONT}/episode_000001.mp4"
    cut_off(write_clip(path, LeRobotSet(root).frames(FRONT, 7, 12)), 0.8)  # its index is in front, and whole


def lose_video(root: Path) -> None:
    (root / f"videos/chunk-000/{FRONT}/episode_000001.mp4").unlink()


def shorten_video(root: Path) -> None:
    frames = LeRobotSet(root).frames(FRONT, 7, 10)
    encode(root / f"videos/chunk-000/{FRONT}/episode_000001.mp4", frames, 10, 8)


def lose_rows(root: Path) -> None:
    (root / "data/chunk-000/episode_000001.parquet").unlink()


def cut_rows(root: Path) -> None:
    cut_off(root / "data/chunk-000/episode_000001.parquet")


def change_rows(root: Path, change: Any) -> None:
    change_table(
        root / "data/chunk-000/episode_000001.parquet", lambda rows: [change(i, row) for i, row in enumerate(rows)]
    )


def spoil_action(root: Path) -> None:
    change_rows(root, lambda i, row: row.update(action=[0.0, float("nan") if i in (4, 6) else 0.0, 0.0]))


def word_actions(root: Path) -> None:
    change_rows(root, lambda i, row: row.update(action="left"))


def lose_action(root: Path) -> None:
    change_rows(root, lambda i, row: row.update(action=None if i == 3 else row["action"]))


def widen_action(root: Path) -> None:
    change_rows(root, lambda i, row: row.update(action=[0.0] * 4))


def ragged_action(root: Path) -> None:
    change_rows(root, lambda i, row: row.update(action=[0.0] * (1 + i % 2)))


def drop_column(root: Path) -> None:
    change_rows(root, lambda i, row: row.pop("action"))


def drop_row(root: Path) -> None:
    change_table(root / "data/chunk-000/episode_000001.parquet", lambda rows: rows.pop())


def turn_time_back(root: Path) -> None:
    change_rows(root, lambda i, row: row.update(timestamp=0.0 if i == 5 else row["timestamp"]))


def unknown_task(root: Path) -> None:
    change_rows(root, lambda i, row: row.update(task_index=77))


def endless_reward(root: Path) -> None:
    change_rows(root, lambda i, row: row.update({"next.reward": float("inf")}))


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lose_index, r"episode_000001.mp4: (.* cut off or damaged|holds no video stream)"),
        (spoil_video, r"(episode_000001.mp4|ends after \d+ of 12 frames).* cut off or damaged"),
        (lose_video, f"episode_000001.mp4: no such file; expected the frames of '{FRONT}'"),
        (shorten_video, f"episode 1: camera '{FRONT}' ends after 10 of 12 frames"),
        (lose_rows, "episode_000001.parquet: no such file"),
        (cut_rows, "episode_000001.parquet: cannot be read as parquet"),
        (spoil_action, "episode 1: row 4 and 1 more of 'action' hold numbers that are not finite"),
        (word_actions, "column 'action' is string; expected numbers of shape .3."),
        (lose_action, "column 'action' has no value in 1 places"),
        (widen_action, "column 'action' has 4 values a row; expected shape .3."),
        (ragged_action, "column 'action' has rows of 1 to 2 values"),
        (drop_column, "no column action; there are observation.state"),
        (drop_row, "has 11 rows of episode 1, meta/episodes says 12"),
        (turn_time_back, "timestamps 0.4 and 0 in rows 4 and 5"),
        (unknown_task, "task_index 77 is not in meta/tasks"),
        (endless_reward, "'next.reward' holds numbers that are not finite"),
    ],
)
def test_a_damaged_episode_is_skipped_and_named(tmp_path: Path, spoil: Any, said: str) -> None:
    root = LeRobotSet(tmp_path / "set", version="v2.1").write()
    spoil(root)
    report = ingest(Ingestion(str(root)), tmp_path / "out")
    assert list(report.skipped) == ["episode 1"]
    assert re.search(said, report.skipped["episode 1"]), report.skipped["episode 1"]
    assert [counted(episode.frames[FRONT])[0] for episode in Store(tmp_path / "out")] == [0, 19]


def change_episode(root: Path, **changes: Any) -> None:
    named = {name.replace("__", "/").replace("CAMERA", FRONT): value for name, value in changes.items()}
    change_table(root / "meta/episodes/chunk-000/file-000.parquet", lambda rows: rows[1].update(named))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"length": 11}, "has 12 rows of episode 1, meta/episodes says 11"),
        ({"length": 2**40}, "has 12 rows of episode 1, meta/episodes says"),
        ({"data__file_index": 7}, "file-007.parquet: no such file"),
        ({"data__file_index": None}, "no file for 'data' of episode 1"),
        ({"videos__CAMERA__file_index": 7}, "file-007.mp4: no such file"),
        ({"videos__CAMERA__file_index": None}, f"no file for 'videos/{FRONT}' of episode 1"),
        ({"videos__CAMERA__from_timestamp": None}, "no times of episode 1"),
        ({"videos__CAMERA__to_timestamp": 1.5}, "0.7 to 1.5 s of file-000.mp4 hold 8.0 frames"),
        ({"episode_index": 0}, "stands more than once in meta/episodes"),
        ({"episode_index": 40}, "has 0 rows of episode 40"),
    ],
)
def test_an_episode_of_which_the_tables_say_what_is_not_so_is_skipped(
    tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    root = LeRobotSet(tmp_path / "set").write()
    change_episode(root, **changes)
    report = ingest(Ingestion(str(root)), tmp_path / "out")
    assert any(said in reason for reason in report.skipped.values()), report.skipped
    assert report.episodes == (1 if "stands more than once" in said else 2)


def test_rows_of_an_episode_that_do_not_lie_together_are_not_mixed_with_others(tmp_path: Path) -> None:
    root = LeRobotSet(tmp_path / "set").write()

    def change(rows: list[dict[str, Any]]) -> None:
        rows[3], rows[10] = rows[10], rows[3]

    change_table(root / "data/chunk-000/file-000.parquet", change)
    report = ingest(Ingestion(str(root)), tmp_path / "out")
    assert list(report.skipped) == ["episode 0", "episode 1"]
    assert "the rows of episode 1 do not lie together" in report.skipped["episode 1"]


def test_a_video_of_many_episodes_that_is_cut_off_takes_none_of_another_file(tmp_path: Path) -> None:
    root = LeRobotSet(tmp_path / "set", split_files=2).write()
    cut_off(root / f"videos/{FRONT}/chunk-000/file-000.mp4")
    report = ingest(Ingestion(str(root)), tmp_path / "out")
    assert list(report.skipped) == ["episode 0", "episode 1"]
    assert counted(Store(tmp_path / "out")[0].frames[FRONT]) == [19, 20, 21, 22, 23]


def test_a_picture_in_a_row_that_is_none_is_named(tmp_path: Path) -> None:
    def change(episode: int, columns: dict[str, Any]) -> None:
        if episode == 1:
            columns[FRONT][5] = {"bytes": b"no picture", "path": None}

    root = LeRobotSet(tmp_path / "set", pictures=True, change_rows=change).write()
    report = ingest(Ingestion(str(root)), tmp_path / "out")
    assert list(report.skipped) == ["episode 1"]
    assert f"'{FRONT}' in row 12: cannot be decoded as a picture" in report.skipped["episode 1"]


def test_pictures_of_several_sizes_in_an_episode_are_refused(tmp_path: Path) -> None:
    def change(episode: int, columns: dict[str, Any]) -> None:
        if episode == 1:
            columns[FRONT][5] = {"bytes": png(np.zeros((8, 16, 3), np.uint8)), "path": None}

    root = LeRobotSet(tmp_path / "set", pictures=True, change_rows=change).write()
    report = ingest(Ingestion(str(root)), tmp_path / "out")
    assert "in row 12: a picture of 8x16; the episode's first is 32x32" in report.skipped["episode 1"]


def test_pictures_beside_the_rows_are_read_and_others_are_not_reached(tmp_path: Path) -> None:
    def change(episode: int, columns: dict[str, Any]) -> None:
        folder = tmp_path if episode == 1 else tmp_path / "set/images"
        folder.mkdir(exist_ok=True, parents=True)
        for i, value in enumerate(columns[FRONT]):
            (folder / f"{episode}-{i}.png").write_bytes(value["bytes"])
            value["bytes"] = None
            value["path"] = f"../{episode}-{i}.png" if episode == 1 else f"images/{episode}-{i}.png"

    root = LeRobotSet(tmp_path / "set", version="v2.1", pictures=True, change_rows=change).write()
    report = ingest(Ingestion(str(root)), tmp_path / "out")
    assert list(report.skipped) == ["episode 1"]
    assert "climbs out" in report.skipped["episode 1"]
    assert counted(Store(tmp_path / "out")[1].frames[FRONT]) == [19, 20, 21, 22, 23]


def test_a_file_that_claims_more_values_than_are_read_at_once_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = opened(LeRobotSet(tmp_path / "set").write())
    monkeypatch.setattr(parquet_rows, "MAX_VALUES", 100)
    assert len(reader.read(2).times) == 5
    with pytest.raises(
        DatasetError, match=r"file-000.parquet: .* values in the row groups of one episode; at most 100"
    ):
        reader.read(1)


# --- the source as a whole -----------------------------------------------------------------------------------------


def test_other_versions_are_refused(tmp_path: Path) -> None:
    root = LeRobotSet(tmp_path / "set", version="v1.6").write()
    with pytest.raises(DatasetError, match=r"codebase_version is 'v1.6'; this slowfast reads v2.0, v2.1, v3.0"):
        opened(root)


@pytest.mark.parametrize("name", ["meta/info.json", "meta/episodes/chunk-000/file-000.parquet"])
def test_missing_tables_are_named(tmp_path: Path, name: str) -> None:
    root = LeRobotSet(tmp_path / "set").write()
    (root / name).unlink()
    with pytest.raises(DatasetError, match=r"no meta/info.json|no meta/episodes/\*/\*.parquet"):
        opened(root)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"fps": 0}, "'fps' is 0; expected a number above 0"),
        ({"fps": "30"}, "'fps' is '30'"),
        ({"features": [1]}, "no 'features'"),
        ({"features": {"a/b": {}}}, "expected a name without slashes"),
        ({"data_path": 7}, "'data_path' is 7; expected a path"),
    ],
)
def test_wrong_values_of_info_json_are_named(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    root = LeRobotSet(tmp_path / "set", change_info=lambda info: info.update(changes)).write()
    with pytest.raises(DatasetError, match=said):
        opened(root)


@pytest.mark.parametrize(
    "template",
    [
        "../data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet",
        "/data/{episode_index}.parquet",
        "data/../../{episode_index}.parquet",
        "data/{episode_index.__class__}.parquet",
        "data/{episode_index:099999999999d}.parquet",
        "data/{episode_index!r}.parquet",
        "data/{root}.parquet",
        "data/{",
    ],
)
def test_a_path_template_that_climbs_out_or_asks_for_more_is_not_followed(tmp_path: Path, template: str) -> None:
    def change(info: dict[str, Any]) -> None:
        info["data_path"] = template

    reader = opened(LeRobotSet(tmp_path / "set", version="v2.1", change_info=change).write())
    with pytest.raises(DatasetError, match=r"climbs out|expected the fields episode_chunk|expected a path with"):
        reader.read(0)


def test_a_camera_whose_key_climbs_out_is_not_followed(tmp_path: Path) -> None:
    def change(info: dict[str, Any]) -> None:
        info["features"][".."] = info["features"].pop(FRONT)

    with pytest.raises(DatasetError, match="feature name"):
        opened(LeRobotSet(tmp_path / "set", version="v2.1", change_info=change).write())


def test_counts_that_differ_are_said(tmp_path: Path) -> None:
    root = LeRobotSet(tmp_path / "set", change_info=lambda info: info.update(total_episodes=9)).write()
    assert opened(root).facts()["differs"] == "info.json has total_episodes 9, meta/episodes has 3"


def test_a_line_that_is_not_json_is_named(tmp_path: Path) -> None:
    root = LeRobotSet(tmp_path / "set", version="v2.1").write()
    with (root / "meta/episodes.jsonl").open("a") as file:
        file.write('{"episode_index": 3, "len')
    with pytest.raises(DatasetError, match=r"episodes.jsonl: line 4: is not JSON"):
        opened(root)


def test_the_format_is_recognised_without_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = LeRobotSet(tmp_path / "set").write()
    for name in [name for name in sys.modules if name.partition(".")[0] == "pyarrow" or ".readers." in name]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert detect(root) == "lerobot"


# --- the hub -------------------------------------------------------------------------------------------------------


def test_a_hubs_set_is_fetched_as_far_as_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = LeRobotSet(tmp_path / "set", cameras=(FRONT, WRIST)).write()
    asked: list[tuple[Any, ...]] = []

    def fetch(name: str, **named: Any) -> str:
        asked.append((name, named["repo_type"], named["revision"], named["allow_patterns"]))
        return str(root)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fetch)
    _, reader = open_source("user/blocks", "lerobot", SourceOptions(cameras=(WRIST,), revision="v3.0"))
    assert reader.read(0).metadata["source"] == "user/blocks"
    first, second = asked
    assert first == ("user/blocks", "dataset", "v3.0", ["meta/*", "README.md"])
    assert second[3][2:] == ["data/chunk-*/file-*.parquet", f"videos/{WRIST}/chunk-*/file-*.mp4"]


def test_offline_the_hub_is_not_asked_and_the_user_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    with pytest.raises(DatasetError, match=r"user/blocks: no such folder, and the hub's data set .* cannot be fetched"):
        open_source("user/blocks", "lerobot")


def test_a_name_that_is_neither_a_folder_nor_a_hubs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no such folder, and no name of a data set on a hub"):
        open_source(str(tmp_path / "nothing"), "lerobot")


def test_a_revision_of_a_local_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="a revision goes with a data set of a hub"):
        opened(LeRobotSet(tmp_path / "set").write(), revision="main")


# --- anything at all -----------------------------------------------------------------------------------------------

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 2**70) | st.floats() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=5,
)


def read_all(root: Path) -> None:
    """Nothing but our own errors, whatever lies in the folder."""
    try:
        reader = opened(root)
        reader.facts()
    except DatasetError:
        return
    for i in range(min(len(reader), 4)):
        try:
            for frames in reader.read(i).frames.values():
                list(frames())
        except (DatasetError, ActionError):
            continue


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("lerobot")
    return {
        "v2.1": LeRobotSet(folder / "v2", version="v2.1", lengths=(3, 4)).write(),
        "v3.0": LeRobotSet(folder / "v3", lengths=(3, 4)).write(),
        "pictures": LeRobotSet(folder / "pictures", lengths=(3, 4), pictures=True).write(),
    }


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_bytes_raise_nothing_but_our_errors(
    originals: dict[str, Path], tmp_path: Path, data: st.DataObject
) -> None:
    shutil.rmtree(tmp_path / "copy", ignore_errors=True)
    root = Path(shutil.copytree(originals[data.draw(st.sampled_from(sorted(originals)))], tmp_path / "copy"))
    path = data.draw(st.sampled_from(sorted(file for file in root.rglob("*") if file.is_file())))
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.integers(0, len(content)) | st.just(len(content)))])
    read_all(root)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_value_in_info_json_raises_nothing_but_our_errors(
    originals: dict[str, Path], tmp_path: Path, data: st.DataObject
) -> None:
    shutil.rmtree(tmp_path / "copy", ignore_errors=True)
    root = Path(shutil.copytree(originals[data.draw(st.sampled_from(sorted(originals)))], tmp_path / "copy"))
    info = json.loads((root / "meta/info.json").read_text())
    place = info
    while True:
        key = data.draw(st.sampled_from(sorted(place)))
        if not (isinstance(place[key], dict) and place[key] and data.draw(st.booleans())):
            break
        place = place[key]
    place[key] = data.draw(JSON)
    (root / "meta/info.json").write_text(json.dumps(info))
    read_all(root)
