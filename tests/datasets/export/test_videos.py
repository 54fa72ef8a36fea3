"""Videos with tables beside them, which `slowfast ingest` reads as they stand."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from slowfast.actions import Discrete
from slowfast.datasets.episode import Episode
from slowfast.datasets.export.pipeline import export
from slowfast.datasets.ingest.formats import open_source
from slowfast.datasets.ingest.recording import Reader
from slowfast.datasets.store import Store

MakeEpisode = Callable[..., Episode]
MakeStore = Callable[..., Store]
Psnr = Callable[[np.ndarray, np.ndarray], float]


def exported(store: Store, tmp_path: Path) -> tuple[Path, Reader]:
    export(store.folder, "videos", tmp_path / "videos")
    return tmp_path / "videos", open_source(tmp_path / "videos", "videos")[1]


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_our_own_reader_gives_back_what_was_exported(tmp_path: Path, make_store: MakeStore, psnr: Psnr) -> None:
    store = make_store()
    _, reader = exported(store, tmp_path)
    assert len(reader) == 3
    move = reader.spec["move"]
    assert isinstance(move, Discrete)
    for i, episode in enumerate(store):
        recording = reader.read(i)
        labels = np.array(move.labels, object)[recording.actions["move"]]
        assert labels.tolist() == np.array(["left", "right", "stay"])[episode.actions["move"]].tolist()
        np.testing.assert_array_equal(recording.actions["action"], episode.actions["arm"])
        np.testing.assert_array_equal(recording.actions["keys"], episode.actions["keys"][:, [2, 1, 0]])  # by name
        assert recording.actions["text"].tolist() == episode.actions["task"].tolist()
        np.testing.assert_array_equal(recording.rewards, episode.rewards)
        np.testing.assert_array_equal(recording.terminations, episode.terminations)
        np.testing.assert_array_equal(recording.truncations, episode.truncations)
        states = np.concatenate([recording.states[f"joints.{axis}"] for axis in range(4)], 1)
        np.testing.assert_array_equal(states, episode.states["joints"])
        assert recording.fps == pytest.approx(12.5)
        assert psnr(np.stack(list(recording.frames["camera"]())), episode.frames["front"]) > 38


def test_a_row_a_frame_and_nothing_happens_after_the_last(tmp_path: Path, make_store: MakeStore) -> None:
    folder, _ = exported(make_store("vector"), tmp_path)
    rows = table(folder / "000001.csv")
    assert [row["frame"] for row in rows] == [str(number) for number in range(7)]
    assert list(rows[0])[:3] == ["frame", "action.x", "action.y"]
    assert (rows[-1]["action.x"], rows[-1]["reward"], rows[-1]["terminated"]) == ("", "", "")
    assert rows[-1]["state.joints.0"] != ""


def test_missing_actions_are_empty_cells_and_missing_again(
    tmp_path: Path, make_store: MakeStore, make_episode: MakeEpisode
) -> None:
    episode = make_episode("mixed", 30)
    episode.actions["move"][4], episode.actions["keys"][5], episode.actions["arm"][6] = -1, -1, np.nan
    episode.actions["task"][7] = ""
    folder, reader = exported(make_store(episodes=[episode]), tmp_path)
    rows = table(folder / "000000.csv")
    assert (rows[4]["action.move"], rows[5]["action.keys.jump"], rows[6]["action.arm.x"]) == ("", "", "")
    read = reader.read(0).actions
    assert read["move"].tolist().index(-1) == 4
    assert (read["keys"][5] == -1).all()
    assert np.isnan(read["action"][6]).all()
    assert read["text"][7] == ""


def test_words_that_repeat_the_labels_are_not_said_twice(tmp_path: Path, make_store: MakeStore) -> None:
    folder, reader = exported(make_store("described"), tmp_path)
    assert "text" not in table(folder / "000000.csv")[0]
    assert [component.kind for component in reader.spec.components] == ["discrete", "language"]


def test_an_instruction_stands_where_no_sentence_does(tmp_path: Path, make_store: MakeStore) -> None:
    _, reader = exported(make_store("choice", metadata={"instruction": "find the key"}), tmp_path)
    assert set(reader.read(0).actions["text"].tolist()) == {"find the key"}


def test_each_of_several_cameras_has_a_folder(
    tmp_path: Path, make_store: MakeStore, make_episode: MakeEpisode, psnr: Psnr
) -> None:
    frames = {name: make_episode("choice", 9, seed).frames["front"] for seed, name in enumerate(("left", "right"))}
    store = make_store(episodes=[make_episode("choice", 9, frames=frames)])
    folder, _ = exported(store, tmp_path)
    for name in frames:
        recording = open_source(folder / name, "videos")[1].read(0)
        assert psnr(np.stack(list(recording.frames["camera"]())), frames[name]) > 38
        assert recording.actions["action"].shape == (8,)


def test_what_is_known_of_the_clips_lies_beside_them(tmp_path: Path, make_store: MakeStore) -> None:
    store = make_store("choice")
    folder, _ = exported(store, tmp_path)
    lines = [json.loads(line) for line in (folder / "episodes.jsonl").read_text().splitlines()]
    assert [(line["file"], line["frames"]) for line in lines] == [
        ("000000.mp4", 12),
        ("000001.mp4", 7),
        ("000002.mp4", 15),
    ]
    assert lines[1]["metadata"] == store.metadata(1)
    assert json.loads((folder / "action_spec.json").read_text()) == json.loads(store.spec.to_json())


def test_what_has_no_column_is_said(tmp_path: Path, make_store: MakeStore) -> None:
    done = export(make_store().folder, "videos", tmp_path / "videos")
    assert done.left_out == ("infos/pose has no column", "infos/room has no column")
