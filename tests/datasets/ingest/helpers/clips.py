"""Small real videos for the tests of ingestion: H.264 in mp4, with frames that can be told apart after compression."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from slowfast.video import VideoWriter

BITS = 8


def moving_dot(n: int, size: int = 32, speed: int = 1) -> np.ndarray:
    """``uint8 [n, size, size, 3]``: a white square on dark grey that goes ``speed`` pixels to the right a frame, and
    comes in again on the left."""
    frames = np.full((n, size, size, 3), 40, np.uint8)
    side = max(size // 8, 2)
    for t in range(n):
        columns = (np.arange(side) + t * speed) % size
        frames[t, size // 2 - side // 2 : size // 2 + side - side // 2, columns] = 250
    return frames


def counting(n: int, size: int = 32, first: int = 0) -> np.ndarray:
    """``uint8 [n, size, size, 3]``: frame t shows ``first + t`` (below 256) as eight black or white bars, which
    :func:`counted` reads from the decoded and even from the resized picture."""
    numbers = np.arange(first, first + n)
    bits = numbers[:, None] >> np.arange(BITS) & 1  # [n, BITS]
    bars = np.repeat(bits, -(-size // BITS), axis=1)[:, :size]
    return np.broadcast_to((bars * 255)[:, None, :, None], (n, size, size, 3)).astype(np.uint8)


def counted(frames: np.ndarray) -> list[int]:
    """The numbers that frames of :func:`counting` show."""
    width = frames.shape[2] / BITS
    middles = ((np.arange(BITS) + 0.5) * width).astype(int)
    bits = frames[:, frames.shape[1] // 2, middles].mean(-1) > 127
    return (bits << np.arange(BITS)).sum(1).tolist()


def write_clip(path: Path, frames: np.ndarray, fps: float = 10.0) -> Path:
    """An H.264 mp4 with its index in front, ``fps`` frames a second."""
    with VideoWriter(path, fps) as video:
        video.write(frames)
    return path


def write_timed_clip(
    path: Path, frames: np.ndarray, times: Sequence[float], codec: str = "libx264", ticks: int = 1000
) -> Path:
    """A clip of any container whose frame t is shown from ``times[t]`` seconds on (a variable frame rate), in whole
    ticks of 1/``ticks`` s."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=ticks)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        stream.time_base = stream.codec_context.time_base = Fraction(1, ticks)
        for frame, time in zip(frames, times, strict=True):
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
            picture.pts, picture.time_base = round(time * ticks), Fraction(1, ticks)
            for packet in stream.encode(picture):
                container.mux(packet)
        for packet in stream.encode(None):
            container.mux(packet)
    return path


def cut_off(path: Path, share: float = 0.6) -> Path:
    """The same file without its end."""
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    return path
