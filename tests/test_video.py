"""MP4 files that appear whole, with the frames that went in."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from slowfast.video import VideoWriter, read_video


def gradient(count: int, height: int, width: int) -> np.ndarray:
    """Smooth frames, which H.264 keeps closely."""
    row, column = np.linspace(0, 200, height)[:, None], np.linspace(0, 50, width)[None]
    frame = np.stack([row + column] * 3, -1)
    return np.stack([frame * (0.5 + 0.5 * number / count) for number in range(count)]).astype(np.uint8)


def test_frames_come_back(tmp_path: Path) -> None:
    frames = gradient(12, 32, 48)
    with VideoWriter(tmp_path / "out.mp4", fps=12.5, scale=2) as video:
        video.write(frames[:5])
        video.write(frames[5:])
    read = read_video(tmp_path / "out.mp4")
    assert read.shape == (12, 64, 96, 3)
    assert np.abs(read[:, ::2, ::2].astype(int) - frames).mean() < 4
    with av.open(str(tmp_path / "out.mp4")) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.pix_fmt, stream.average_rate) == ("h264", "yuv420p", 12.5)


def test_odd_sides_become_even(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "out.mp4", 8) as video:
        video.write(gradient(2, 31, 33))
    assert read_video(tmp_path / "out.mp4").shape == (2, 32, 34, 3)


def test_a_video_that_fails_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    path.write_bytes(b"old")
    with pytest.raises(RuntimeError), VideoWriter(path, 8) as video:  # noqa: PT012
        video.write(gradient(2, 32, 32))
        raise RuntimeError
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_frames_of_another_kind_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="uint8"), VideoWriter(tmp_path / "out.mp4", 8) as video:
        video.write(np.zeros((1, 32, 32, 3)))
    with pytest.raises(ValueError, match="scale"):
        VideoWriter(tmp_path / "out.mp4", 8, scale=0)
