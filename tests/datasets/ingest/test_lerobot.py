"""LeRobot data sets: what was written comes back, episode by episode, from a folder or a hub."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import huggingface_hub
import numpy as np
import pyarrow.parquet as pq
import pytest
from clips import counted
from lerobot_opened import EVERY_KIND, opened, shown
from lerobot_sets import FRONT, JOINTS, TASKS, WRIST, LeRobotSet, change_table

from slowfast.actions import Continuous, Language
from slowfast.datasets.episode import DatasetError
from slowfast.datasets.ingest import video
from slowfast.datasets.ingest.formats import SourceOptions, detect, open_source
from slowfast.datasets.ingest.pipeline import Ingestion, ingest
from slowfast.datasets.store import Store

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
