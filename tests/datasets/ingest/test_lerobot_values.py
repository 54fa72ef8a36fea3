"""What cameras, actions, tasks and ends of a LeRobot data set become."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lerobot_opened import opened, shown
from lerobot_sets import FRONT, TASKS, WRIST, LeRobotSet, change_table

from slowfast.actions import Discrete, Keyboard
from slowfast.datasets.episode import DatasetError
from slowfast.datasets.ingest.pipeline import Ingestion, ingest
from slowfast.datasets.store import Store


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


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ({"command": ["left", "right", "up", "down"]}, ("left", "right", "up", "down")),
        (["left", "right", "up"], ("left", "right", "up")),
        (["too", "few"], ("-1", "0", "1", "2")),
        (["same", "same", "up"], ("-1", "0", "1", "2")),
        ({"command": ["a", "b", "c"], "other": ["x", "y", "z"]}, ("-1", "0", "1", "2")),
    ],
)
def test_a_choice_has_the_labels_that_are_said_of_all_its_numbers(
    tmp_path: Path, labels: object, expected: tuple[str, ...]
) -> None:
    feature = {"command": {"dtype": "int64", "shape": [1], "names": None, "labels": labels}}
    root = LeRobotSet(
        tmp_path / "set", features=feature, columns=lambda episode, length: {"command": np.arange(length) % 4 - 1}
    ).write()
    reader = opened(root, action="command")
    assert reader.spec["action"] == Discrete("action", expected)
    missing = int("left" not in expected)  # of labelled choices, -1 is one that is missing
    assert reader.read(0).actions["action"].tolist() == [a + missing for a in (-1, 0, 1, 2, -1, 0)]


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
