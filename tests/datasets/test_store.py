from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from slowfast.actions import ActionSpec, Discrete
from slowfast.datasets import hdf5
from slowfast.datasets.episode import DatasetError, Episode
from slowfast.datasets.store import Store, write_episode

MakeEpisode = Callable[[int, int], Episode]


@pytest.mark.parametrize("compression", ["lzf", "gzip", "none"])
def test_an_episode_comes_back_as_it_was_written(tmp_path: Path, episode: MakeEpisode, compression: str) -> None:
    written = episode(37, 3)
    write_episode(tmp_path, written, compression)
    store = Store(tmp_path)
    read = store[0]
    assert read.spec == written.spec
    assert (read.fps, read.metadata) == (written.fps, written.metadata)
    assert (store.fps(0), store.metadata(0)) == (written.fps, written.metadata)
    for group in ("frames", "actions", "states", "infos"):
        assert_same_arrays(getattr(read, group), getattr(written, group))
    for name in ("rewards", "terminations", "truncations"):
        np.testing.assert_array_equal(getattr(read, name), getattr(written, name))
    assert store.cameras == {"front": (12, 20), "wrist": (16, 8)}
    np.testing.assert_array_equal(store.frames(0, 5, 30), written.frames["front"][5:30])
    np.testing.assert_array_equal(store.frames(0, 5, 30, "wrist"), written.frames["wrist"][5:30])
    np.testing.assert_array_equal(Store(tmp_path, camera="wrist").read(0, 30, 38), written.frames["wrist"][30:])
    assert_same_arrays(store.actions(0), written.actions)


def assert_same_arrays(read: dict[str, np.ndarray], written: dict[str, np.ndarray]) -> None:
    assert read.keys() == written.keys()
    for name, array in written.items():
        assert read[name].dtype == array.dtype
        np.testing.assert_array_equal(read[name], array)


def test_compressed_frames_are_chunked_by_sixteen(tmp_path: Path, episode: MakeEpisode) -> None:
    with h5py.File(write_episode(tmp_path, episode(40, 0), "lzf")) as file:
        assert file["frames/front"].chunks == (16, 12, 20, 3)
        assert file["frames/front"].compression == "lzf"


@pytest.mark.parametrize(("side", "compression"), [(128, None), (129, "lzf")])
def test_small_frames_are_not_compressed_unless_asked(
    tmp_path: Path, episode: MakeEpisode, side: int, compression: str | None
) -> None:
    one = replace(episode(3, 0), frames={"front": np.zeros((4, 128, side, 3), np.uint8)})
    with h5py.File(write_episode(tmp_path, one)) as file:
        assert file["frames/front"].compression == compression


def test_the_same_episode_makes_the_same_bytes(tmp_path: Path, episode: MakeEpisode) -> None:
    first, second = (write_episode(tmp_path / name, episode(20, 1)).read_bytes() for name in "ab")
    assert first == second


def test_the_index_is_rebuilt_when_missing_damaged_or_stale(tmp_path: Path, store: Store, episode: MakeEpisode) -> None:
    index = store.folder / "index.json"
    assert json.loads(index.read_text())["schema"] == 1
    index.unlink()
    assert Store(store.folder).lengths.tolist() == [40, 9, 23, 7, 31]
    index.write_text("{half")
    assert Store(store.folder).lengths.tolist() == [40, 9, 23, 7, 31]
    write_episode(store.folder, episode(11, 9), number=1, index=False)
    write_episode(store.folder, episode(12, 10), number=7, index=False)
    store.path(3).unlink()
    changed = Store(store.folder)
    assert changed.lengths.tolist() == [40, 11, 23, 31, 12]
    assert [changed.metadata(i)["seed"] for i in range(5)] == [0, 9, 2, 4, 10]
    assert len(json.loads(index.read_text())["episodes"]) == 5


