from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from clips import counted, counting, cut_off, moving_dot, write_clip, write_timed_clip
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from slowfast.datasets.episode import DatasetError
from slowfast.datasets.ingest import video
from slowfast.datasets.ingest.video import Section, frame_times, read_frames, size

CONTAINERS = [
    ("mp4", "libx264"),
    ("mov", "libx264"),
    ("mkv", "libx264"),
    ("webm", "libvpx"),
    ("avi", "mpeg4"),
    ("avi", "mjpeg"),
    ("m4v", "mpeg4"),
]


def numbers(frames: Iterator[np.ndarray]) -> list[int]:
    return counted(np.stack(list(frames)))


@pytest.mark.parametrize(("suffix", "codec"), CONTAINERS)
def test_every_container_gives_its_frames_and_their_times(tmp_path: Path, suffix: str, codec: str) -> None:
    times = np.cumsum([0, 40, 33, 60, 200, 41, 40, 39, 80, 40, 40]) / 1000
    clip = write_timed_clip(tmp_path / f"a.{suffix}", counting(11), times.tolist(), codec)
    np.testing.assert_allclose(frame_times(clip), times, atol=1e-9)
    assert numbers(read_frames(clip)) == list(range(11))
    assert numbers(read_frames(clip, count=3)) == [0, 1, 2]
    assert size(clip) == (32, 32)


def write_with_options(path: Path, codec: str, options: dict[str, str], count: int) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=30, options=options)
        stream.width = stream.height = 32
        stream.pix_fmt = "yuv420p"
        for frame in counting(count):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize(
    ("suffix", "codec", "options"),
    [
        ("mp4", "libx264", {"x264-params": "open-gop=1:keyint=10:bframes=3:log-level=none"}),
        (
            "mp4",
            "libx265",
            {"x265-params": "open-gop=1:keyint=20:min-keyint=20:scenecut=0:b-adapt=0:bframes=4:log-level=none"},
        ),
        ("webm", "libvpx", {"g": "10"}),
        ("avi", "mpeg4", {"g": "10", "bf": "2"}),
        ("avi", "libx264", {"g": "10", "bf": "2"}),
    ],
)
def test_frames_from_the_middle_are_the_same_as_from_the_start(
    tmp_path: Path, suffix: str, codec: str, options: dict[str, str]
) -> None:
    clip = write_with_options(tmp_path / f"a.{suffix}", codec, options, 60)
    times = frame_times(clip)
    for first in range(1, 58):
        assert numbers(read_frames(clip, times[first], 3)) == [first, first + 1, first + 2]
    assert numbers(read_frames(clip, times[55])) == [55, 56, 57, 58, 59]


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9, 0.99])
def test_a_truncated_mp4_is_refused_before_it_is_decoded(tmp_path: Path, share: float) -> None:
    clip = cut_off(write_clip(tmp_path / "a.mp4", moving_dot(40, 64)), share)
    with pytest.raises(DatasetError, match=r"a\.mp4: .*(cut off|damaged)"):
        frame_times(clip)


def test_a_video_that_lacks_its_last_byte_is_refused(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mp4", moving_dot(40, 64))
    clip.write_bytes(clip.read_bytes()[:-1])
    with pytest.raises(DatasetError, match=r"a\.mp4: frame 39 is incomplete; the file is cut off or damaged"):
        frame_times(clip)


def test_damage_within_a_video_is_seldom_painted_over(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mp4", moving_dot(60, 128))
    whole, genuine = clip.read_bytes(), np.stack(list(read_frames(clip))).astype(int)
    first, random = whole.index(b"mdat") + 4, np.random.default_rng(0)
    painted, refused = 0, 0
    for at in random.integers(first + (len(whole) - first) // 4, len(whole) - 8, 50).tolist():
        clip.write_bytes(whole[:at] + random.bytes(8) + whole[at + 8 :])
        try:
            painted += np.abs(np.stack(list(read_frames(clip))) - genuine).max() > 30
        except DatasetError as error:
            refused += "a.mp4: cannot be decoded" in str(error)
    assert refused > 30
    assert painted <= 7  # a decoder that is not told to be strict shows a third of them


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.floats(0, 1), junk=st.binary(max_size=60), rest=st.booleans())
def test_any_damage_to_a_video_is_a_dataset_error_or_none(tmp_path: Path, at: float, junk: bytes, rest: bool) -> None:
    whole = tmp_path / "whole.mp4"
    data = whole.read_bytes() if whole.exists() else write_clip(whole, moving_dot(12)).read_bytes()
    cut = int(at * len(data))
    clip = tmp_path / "a.mp4"
    clip.write_bytes(data[:cut] + junk + (data[cut + len(junk) :] if rest else b""))
    said = ""
    try:
        assert len(frame_times(clip)) >= 1
        assert all(frame.dtype == np.uint8 and frame.ndim == 3 for frame in read_frames(clip))
    except DatasetError as error:
        said = str(error)
    assert not said or "a.mp4" in said


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not a video at all",
        b"\0" * 4096,
        b"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nb.mp4\n#EXT-X-ENDLIST\n",
        b"ffconcat version 1.0\nfile b.mp4\n",
    ],
)
def test_what_is_no_video_is_refused_and_play_lists_too(tmp_path: Path, content: bytes) -> None:
    write_clip(tmp_path / "b.mp4", counting(4))
    (tmp_path / "a.mp4").write_bytes(content)
    for read in (frame_times, size, lambda path: list(read_frames(path))):
        with pytest.raises(DatasetError, match=r"a\.mp4: cannot be opened as a video"):
            read(tmp_path / "a.mp4")


