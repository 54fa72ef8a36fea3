"""LeRobot v3.0 as LeRobot writes it; that LeRobot's own reader loads it is checked by benchmarks/lerobot_interop.py."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import av
import numpy as np
import pyarrow.parquet as pq
import pytest

from slowfast.datasets.episode import DatasetError, Episode
from slowfast.datasets.export import lerobot
from slowfast.datasets.export.lerobot_files import ParquetFiles, VideoFiles
from slowfast.datasets.export.lerobot_statistics import Total, of_pictures, of_rows
from slowfast.datasets.export.pipeline import export
from slowfast.datasets.ingest.formats import SourceOptions, open_source
from slowfast.datasets.mp4 import read_window
from slowfast.datasets.store import Store

MakeEpisode = Callable[..., Episode]
MakeStore = Callable[..., Store]
Psnr = Callable[[np.ndarray, np.ndarray], float]


def exported(store: Store, tmp_path: Path, **options: Any) -> Path:
    export(store.folder, "lerobot", tmp_path / "lerobot", **options)
    return tmp_path / "lerobot"


def rows_of(folder: Path) -> dict[str, list[Any]]:
    return pq.read_table(folder / "data").to_pydict()


def vectors(episode: Episode) -> np.ndarray:
    columns = [column.reshape(len(episode), -1) for column in episode.actions.values() if column.dtype != object]
    return np.concatenate(columns, 1)


@pytest.mark.parametrize("kind", ["choice", "vector", "keys", "mixed", "described"])
def test_our_own_reader_gives_back_what_was_exported(
    tmp_path: Path, make_store: MakeStore, psnr: Psnr, kind: str
) -> None:
    store = make_store(kind)
    name, reader = open_source(exported(store, tmp_path), None, SourceOptions())
    assert name == "lerobot"
    assert len(reader) == 3
    if kind == "choice":
        assert reader.spec["action"].labels == store.spec.components[0].labels
    for i, episode in enumerate(store):
        recording = reader.read(i)
        read = recording.actions["action"].reshape(len(episode), -1)
        np.testing.assert_array_equal(read, vectors(episode))
        np.testing.assert_array_equal(recording.rewards, episode.rewards)
        np.testing.assert_array_equal(recording.terminations, episode.terminations)
        np.testing.assert_array_equal(recording.truncations, episode.truncations)
        np.testing.assert_array_equal(recording.states["observation.state"], episode.states["joints"])
        words = [column for column in episode.actions.values() if column.dtype == object]
        if words:
            assert recording.actions["task"].tolist() == words[0].tolist()
        frames = np.stack(list(recording.frames["observation.images.front"]()))
        assert psnr(frames, episode.frames["front"]) > 38
        assert recording.fps == pytest.approx(12.5)


def test_a_truncated_end_comes_back_as_truncated(
    tmp_path: Path, make_store: MakeStore, make_episode: MakeEpisode
) -> None:
    ended = np.arange(7) == 6
    episode = make_episode("choice", 8, terminations=np.zeros(7, bool), truncations=ended)
    folder = exported(make_store(episodes=[episode]), tmp_path)
    assert rows_of(folder)["next.done"] == [False] * 6 + [True, True]
    recording = open_source(folder)[1].read(0)
    assert not recording.terminations.any()
    np.testing.assert_array_equal(recording.truncations, ended)


def test_there_is_a_row_a_frame_and_the_last_repeats_the_action(tmp_path: Path, make_store: MakeStore) -> None:
    store = make_store("vector")
    rows = rows_of(exported(store, tmp_path))
    start = 0
    for number, episode in enumerate(store):
        count = len(episode) + 1
        place = slice(start, start + count)
        assert rows["episode_index"][place] == [number] * count
        assert rows["frame_index"][place] == list(range(count))
        assert rows["index"][place] == list(range(start, start + count))
        np.testing.assert_array_equal(rows["action"][place], episode.actions["arm"][[*range(count - 1), count - 2]])
        assert rows["next.reward"][start + count - 1] == 0
        np.testing.assert_allclose(rows["timestamp"][place], np.arange(count) / 12.5, atol=1e-6)
        start += count
    assert start == len(rows["index"])


def test_the_files_and_tables_are_those_of_v3(tmp_path: Path, make_store: MakeStore) -> None:
    folder = exported(make_store(), tmp_path)
    assert sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()) == [
        "data/chunk-000/file-000.parquet",
        "meta/episodes/chunk-000/file-000.parquet",
        "meta/info.json",
        "meta/slowfast.json",
        "meta/stats.json",
        "meta/tasks.parquet",
        "videos/observation.images.front/chunk-000/file-000.mp4",
    ]
    info = json.loads((folder / "meta/info.json").read_text())
    assert (info["codebase_version"], info["fps"], info["splits"]) == ("v3.0", 12.5, {"train": "0:3"})
    assert (info["total_episodes"], info["total_frames"], info["total_tasks"]) == (3, 34, 2)
    camera = info["features"]["observation.images.front"]
    assert (camera["dtype"], camera["shape"], camera["info"]["video.codec"]) == ("video", [24, 32, 3], "h264")
    action = info["features"]["action"]
    assert (action["dtype"], action["shape"]) == ("float32", [6])
    assert action["names"] == ["move", "arm.x", "arm.y", "keys.jump", "keys.fire", "keys.duck"]
    schema = pq.read_schema(folder / "data/chunk-000/file-000.parquet")
    assert {name: str(schema.field(name).type) for name in ("action", "task_index", "next.done", "info.room")} == {
        "action": "fixed_size_list<element: float>[6]",
        "task_index": "int64",
        "next.done": "bool",
        "info.room": "int64",
    }
    episodes = pq.read_table(folder / "meta/episodes").to_pydict()
    assert episodes["tasks"][0] == ["open the dör", "close it"]
    assert (episodes["dataset_from_index"], episodes["dataset_to_index"]) == ([0, 12, 19], [12, 19, 34])
    statistics = ("min", "max", "mean", "std", "count", "q01", "q10", "q50", "q90", "q99")
    for key, feature in info["features"].items():
        shape = {"video": (3, 1, 1)}.get(feature["dtype"], tuple(feature["shape"]))
        for name in statistics:
            assert np.shape(episodes[f"stats/{key}/{name}"][1]) == ((1,) if name == "count" else shape)
    assert set(json.loads((folder / "meta/stats.json").read_text())) == set(info["features"])


def test_tasks_are_the_index_of_a_pandas_table(tmp_path: Path, make_store: MakeStore) -> None:
    folder = exported(make_store(), tmp_path)
    table = pq.read_table(folder / "meta/tasks.parquet")
    assert table.to_pydict() == {"task_index": [0, 1], "task": ["open the dör", "close it"]}
    assert json.loads(table.schema.metadata[b"pandas"])["index_columns"] == ["task"]


def test_every_row_finds_its_frame_in_the_video(tmp_path: Path, make_store: MakeStore, psnr: Psnr) -> None:
    store = make_store("choice")
    folder = exported(store, tmp_path)
    table = pq.read_table(folder / "meta/episodes").to_pydict()
    video = folder / "videos/observation.images.front/chunk-000/file-000.mp4"
    key = "videos/observation.images.front"
    for number, episode in enumerate(store):
        first, last = (round(table[f"{key}/{name}"][number] * 12.5) for name in ("from_timestamp", "to_timestamp"))
        assert last - first == len(episode) + 1
        assert psnr(read_window(video, first, last, 12.5), episode.frames["front"]) > 38


def test_every_episode_begins_with_a_keyframe(tmp_path: Path, make_store: MakeStore) -> None:
    folder = exported(make_store("choice"), tmp_path)
    with av.open(str(folder / "videos/observation.images.front/chunk-000/file-000.mp4")) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    keyframes = {i for i, packet in enumerate(packets) if packet.is_keyframe}
    assert {0, 12, 19} <= keyframes
    assert all({i, i - 1} & keyframes for i in range(1, len(packets)))


def test_large_files_are_followed_by_others(
    tmp_path: Path, make_store: MakeStore, psnr: Psnr, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lerobot, "VideoFiles", partial(VideoFiles, limit=1))
    monkeypatch.setattr(lerobot, "ParquetFiles", partial(ParquetFiles, limit=1))
    monkeypatch.setattr(lerobot, "EPISODES_A_GROUP", 2)
    store = make_store()
    folder = exported(store, tmp_path)
    for kind in ("data", "videos/observation.images.front"):
        names = sorted(path.stem for path in (folder / kind).rglob("file-*"))
        assert names == ["file-000", "file-001", "file-002"]
    table = pq.read_table(folder / "meta/episodes").to_pydict()
    assert table["meta/episodes/file_index"] == [0, 0, 1]
    assert table["videos/observation.images.front/from_timestamp"] == [0, 0, 0]
    reader = open_source(folder)[1]
    for i, episode in enumerate(store):
        recording = reader.read(i)
        np.testing.assert_array_equal(recording.actions["action"], vectors(episode))
        assert psnr(np.stack(list(recording.frames["observation.images.front"]())), episode.frames["front"]) > 38


def test_a_thousand_files_fill_a_folder(tmp_path: Path) -> None:
    from slowfast.datasets.export.lerobot_files import Place

    assert Place(999).path(tmp_path, "mp4") == tmp_path / "chunk-000/file-999.mp4"
    assert Place(1000).path(tmp_path, "mp4") == tmp_path / "chunk-001/file-000.mp4"
    assert Place(2001).indices == {"chunk_index": 2, "file_index": 1}


def test_statistics_are_those_of_all_rows(tmp_path: Path, make_store: MakeStore) -> None:
    folder = exported(make_store("vector"), tmp_path)
    rows = np.array(rows_of(folder)["action"], np.float64)
    stats = json.loads((folder / "meta/stats.json").read_text())["action"]
    for name, expected in (("min", rows.min(0)), ("max", rows.max(0)), ("mean", rows.mean(0)), ("std", rows.std(0))):
        np.testing.assert_allclose(stats[name], expected, rtol=1e-9)
    assert stats["count"] == [34]
    assert (np.diff([stats[name] for name in ("q01", "q10", "q50", "q90", "q99")], axis=0) >= 0).all()


def test_statistics_of_pictures_are_those_of_their_pixels() -> None:
    frames = np.random.default_rng(0).integers(20, 200, (40, 9, 11, 3), np.uint8)
    pixels = frames.reshape(-1, 3) / 255
    found = of_pictures(frames)
    exact = {"min": pixels.min(0), "max": pixels.max(0), "mean": pixels.mean(0), "std": pixels.std(0)}
    for name, expected in exact.items():
        np.testing.assert_allclose(found[name][:, 0, 0], expected, atol=1e-9)
    for name, share in (("q10", 0.1), ("q50", 0.5), ("q99", 0.99)):
        np.testing.assert_allclose(found[name][:, 0, 0], np.quantile(pixels, share, axis=0), atol=1 / 255)
    assert of_pictures(np.zeros((500, 2, 2, 3), np.uint8))["count"].tolist() == [64]


def test_numbers_that_are_not_finite_count_for_nothing() -> None:
    rows = np.array([[1.0, np.nan], [3.0, np.nan], [np.inf, np.nan]])
    found = of_rows(rows)
    assert (found["mean"].tolist(), found["max"].tolist(), found["count"].tolist()) == ([2, 0], [3, 0], [3])


def test_totals_do_not_depend_on_where_the_rows_are_cut() -> None:
    rows = np.random.default_rng(0).normal(3, 2, (60, 2))
    total = Total()
    for part in np.split(rows, [5, 6, 41]):
        total.add(of_rows(part))
    for name, expected in (("mean", rows.mean(0)), ("std", rows.std(0)), ("min", rows.min(0)), ("max", rows.max(0))):
        np.testing.assert_allclose(total.result()[name], expected)


@pytest.mark.parametrize(
    ("kind", "metadata", "tasks"),
    [
        ("choice", {"instruction": "find the key"}, ["find the key"]),
        ("choice", {"environment": "Rooms-v0"}, ["Rooms-v0"]),
        ("choice", {}, [""]),
        ("mixed", {"instruction": "unheard"}, ["open the dör", "close it"]),
        ("described", {"instruction": "find the key"}, ["find the key"]),
    ],
)
def test_the_task_is_the_language_or_else_the_instruction(
    tmp_path: Path, make_store: MakeStore, kind: str, metadata: dict[str, Any], tasks: list[str]
) -> None:
    folder = exported(make_store(kind, metadata=metadata), tmp_path)
    assert pq.read_table(folder / "meta/tasks.parquet")["task"].to_pylist() == tasks


def test_words_that_are_no_task_have_a_column(tmp_path: Path, make_store: MakeStore) -> None:
    store = make_store("described", metadata={"instruction": "go"})
    rows = rows_of(exported(store, tmp_path))
    words = store[0].actions["text"].tolist()
    assert rows["language.text"][:12] == [*words, words[-1]]


def test_what_lerobot_has_no_place_for_is_kept_beside(tmp_path: Path, make_store: MakeStore) -> None:
    store = make_store("choice", metadata={"licence": "CC0-1.0", "seed": 4})
    folder = exported(store, tmp_path)
    kept = json.loads((folder / "meta/slowfast.json").read_text())
    assert kept["action_spec"] == json.loads(store.spec.to_json())
    assert json.loads((folder / "meta/info.json").read_text())["features"]["action"]["labels"] == {
        "move": ["left", "right", "stay"]
    }
    metadata = pq.read_table(folder / "meta/episodes")["slowfast/metadata"].to_pylist()
    assert json.loads(metadata[1]) == store.metadata(1)
    assert open_source(folder)[1].read(0).metadata["licence"] == "CC0-1.0"


def test_an_odd_side_gets_its_last_row_twice(
    tmp_path: Path, make_store: MakeStore, make_episode: MakeEpisode, psnr: Psnr
) -> None:
    frames = make_episode("choice", 12).frames["front"][:, :23, :31]
    folder = exported(make_store(episodes=[make_episode("choice", 12, frames={"front": frames})]), tmp_path)
    info = json.loads((folder / "meta/info.json").read_text())
    assert info["features"]["observation.images.front"]["shape"] == [24, 32, 3]
    read = np.stack(list(open_source(folder)[1].read(0).frames["observation.images.front"]()))
    assert psnr(read[:, :23, :31], frames) > 36


def test_names_that_came_from_lerobot_go_back_as_they_were(
    tmp_path: Path, make_store: MakeStore, make_episode: MakeEpisode
) -> None:
    episode = make_episode("choice", 8)
    frames = {"observation.images.top": episode.frames["front"]}
    states = {"observation.state": episode.states["joints"], "force": episode.states["joints"]}
    folder = exported(make_store(episodes=[make_episode("choice", 8, frames=frames, states=states)]), tmp_path)
    features = json.loads((folder / "meta/info.json").read_text())["features"]
    assert {"observation.images.top", "observation.state", "observation.force"} <= set(features)


def test_two_columns_of_one_name_are_refused(tmp_path: Path, make_store: MakeStore, make_episode: MakeEpisode) -> None:
    joints = make_episode("choice", 8).states["joints"]
    states = {"observation.force": joints, "force": joints}
    store = make_store(episodes=[make_episode("choice", 8, states=states)])
    with pytest.raises(DatasetError, match=r"two columns would be called 'observation\.force'"):
        exported(store, tmp_path)


def test_language_alone_makes_tasks_and_no_action(tmp_path: Path, make_store: MakeStore) -> None:
    folder = exported(make_store("language"), tmp_path)
    assert "action" not in rows_of(folder)
    assert pq.read_table(folder / "meta/tasks.parquet")["task"].to_pylist() == ["open the dör", "close it"]
