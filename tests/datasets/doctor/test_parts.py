"""The doctor's own instruments: small pictures, motion, hashes, the spool, and cutting at cuts."""

from __future__ import annotations

from pathlib import Path

import doctor_scenes as scenes
import numpy as np
import pytest

from slowfast.datasets import hdf5
from slowfast.datasets.doctor.examine import clip_of
from slowfast.datasets.doctor.finding import Finding
from slowfast.datasets.doctor.hashing import Index, Moments
from slowfast.datasets.doctor.look import Look, Looker
from slowfast.datasets.doctor.motion import described
from slowfast.datasets.doctor.shrink import shrunk
from slowfast.datasets.doctor.split_cuts import split_at_cuts
from slowfast.datasets.doctor.spool import Spool
from slowfast.datasets.doctor.stores import StoredFootage, episode_files
from slowfast.datasets.episode import DatasetError, Episode
from slowfast.datasets.store import Store, write_episode


@pytest.mark.parametrize("size", [(64, 96), (48, 64), (37, 50), (12, 20)])
def test_shrinking_averages_areas(size: tuple[int, int]) -> None:
    frames = np.random.default_rng(0).uniform(0, 255, (2, *size, 3)).astype(np.float32)
    small = shrunk(frames, 16)
    fine = frames.repeat(16, 1).repeat(16, 2)  # every pixel in 16 x 16 parts, so that the 16 areas are of whole parts
    means = fine.reshape(2, 16, size[0], 16, size[1], 3).mean((2, 4))
    np.testing.assert_allclose(small, means, rtol=1e-4)


def test_motion_says_where_the_picture_moved() -> None:
    world = scenes.picture(np.random.default_rng(1)).astype(np.float32)
    window = np.stack([world[200:328, 200:328], world[200:328, 216:344]])
    motion = described(shrunk(window, 32))
    assert motion.shape == (1, 22)
    np.testing.assert_array_equal(motion[0, :2], [0, -4])  # the picture moves against the camera


def looked(frames: np.ndarray, at_once: int) -> Look:
    looker = Looker(10.0, True)
    for start in range(0, len(frames), at_once):
        looker.add(frames[start : start + at_once])
    return looker.look()


def test_a_look_does_not_depend_on_how_many_frames_come_at_once(moving: list[Episode]) -> None:
    pytest.importorskip("scenedetect")
    frames = np.concatenate([moving[0].frames["camera"][:30], moving[1].frames["camera"][:31]])
    whole, parts, single = (looked(frames, at_once) for at_once in (61, 7, 1))
    assert whole.cuts == parts.cuts == single.cuts == [30]
    for other in (parts, single):
        for name in ("motion", "change", "identical", "brightness", "spread", "thumbs", "rows", "columns"):
            np.testing.assert_allclose(getattr(other, name), getattr(whole, name), rtol=1e-3, atol=1e-2, err_msg=name)


def test_a_stored_episode_looks_the_same_in_parts(tmp_path: Path) -> None:
    """Longer than what is read at once."""
    episode = scenes.moving(5, steps=150)
    part = StoredFootage(episode_files(scenes.written(tmp_path / "data", [episode])))
    clip = clip_of(part, 0)
    assert len(clip) == 150
    np.testing.assert_allclose(clip.looks["camera"].motion, looked(episode.frames["camera"], 151).motion, atol=1e-2)


def test_hashes_of_near_copies_meet_and_those_of_others_do_not() -> None:
    random = np.random.default_rng(0)
    thumbs = random.integers(20, 235, (200, 4, 4), np.uint8).repeat(4, 1).repeat(4, 2).reshape(200, 256)
    moments = Moments(256)
    moments.add(thumbs)
    hasher = moments.hasher()
    assert hasher is not None
    noisy = np.clip(thumbs + random.normal(0, 2, thumbs.shape), 0, 255).astype(np.uint8)
    rows, found = Index(hasher.bands(thumbs)).near(hasher.bands(noisy))
    assert set(range(200)) <= set(rows[rows == found].tolist())
    assert (rows != found).sum() < 200 * 200 / 100


def test_pictures_that_are_all_the_same_have_no_hash() -> None:
    moments = Moments(256)
    moments.add(np.full((10, 256), 7, np.uint8))
    assert moments.hasher() is None


