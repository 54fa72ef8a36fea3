"""Episodes whose frames are kept as H.264: smaller by far, any window of them, and everything else as it was."""

from __future__ import annotations

import io
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import av
import h5py
import numpy as np
import pytest

from slowfast.actions import ActionSpec, Discrete
from slowfast.datasets import mp4
from slowfast.datasets.episode import DatasetError, Episode
from slowfast.datasets.sources import open_source
from slowfast.datasets.store import Store, write_episode
from slowfast.datasets.windows import WindowLoader, WindowShape

SPEC = ActionSpec((Discrete("move", ("left", "right")),))


def scrolling(count: int, height: int, width: int, seed: int = 0) -> np.ndarray:
    """A grey picture of soft blocks that moves by a pixel a frame: no two frames are alike."""
    rng = np.random.default_rng(seed)
    coarse = rng.uniform(30, 220, (height // 8 + 2, (width + count) // 8 + 2))
    wide = np.kron(coarse, np.ones((8, 8)))
    smooth = sum(np.roll(wide, (i, j), (0, 1)) for i in range(4) for j in range(4)) / 16
    pictures = np.stack([smooth[:height, t : t + width] for t in range(count)])
    return np.repeat(pictures[..., None], 3, -1).astype(np.uint8)


def an_episode(count: int = 50, sides: tuple[int, int] = (48, 64), fps: float = 12.5, seed: int = 0) -> Episode:
    rng = np.random.default_rng(seed)
    return Episode(
        frames={"front": scrolling(count, *sides, seed), "top": scrolling(count, 32, 32, seed + 1)},
        actions=SPEC.columns(rng.integers(0, 2, count - 1)),
        spec=SPEC,
        fps=fps,
        rewards=rng.normal(size=count - 1).astype(np.float32),
        infos={"pose": rng.normal(size=(count, 3))},
        metadata={"seed": seed},
    )


def psnr(read: np.ndarray, written: np.ndarray) -> float:
    assert read.shape == written.shape
    return float(10 * np.log10(255**2 / max(((read.astype(float) - written) ** 2).mean(), 1e-9)))


def decoded(data: bytes) -> np.ndarray:
    with av.open(io.BytesIO(data)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


def test_frames_come_back_nearly_and_everything_else_exactly(tmp_path: Path) -> None:
    written = an_episode()
    write_episode(tmp_path, written, "mp4")
    store = Store(tmp_path)
    read = store[0]
    assert store.cameras == {"front": (48, 64), "top": (32, 32)}
    for camera, frames in written.frames.items():
        assert psnr(read.frames[camera], frames) > 35
    assert (read.spec, read.fps, read.metadata) == (written.spec, written.fps, written.metadata)
    np.testing.assert_array_equal(read.actions["move"], written.actions["move"])
    np.testing.assert_array_equal(read.rewards, written.rewards)
    np.testing.assert_array_equal(read.infos["pose"], written.infos["pose"])
    np.testing.assert_array_equal(store.info(0, "pose"), written.infos["pose"])


@pytest.mark.parametrize("fps", [30.0, 12.5, 29.97, 9.8765432, 1 / 7])
def test_every_window_is_what_the_whole_video_has_there(tmp_path: Path, fps: float) -> None:
    write_episode(tmp_path, an_episode(fps=fps), "mp4")
    store = Store(tmp_path)
    whole = store[0].frames["front"]
    for start in range(50):
        stop = min(start + 1 + start % 9, 50)
        np.testing.assert_array_equal(store.frames(0, start, stop), whole[start:stop])
    np.testing.assert_array_equal(store.frames(0, 40), whole[40:])
    np.testing.assert_array_equal(store.frames(0, -3), whole[-3:])
    assert store.frames(0, 9, 9).shape == (0, 48, 64, 3)
    assert store.frames(0, 9, 4).shape == (0, 48, 64, 3)


def test_odd_sides_stay_odd(tmp_path: Path) -> None:
    written = an_episode(20, (35, 41))
    write_episode(tmp_path, written, "mp4")
    store = Store(tmp_path)
    assert store.shape(0) == (35, 41, 3)
    assert psnr(store.frames(0, 3, 11), written.frames["front"][3:11]) > 33


def test_a_window_decodes_from_the_keyframe_before_it_and_no_further_back(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    frames = scrolling(400, 32, 32)
    path.write_bytes(mp4.encoded(frames, 30.0))
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
        keyframes = [i for i, packet in enumerate(packets) if packet.is_keyframe]
        first, last = (packets[i].pos for i in (0, keyframes[-1]))
    assert keyframes == list(range(0, 400, mp4.KEYFRAMES_EVERY))
    assert first is not None
    assert last is not None
    whole = path.read_bytes()
    path.write_bytes(whole[:first] + bytes(last - first) + whole[last:])
    assert psnr(mp4.read_window(path, 390, 398, 30.0), frames[390:398]) > 35
    with pytest.raises(DatasetError):
        mp4.read_window(path, 200, 208, 30.0)


def test_it_takes_far_less_room_than_lzf_and_the_same_bytes_every_time(tmp_path: Path) -> None:
    episode = an_episode(60, (96, 128))
    small, again, large = (
        write_episode(tmp_path / name, episode, compression)
        for name, compression in (("a", "mp4"), ("b", "mp4"), ("c", "lzf"))
    )
    assert small.stat().st_size * 5 < large.stat().st_size
    assert small.read_bytes() == again.read_bytes()


def test_a_loader_reads_it_like_any_other_store(tmp_path: Path) -> None:
    for seed in range(3):
        write_episode(tmp_path, an_episode(30 + seed, seed=seed), "mp4", seed, index=False)
    source = open_source(tmp_path)
    assert isinstance(source, Store)
    batch = WindowLoader(source, [WindowShape(4, 4)], 5)[3]
    for frames, i, start in zip(batch["frames"], batch["episodes"], batch["starts"], strict=True):
        np.testing.assert_array_equal(frames, source[i].frames["front"][start : start + 8])


def test_a_store_of_videos_travels_to_another_process(tmp_path: Path) -> None:
    write_episode(tmp_path, an_episode(), "mp4")
    store = Store(tmp_path)
    here = store.frames(0, 17, 25)  # opens the file, which does not travel
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        there = pool.submit(store.frames, 0, 17, 25).result()
    np.testing.assert_array_equal(there, here)


def test_videos_and_arrays_may_lie_in_one_folder(tmp_path: Path) -> None:
    write_episode(tmp_path, an_episode(seed=1), "mp4")
    write_episode(tmp_path, an_episode(seed=2), "none")
    store = Store(tmp_path)
    assert psnr(store.frames(0, 5, 9), an_episode(seed=1).frames["front"][5:9]) > 35
    np.testing.assert_array_equal(store.frames(1, 5, 9), an_episode(seed=2).frames["front"][5:9])


@pytest.mark.parametrize("damage", ["bytes", "frames", "keys"])
def test_damage_is_named_and_no_crash(tmp_path: Path, damage: str) -> None:
    path = write_episode(tmp_path, an_episode(), "mp4")
    with h5py.File(path, "r+") as file:
        if damage == "bytes":
            video = file["videos/front"]
            video[...] = np.random.default_rng(0).integers(0, 256, len(video))
        elif damage == "frames":
            video = np.frombuffer(mp4.encoded(scrolling(20, 48, 64), 12.5), np.uint8)
            del file["videos/front"]
            file["videos/front"] = video
            file["videos/front"].attrs.update(height=48, width=64)
        else:
            del file["videos/front"].attrs["height"]
    with pytest.raises(DatasetError, match=r"000000\.h5: .*(damaged|height and width)"):
        Store(tmp_path).frames(0, 15, 30, "front")


def test_frames_that_no_video_can_hold_are_refused(tmp_path: Path) -> None:
    writer = mp4.Mp4Writer(tmp_path / "a.mp4", 10.0)
    writer.write(scrolling(3, 32, 32))
    with pytest.raises(DatasetError, match="32x32 takes no frames of 32x40"):
        writer.write(scrolling(3, 32, 40))
    with pytest.raises(DatasetError, match=r"uint8 \[n, H, W, 3\]"):
        writer.write(np.zeros((3, 32, 32), np.uint8))
    writer.close()
    with pytest.raises(DatasetError, match="quality 60"):
        mp4.Mp4Writer(tmp_path / "b.mp4", 10.0, quality=60)
    assert not (tmp_path / "b.mp4").exists()


def test_a_new_beginning_is_a_keyframe(tmp_path: Path) -> None:
    with mp4.Mp4Writer(tmp_path / "a.mp4", 10.0) as writer:
        writer.write(scrolling(21, 32, 32))
        writer.write(scrolling(9, 32, 32, 5), anew=True)
    with av.open(str(tmp_path / "a.mp4")) as container:
        keyframes = [i for i, packet in enumerate(container.demux(video=0)) if packet.is_keyframe and packet.size]
    assert keyframes == [0, 16, 21]
    assert psnr(mp4.read_window(tmp_path / "a.mp4", 21, 30, 10.0), scrolling(9, 32, 32, 5)) > 35


def test_colours_of_single_pixels_are_kept_for_training() -> None:
    rng = np.random.default_rng(0)
    dots = np.repeat(rng.integers(0, 2, (1, 32, 32, 3)).astype(np.uint8) * 200, 3, 0)
    buffer = io.BytesIO()
    with mp4.Mp4Writer(buffer, 10.0) as writer:
        writer.write(dots)
    shared, own = (decoded(data) for data in (buffer.getvalue(), mp4.encoded(dots, 10.0)))
    assert psnr(shared, dots) < 20
    assert psnr(own, dots) > 30
