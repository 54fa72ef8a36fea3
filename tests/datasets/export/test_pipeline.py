"""An export is whole or not there, and what does not fit is found before it begins."""

from __future__ import annotations

import gc
import importlib.util
import os
import subprocess
import sys
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from slowfast.datasets.episode import DatasetError, Episode
from slowfast.datasets.export import pipeline
from slowfast.datasets.export.formats import EXPORTS, ExportOptions
from slowfast.datasets.export.pipeline import export
from slowfast.datasets.export.videos import VideoWriter
from slowfast.datasets.store import Store

MakeEpisode = Callable[..., Episode]
MakeStore = Callable[..., Store]


def _out(tmp_path: Path, name: str) -> Path:
    return tmp_path / "exported" / f"{name}-v0"


@pytest.mark.parametrize("name", EXPORTS)
def test_it_says_what_it_wrote_and_counts_its_steps(tmp_path: Path, make_store: MakeStore, name: str) -> None:
    steps: list[tuple[int, int]] = []
    done = export(make_store().folder, name, _out(tmp_path, name), progress=lambda *step: steps.append(step))
    assert (done.format, done.episodes, done.frames) == (name, 3, 34)
    assert steps == [(0, 3), (1, 3), (2, 3), (3, 3)]
    files = [path for path in _out(tmp_path, name).rglob("*") if path.is_file()]
    assert done.bytes == sum(path.stat().st_size for path in files)
    assert [path.name for path in (tmp_path / "exported").iterdir()] == [f"{name}-v0"]


@pytest.mark.parametrize("name", EXPORTS)
@pytest.mark.parametrize("failure", [RuntimeError("in the middle"), KeyboardInterrupt()])
def test_a_failed_export_leaves_nothing(
    tmp_path: Path, make_store: MakeStore, monkeypatch: pytest.MonkeyPatch, name: str, failure: BaseException
) -> None:
    store, read = make_store(), Store.__getitem__

    def fail(self: Store, i: int) -> Episode:
        if i == 1:
            raise failure
        return read(self, i)

    monkeypatch.setattr(Store, "__getitem__", fail)
    with pytest.raises(type(failure)):
        export(store.folder, name, _out(tmp_path, name))
    assert list((tmp_path / "exported").iterdir()) == []
    monkeypatch.undo()
    assert export(store.folder, name, _out(tmp_path, name)).episodes == 3


def test_a_folder_that_holds_something_is_refused_and_kept(tmp_path: Path, make_store: MakeStore) -> None:
    out = _out(tmp_path, "videos")
    out.mkdir(parents=True)
    store = make_store()
    (out / "mine.txt").write_text("mine")
    with pytest.raises(DatasetError, match="is there already and not an empty folder; choose another --out"):
        export(store.folder, "videos", out)
    assert [path.name for path in out.iterdir()] == ["mine.txt"]
    (out / "mine.txt").unlink()
    assert export(store.folder, "videos", out).episodes == 3
    with pytest.raises(DatasetError, match="is there already"):
        export(store.folder, "videos", store.path(0))
    with pytest.raises(DatasetError, match="is there already"):
        export(store.folder, "videos", store.folder)


def test_what_a_killed_export_left_is_removed(tmp_path: Path, make_store: MakeStore) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    out = _out(tmp_path, "videos")
    left, other = (out.with_name(f".{name}.{dead.pid}.tmp") for name in (out.name, "another"))
    running = out.with_name(f".{out.name}.{os.getppid()}.tmp")
    for folder in (left, other, running):
        (folder / "data").mkdir(parents=True)
    export(make_store().folder, "videos", out)
    assert not left.exists()
    assert other.exists()
    assert running.exists()