def test_an_up_to_date_index_is_trusted(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> Any:
        raise AssertionError(f"{path} was opened")

    monkeypatch.setattr(hdf5, "open_file", refuse)
    again = Store(store.folder)
    assert again.lengths.tolist() == store.lengths.tolist()
    assert again.metadata(2) == store.metadata(2)


def test_a_failed_write_leaves_the_folder_as_it_was(
    tmp_path: Path, episode: MakeEpisode, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_episode(tmp_path, episode(10, 0))
    before = path.read_bytes()

    def fail(*arguments: Any) -> Any:
        raise RuntimeError("in the middle")

    monkeypatch.setattr(hdf5, "to_arrays", fail)
    with pytest.raises(RuntimeError):
        write_episode(tmp_path, episode(10, 1), number=0)
    assert path.read_bytes() == before
    assert [p.name for p in (tmp_path / "episodes").iterdir()] == ["000000.h5"]


def test_a_newer_schema_is_refused(tmp_path: Path, episode: MakeEpisode) -> None:
    path = write_episode(tmp_path, episode(10, 0), index=False)
    with h5py.File(path, "r+") as file:
        file.attrs["schema"] = 2
    with pytest.raises(DatasetError, match=r"000000\.h5: attribute 'schema' is 2, this slowfast reads 1; upgrade"):
        Store(tmp_path)


def test_damaged_files_are_named_with_key_and_expectation(tmp_path: Path, episode: MakeEpisode) -> None:
    path = write_episode(tmp_path, episode(10, 0))
    with h5py.File(path, "r+") as file:
        del file["rewards"]
    store = Store(tmp_path)
    with pytest.raises(DatasetError, match=r"000000\.h5: key 'rewards' is missing"):
        store[0]
    store.close()
    with h5py.File(path, "r+") as file:
        del file["frames/front"]
        file["frames/front"] = np.zeros((9, 12, 20, 3), np.uint8)
    with pytest.raises(DatasetError, match=r"frames/front is uint8 \(9, 12, 20, 3\), expected uint8 \[11, H, W, 3\]"):
        Store(tmp_path)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(DatasetError, match=r"000000\.h5: not a readable HDF5 file"):
        Store(tmp_path)


def test_missing_data_says_what_is_there(tmp_path: Path, store: Store) -> None:
    with pytest.raises(DatasetError, match="slowfast collect"):
        Store(tmp_path / "nothing")
    with pytest.raises(DatasetError, match=r"no camera 'top' in 'frames'; there are \['front', 'wrist'\]"):
        Store(store.folder, camera="top")


def test_episodes_of_another_action_spec_are_refused(store: Store, episode: MakeEpisode) -> None:
    spec = ActionSpec((Discrete("jump", ("no", "yes")),))
    other = replace(episode(5, 0), spec=spec, actions=spec.columns([0, 1, 1, 0, 0]))
    write_episode(store.folder, other, index=False)
    with pytest.raises(DatasetError, match=r"000005\.h5: attribute 'action_spec' differs"):
        Store(store.folder)


def test_frames_that_are_cut_off_after_the_index_was_made_are_told(store: Store) -> None:
    path = store.path(2)
    path.write_bytes(path.read_bytes()[: store._entries[2]["cameras"]["front"]["offset"] + 100])
    with pytest.raises(DatasetError, match=r"000002\.h5: ends before frame 7; the file is cut off"):
        store.frames(2, 4, 8)


def test_open_files_are_bounded(store: Store) -> None:
    bounded = Store(store.folder, open_files=2)
    for i in (0, 1, 2, 3, 4, 0):
        assert bounded.frames(i, 3, 5)[:, 0, 0, :2].tolist() == [[i, 3], [i, 4]]
        assert len(bounded._handles) <= 2


def test_a_store_travels_to_spawned_workers(store: Store) -> None:
    store.frames(0, 0, 1)
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        frames = pool.submit(store.frames, 2, 4, 8).result()
    np.testing.assert_array_equal(frames, store.frames(2, 4, 8))


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("frames", {}, "at least one camera"),
        ("frames", {"a": np.zeros((6, 4, 4, 3), np.float32)}, r"frames/a is float32"),
        ("frames", {"a": np.zeros((6, 4, 4, 3), np.uint8), "b": np.zeros((5, 4, 4, 3), np.uint8)}, "frames/b"),
        ("frames", {"a/b": np.zeros((6, 4, 4, 3), np.uint8)}, "without slashes"),
        ("actions", {"move": [0, 1]}, "actions/move has 2 rows, 6 frames go with 5 actions"),
        ("rewards", np.zeros(6), r"rewards has shape \(6,\)"),
        ("states", {"joints": np.zeros((5, 2))}, r"states/joints .* expected numbers \[6, ...\]"),
        ("infos", {"room": np.array(["a"] * 6)}, "infos/room"),
        ("fps", 0.0, "fps"),
        ("metadata", {"a": np.float32(1)}, "JSON"),
    ],
)
def test_an_episode_names_the_field_that_does_not_fit(episode: MakeEpisode, field: str, value: Any, said: str) -> None:
    with pytest.raises(DatasetError, match=said):
        replace(episode(5, 0), **{field: value})