def test_a_file_that_is_not_there_and_one_without_pictures_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"none\.mp4: no such file"):
        frame_times(tmp_path / "none.mp4")
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        stream = container.add_stream("aac", rate=8000)
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        sound.rate = 8000
        container.mux(stream.encode(sound))
        container.mux(stream.encode(None))
    with pytest.raises(DatasetError, match=r"a\.mp4: holds no video stream"):
        frame_times(tmp_path / "a.mp4")


def test_frames_of_absurd_sizes_are_refused_before_they_are_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = write_clip(tmp_path / "a.mp4", counting(4))
    monkeypatch.setattr(video, "MAX_PIXELS", 1000)
    for read in (frame_times, size, lambda path: list(read_frames(path))):
        with pytest.raises(DatasetError, match="frames of 32x32 pixels; at most 1,000 pixels are read"):
            read(clip)


@pytest.mark.parametrize(
    ("matrix", "bright"),
    [
        ((0, 1, -1, 0), (0, 1)),  # a quarter clockwise, as phones held upright write it
        ((0, -1, 1, 0), (1, 0)),
        ((-1, 0, 0, -1), (1, 1)),
        ((1, 0, 0, 1), (0, 0)),
    ],
)
def test_pictures_of_phones_are_turned_upright(
    tmp_path: Path, matrix: tuple[int, ...], bright: tuple[int, int]
) -> None:
    frames = np.full((3, 32, 64, 3), 20, np.uint8)
    frames[:, :16, :32] = 230
    clip = write_clip(tmp_path / "a.mp4", frames)
    data = bytearray(clip.read_bytes())
    a, b, c, d = (value << 16 for value in matrix)
    at = data.index(b"tkhd") + 44
    data[at : at + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    clip.write_bytes(data)
    (picture, *_) = read_frames(clip)
    assert picture.shape == ((32, 64, 3) if matrix[0] else (64, 32, 3))
    quarters = picture.reshape(2, picture.shape[0] // 2, 2, picture.shape[1] // 2, 3).mean((1, 3, 4)) > 127
    assert np.argwhere(quarters).tolist() == [list(bright)]


def test_a_video_within_another_file_is_read_where_it_lies(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mp4", counting(12)).read_bytes()
    (tmp_path / "shard").write_bytes(b"x" * 777 + clip + b"y" * 999)
    section = Section(tmp_path / "shard", 777, len(clip), "shard/a.mp4")
    assert len(frame_times(section)) == 12
    assert numbers(read_frames(section)) == list(range(12))
    assert numbers(read_frames(section, 0.5, 2)) == [5, 6]
    with section.open() as file:
        assert file.read() == clip
    beyond = Section(tmp_path / "shard", 777, len(clip) + 1000, "shard/a.mp4")
    with pytest.raises(DatasetError, match=r"shard/a\.mp4: shard ends within it"):
        frame_times(beyond)


def test_files_are_closed_when_a_reader_stops_early(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mp4", counting(12))
    descriptors = Path("/proc/self/fd")
    before: Any = len(list(descriptors.iterdir())) if descriptors.exists() else None
    for start in (0.0, 0.5):
        frames = read_frames(clip, start)
        next(frames)
        del frames
    if before is not None:
        assert len(list(descriptors.iterdir())) <= before