def test_one_episode_is_in_memory_at_a_time(
    tmp_path: Path, make_store: MakeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    alive: list[weakref.ref[Any]] = []
    add = VideoWriter.add

    def count(self: VideoWriter, number: int, episode: Episode) -> None:
        gc.collect()
        assert not any(reference() is not None for reference in alive)
        alive.append(weakref.ref(episode.frames["front"]))
        add(self, number, episode)

    monkeypatch.setattr(VideoWriter, "add", count)
    export(make_store().folder, "videos", _out(tmp_path, "videos"))
    assert len(alive) == 3


def test_limit_takes_the_first_episodes(tmp_path: Path, make_store: MakeStore) -> None:
    done = export(make_store().folder, "videos", _out(tmp_path, "videos"), limit=2)
    assert (done.episodes, done.frames) == (2, 19)


def test_missing_actions_are_refused_by_name_or_left_out_where_there_is_no_room(
    tmp_path: Path, make_store: MakeStore, make_episode: MakeEpisode
) -> None:
    gap = make_episode("mixed", 9, 5)
    gap.actions["arm"][3, 1] = np.nan
    store = make_store(episodes=[make_episode("mixed", 8, 1), gap, make_episode("mixed", 8, 2)])
    for name in ("lerobot", "minari"):
        with pytest.raises(DatasetError, match=r"000001\.h5: action 3 has no 'arm'.*--skip-missing"):
            export(store.folder, name, _out(tmp_path, name))
        done = export(store.folder, name, _out(tmp_path, name), skip_missing=True)
        assert done.episodes == 2
        assert len(done.skipped) == 1
        assert "000001.h5: action 3" in done.skipped[0]
    assert export(store.folder, "videos", _out(tmp_path, "videos")).episodes == 3
    with pytest.raises(DatasetError, match="nothing to skip"):
        export(store.folder, "videos", _out(tmp_path, "again"), skip_missing=True)


def test_what_only_some_episodes_have_is_left_out_and_said(
    tmp_path: Path, make_store: MakeStore, make_episode: MakeEpisode
) -> None:
    episodes = [
        make_episode("choice", 8, 0, infos={"pose": np.zeros((8, 3)), "room": np.zeros(8), "map": np.zeros((8, 2, 2))}),
        make_episode("choice", 8, 1, infos={"pose": np.zeros((8, 2)), "map": np.zeros((8, 2, 2))}),
    ]
    done = export(make_store(episodes=episodes).folder, "lerobot", _out(tmp_path, "lerobot"))
    assert done.left_out == (
        "infos/pose has several types or shapes",
        "infos/room is in 1 of 2 episodes",
        "infos/map has 2 axes a frame",
    )


@pytest.mark.parametrize("name", ["lerobot", "minari"])
def test_pictures_of_several_sizes_are_refused_before_anything_is_read(
    tmp_path: Path, make_store: MakeStore, make_episode: MakeEpisode, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    larger = make_episode("choice", 8, 1, frames={"front": np.zeros((8, 40, 40, 3), np.uint8)})
    store = make_store(episodes=[make_episode("choice", 8, 0), larger])
    monkeypatch.setattr(Store, "__getitem__", lambda *_: pytest.fail("an episode was read"))
    with pytest.raises(DatasetError, match=r"frames of 'front' are 24x32, 40x40.*--policy\.size"):
        export(store.folder, name, _out(tmp_path, name))


def test_lerobot_refuses_several_rates(tmp_path: Path, make_store: MakeStore, make_episode: MakeEpisode) -> None:
    store = make_store(episodes=[make_episode("choice", 8, 0), make_episode("choice", 8, 1, fps=30.0)])
    with pytest.raises(DatasetError, match=r"episodes have 12\.5, 30 frames a second.*--policy\.fps"):
        export(store.folder, "lerobot", _out(tmp_path, "lerobot"))


def test_cameras_are_chosen_by_name(tmp_path: Path, make_store: MakeStore, make_episode: MakeEpisode) -> None:
    frames = {name: np.zeros((8, 24, 32, 3), np.uint8) for name in ("front", "wrist")}
    store = make_store(episodes=[make_episode("choice", 8, 0, frames=frames), make_episode("choice", 8, 1)])
    export(store.folder, "videos", _out(tmp_path, "videos"), cameras=("front",))
    assert (_out(tmp_path, "videos") / "000001.mp4").exists()
    with pytest.raises(DatasetError, match=r"000001\.h5: no camera 'wrist'; there are front"):
        export(store.folder, "videos", _out(tmp_path, "again"))


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("zarr", ExportOptions(), "format 'zarr' is not known; episodes can be exported to lerobot, minari, videos"),
        ("minari", ExportOptions(quality=3), "format 'minari' reads no quality; it reads back_end, jpeg"),
        ("videos", ExportOptions(jpeg=True), "format 'videos' reads no jpeg; it reads quality"),
        ("videos", ExportOptions(quality=77), "quality of 0 to 51"),
    ],
)
def test_what_no_format_can_do_is_refused(
    tmp_path: Path, make_store: MakeStore, name: str, options: ExportOptions, message: str
) -> None:
    with pytest.raises(DatasetError, match=message):
        export(make_store().folder, name, _out(tmp_path, name), options=options)
    assert not _out(tmp_path, name).exists()


def test_a_missing_package_names_the_extra(
    tmp_path: Path, make_store: MakeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"needs minari, pyarrow: pip install 'slowfast\[minari\]'"):
        export(make_store().folder, "minari", _out(tmp_path, "minari"))


def test_a_folder_without_episodes_and_a_damaged_episode_are_named(tmp_path: Path, make_store: MakeStore) -> None:
    with pytest.raises(DatasetError, match=r"no episodes/NNNNNN\.h5"):
        export(tmp_path / "nothing", "videos", _out(tmp_path, "videos"))
    store = make_store()
    store.path(1).write_bytes(store.path(1).read_bytes()[:2000])
    with pytest.raises(DatasetError, match=r"000001\.h5: not a readable HDF5 file"):
        export(store.folder, "videos", _out(tmp_path, "videos"))
    assert list((tmp_path / "exported").iterdir()) == []


def test_every_format_is_a_writer() -> None:
    for name in EXPORTS:
        writer = pipeline.writer_class(name, ExportOptions())
        assert all(callable(getattr(writer, method)) for method in ("add", "__enter__", "__exit__")), name