def test_the_spool_gives_back_what_was_put() -> None:
    arrays = [np.arange(6, dtype=np.int64).reshape(2, 3), np.zeros((0, 4), np.float32), np.array([True, False])]
    with Spool() as spool:
        kept = [spool.put(array) for array in arrays]
        for array, place in zip(arrays, kept, strict=True):
            back = spool.get(place)
            assert back.dtype == array.dtype
            np.testing.assert_array_equal(back, array)


def spliced(first: Episode, second: Episode, at: int) -> Episode:
    frames = np.concatenate([first.frames["camera"][:at], second.frames["camera"][at:]])
    infos = {"pose": np.arange(len(frames))}
    return scenes.edited(first, frames=frames, infos=infos, metadata={"seed": 3})


def test_a_copy_is_cut_where_the_scenes_end(tmp_path: Path, moving: list[Episode]) -> None:
    pytest.importorskip("scenedetect")
    faulty = spliced(moving[1], moving[8], 23)
    folder = scenes.written(tmp_path / "data/train", [moving[0], faulty]).parent
    scenes.written(folder / "test", [moving[2]])
    report = split_at_cuts(folder, tmp_path / "cut", scenes.found(folder))
    assert (report.episodes, report.parts, report.dropped, report.unreadable) == (4, 2, 0, ())
    train = Store(tmp_path / "cut/train")
    assert train.lengths.tolist() == [60, 22, 37]
    before, after = train[1], train[2]
    np.testing.assert_array_equal(before.frames["camera"], faulty.frames["camera"][:23])
    np.testing.assert_array_equal(after.frames["camera"], faulty.frames["camera"][23:])
    np.testing.assert_array_equal(before.actions["move"], faulty.actions["move"][:22])  # the 23rd leads nowhere
    np.testing.assert_array_equal(after.actions["move"], faulty.actions["move"][23:])
    np.testing.assert_array_equal(after.infos["pose"], np.arange(23, 61))
    assert after.metadata == {"seed": 3, "cut": {"episode": "000001", "first_frame": 23, "part": 1, "parts": 2}}
    assert len(Store(tmp_path / "cut/test")) == 1
    assert scenes.found(tmp_path / "cut", "scene-cuts") == []


@pytest.mark.parametrize("compression", hdf5.COMPRESSIONS)
def test_the_copy_lies_on_disk_as_the_original_does(tmp_path: Path, moving: list[Episode], compression: str) -> None:
    write_episode(tmp_path / "data", moving[0], compression)
    found = [Finding("scene-cuts", "warning", "", "", None, "000000", 20)]
    split_at_cuts(tmp_path / "data", tmp_path / "cut", found)
    kinds = set()
    for path in (tmp_path / "data/episodes/000000.h5", *episode_files(tmp_path / "cut")):
        with hdf5.open_file(path) as file:
            kinds.add("mp4" if "frames" not in file else file["frames/camera"].compression)
    assert len(kinds) == 1
    frames = moving[0].frames["camera"][20:].astype(int)
    assert np.abs(Store(tmp_path / "cut").frames(1) - frames).mean() < (4 if compression == "mp4" else 1e-9)


def test_scenes_of_one_frame_are_left_out(tmp_path: Path, moving: list[Episode]) -> None:
    folder = scenes.written(tmp_path / "data", [moving[0]])
    found = [Finding("scene-cuts", "warning", "", "", None, "000000", frame) for frame in (1, 40)]
    report = split_at_cuts(folder, tmp_path / "cut", found)
    assert (report.episodes, report.dropped) == (2, 1)
    assert Store(tmp_path / "cut").lengths.tolist() == [38, 20]


def test_a_damaged_file_is_left_out_of_the_copy_and_named(tmp_path: Path, moving: list[Episode]) -> None:
    folder = scenes.written(tmp_path / "data", moving[:2])
    (folder / "episodes/000000.h5").write_bytes(b"no")
    report = split_at_cuts(folder, tmp_path / "cut", [])
    assert report.episodes == 1
    assert "000000.h5" in report.unreadable[0]


def test_a_copy_is_not_written_over_episodes(tmp_path: Path, moving: list[Episode]) -> None:
    folder = scenes.written(tmp_path / "data", moving[:1])
    with pytest.raises(DatasetError, match="choose another folder"):
        split_at_cuts(folder, folder, [])
