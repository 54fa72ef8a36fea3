"""Damage to a LeRobot data set is said, and only the recording that has it is skipped."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clips import counted, cut_off, write_clip
from lerobot_opened import opened
from lerobot_sets import FRONT, LeRobotSet, change_table, encode, png

from slowfast.datasets.episode import DatasetError
from slowfast.datasets.ingest.pipeline import Ingestion, ingest
from slowfast.datasets.ingest.readers import parquet_rows
from slowfast.datasets.store import Store


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
