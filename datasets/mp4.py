"""H.264 in mp4 that is read from the middle: keyframes at short, equal distances and no frame that waits for a later
one, so that a window costs the frames since the keyframe before it.

A rate is kept as a fraction with a denominator of at most :data:`FINEST`, so that frame n lies at exactly n / fps.
"""

from __future__ import annotations

import io
import os
import threading
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any

import av
import numpy as np
from av.video.frame import PictureType
from av.video.reformatter import VideoReformatter

from slowfast.datasets.episode import DatasetError

KEYFRAMES_EVERY = 16
QUALITY = 18
FINEST = 100_000

# From 17 on PyAV starts a thread a core for every conversion to RGB, which takes far longer than to convert.
ONE_THREAD: dict[str, Any] = {"threads": 1} if int(av.__version__.split(".")[0]) >= 17 else {}
_own = threading.local()


def rate(fps: float) -> Fraction:
    """Frames a second as a video file keeps them."""
    return Fraction(fps).limit_denominator(FINEST)


class Mp4Writer:
    """Frames after frames into ``target``, a path or a seekable binary file; use it as a context manager.

    ``quality``: x264's crf, 0 to 51, lower is better. ``keyframes_every``: frames from keyframe to keyframe.
    ``for_training``: a colour for each pixel rather than for four, and a stream that is quicker to decode and a tenth
    larger; not every player shows it. An odd side gets its last row or column twice. The bytes depend on frames and
    settings alone (one thread encodes). ``frames`` counts those written.
    """

    def __init__(
        self,
        target: str | Path | io.IOBase,
        fps: float,
        quality: int = QUALITY,
        keyframes_every: int = KEYFRAMES_EVERY,
        for_training: bool = False,
    ) -> None:
        if not 0 <= quality <= 51 or keyframes_every < 1 or not rate(fps) > 0:
            said = f"fps {fps}, quality {quality}, keyframes_every {keyframes_every}"
            raise DatasetError(f"a video needs fps above 0, a quality of 0 to 51 and keyframes, got {said}")
        self.fps, self.quality, self.keyframes_every = fps, quality, keyframes_every
        self._pixels = "yuv444p" if for_training else "yuv420p"
        self._tuned = {"tune": "fastdecode"} if for_training else {}
        self.frames = 0
        if isinstance(target, io.IOBase):
            self._container = av.open(target, "w", format="mp4")
        else:  # a browser shows the file before it has all of it
            self._container = av.open(str(target), "w", format="mp4", options={"movflags": "faststart"})
        self._stream: av.VideoStream | None = None

    def write(self, frames: np.ndarray, anew: bool = False) -> None:
        """Add ``uint8 [n, H, W, 3]``; ``anew`` begins with a keyframe."""
        if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[-1] != 3:
            raise DatasetError(f"a video takes frames uint8 [n, H, W, 3], got {frames.dtype} {frames.shape}")
        height, width = (side + side % 2 for side in frames.shape[1:3])
        stream = self._stream = self._stream or self._opened(height, width)
        if (stream.height, stream.width) != (height, width):
            raise DatasetError(f"a video of {stream.height}x{stream.width} takes no frames of {height}x{width}")
        for picture in frames:
            if picture.shape[:2] != (height, width):
                picture = np.pad(picture, ((0, height - len(picture)), (0, width - picture.shape[1]), (0, 0)), "edge")
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = self.frames, 1 / rate(self.fps)
            if anew:
                frame.pict_type, anew = PictureType.I, False
            self._container.mux(stream.encode(frame))
            self.frames += 1

    def close(self) -> None:
        """Write what the encoder still holds, and end the file."""
        if self._stream is not None:
            self._container.mux(self._stream.encode(None))
        self._container.close()

    def __enter__(self) -> Mp4Writer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self._container.close()

    def _opened(self, height: int, width: int) -> av.VideoStream:
        every = str(self.keyframes_every)
        stream = self._container.add_stream(
            "libx264",
            rate=rate(self.fps),
            options={
                "crf": str(self.quality),
                "g": every,
                "keyint_min": every,
                "sc_threshold": "0",
                "bf": "0",
                "forced-idr": "1",
                "threads": "1",
                **self._tuned,
            },
        )
        stream.width, stream.height, stream.pix_fmt = width, height, self._pixels
        stream.codec_context.time_base = 1 / rate(self.fps)
        return stream


def encoded(frames: np.ndarray, fps: float) -> bytes:
    """A whole mp4 of ``uint8 [n, H, W, 3]``, as training reads it best."""
    buffer = io.BytesIO()
    with Mp4Writer(buffer, fps, for_training=True) as writer:
        writer.write(frames)
    return buffer.getvalue()


def read_window(
    path: str | os.PathLike[str],
    start: int,
    stop: int,
    fps: float,
    size: tuple[int, int] | None = None,
    part: tuple[int, int] | None = None,
) -> np.ndarray:
    """Frames ``start`` to ``stop`` (excluded) of a video that :class:`Mp4Writer` wrote at ``fps``.

    ``size``: height and width, where they are odd (the file's are even). ``part``: first byte and number of bytes of
    the video, where it lies within a larger file. Returns ``uint8 [stop - start, H, W, 3]``. Raises
    :class:`DatasetError` where the file is damaged or ends before ``stop``.
    """
    frames: list[np.ndarray] = []
    per_second = rate(fps)
    try:
        with av.open(_address(path, part), format="mp4") as container:
            stream = container.streams.video[0]
            stream.thread_type = "NONE"
            base = stream.time_base or 1 / per_second
            if start > 0:
                container.seek(round(start / per_second / base), stream=stream)
            for frame in container.decode(stream) if stop > start else ():
                index = len(frames) + start if frame.pts is None else round(frame.pts * base * per_second)
                if index >= start:
                    frames.append(_rgb(frame))
                if index >= stop - 1:
                    break
            shape = (stream.height, stream.width)
    except (av.error.FFmpegError, IndexError, ValueError) as error:
        raise DatasetError(f"{path}: frames {start} to {stop} cannot be decoded ({error}); it is damaged") from error
    if len(frames) != stop - start:
        raise DatasetError(f"{path}: has {len(frames)} of the frames {start} to {stop}; it is cut off or damaged")
    height, width = size or shape
    if not frames:
        return np.zeros((0, height, width, 3), np.uint8)
    return np.stack([frame[:height, :width] for frame in frames])


def _address(path: str | os.PathLike[str], part: tuple[int, int] | None) -> str:
    """FFmpeg reads a part of a file by itself, which is faster than through a Python file."""
    absolute = os.path.abspath(path)  # a name like "a:b" would be taken for a protocol
    if part is None:
        return f"file:{absolute}"
    return f"subfile,,start,{part[0]},end,{part[0] + part[1]},,:{absolute}"


def _rgb(frame: av.VideoFrame) -> np.ndarray:
    """The conversion's tables are made once a thread and size."""
    if not hasattr(_own, "reformatter"):
        _own.reformatter = VideoReformatter()
    picture: np.ndarray = _own.reformatter.reformat(frame, format="rgb24", **ONE_THREAD).to_ndarray()
    return picture
