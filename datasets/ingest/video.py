"""Video files, decoded by PyAV: their frames' times without decoding them, and their frames one after another."""

from __future__ import annotations

import io
import itertools
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.video.reformatter import VideoReformatter

from slowfast.datasets.episode import DatasetError
from slowfast.datasets.mp4 import ONE_THREAD

SUFFIXES = (".mp4", ".webm", ".mkv", ".avi", ".mov", ".m4v")
MAX_PIXELS = 64 * 2**20
"""Of one frame: twice what 8K has. A file that claims more is refused before anything is allocated for it."""
CONTAINERS = "mov,matroska,avi,mpegts,mpeg,flv,ogg,asf"
"""What FFmpeg may take a file for. Its play lists are left out: they name further files, anywhere."""


@dataclass(frozen=True)
class Section:
    """``size`` bytes from ``offset`` on in the file ``path``: a video within a shard. ``name`` is for messages."""

    path: Path
    offset: int
    size: int
    name: str

    def __str__(self) -> str:
        return self.name

    def open(self) -> io.RawIOBase:
        """The section as a file of its own. Raises :class:`DatasetError` where ``path`` ends before it."""
        if self.offset + self.size > self.path.stat().st_size:
            raise DatasetError(f"{self.name}: {self.path.name} ends within it; the shard is cut off")
        return _SectionFile(self)


Video = Path | Section


def frame_times(path: Video) -> np.ndarray:
    """Seconds of every frame from the first, ``float64 [N]``, read from the packets. Raises :class:`DatasetError`."""
    with _opened(path) as container, _damage(path):
        stream = _stream(path, container)
        stamps, packets = [], 0
        for packet in container.demux(stream):
            if packet.pts is None and packet.size == 0:
                continue  # the last one, which only flushes
            packets += 1
            if packet.is_corrupt:
                raise DatasetError(f"{path}: frame {packets - 1} is incomplete; the file is cut off or damaged")
            if packet.pts is not None and not packet.is_discard:
                stamps.append(packet.pts)
        # an mp4 counts its frames; other containers' counts are estimates
        if "mp4" in container.format.name and packets < stream.frames:
            raise DatasetError(f"{path}: ends after {packets} of {stream.frames} frames; it is cut off")
        if not stamps:
            raise DatasetError(f"{path}: no video frames")
        times = np.unique(np.array(stamps, np.int64)) * float(stream.time_base)
        return times - times[0]


def read_frames(path: Video, start: float = 0.0, count: int | None = None) -> Iterator[np.ndarray]:
    """Frames ``uint8 [H, W, 3]`` from the one at ``start`` seconds (after the file's first) on, ``count`` of them.

    Upright, as players show them. Raises :class:`DatasetError` where decoding fails; damage is not painted over.
    """
    upright = _Upright()
    if start > 0:
        # behind a keyframe there may be frames that need others from before it, and are left out
        frames = _sought(path, start)
        late, frame = next(frames, (np.inf, None))
        if frame is not None and late < 0.5:
            for _, shown in itertools.islice(itertools.chain([(late, frame)], frames), count):
                yield upright(shown)
            return
    first = int(np.searchsorted(frame_times(path), start - 1e-3)) if start > 0 else 0
    stop = None if count is None else first + count
    for frame in itertools.islice(_decoded(path), first, stop):
        yield upright(frame)


def _decoded(path: Video) -> Iterator[av.VideoFrame]:
    """All frames. Their own times are not asked: an avi has none for them, but they come in order."""
    with _opened(path) as container, _damage(path):
        stream = _stream(path, container)
        if stream.codec_context.name in ("h264", "hevc"):
            stream.codec_context.options = {"err_detect": "explode"}  # else they show a guess where data is damaged
        for frame in container.decode(stream):
            _check_size(path, frame.width, frame.height)
            yield frame


def _sought(path: Video, start: float) -> Iterator[tuple[float, av.VideoFrame]]:
    """Frames that are not before ``start``, decoded from the keyframe before it on, and how many frames' time each is
    later. None where the container cannot seek by the frames' times."""
    with _opened(path) as container, _damage(path):
        stream = _stream(path, container)
        if not {"mp4", "webm"} & set(container.format.name.split(",")):
            return
        base, rate, first = float(stream.time_base), float(stream.average_rate or 30), stream.start_time or 0
        container.seek(int(first + start / base), stream=stream, backward=True)
        for frame in container.decode(stream):
            _check_size(path, frame.width, frame.height)
            late = ((frame.pts or 0) * base - first * base - start) * rate
            if late >= -0.25:
                yield late, frame


def size(path: Video) -> tuple[int, int]:
    """Height and width in pixels, as they are coded."""
    with _opened(path) as container:
        stream = _stream(path, container)
        return int(stream.height), int(stream.width)


@contextmanager
def _opened(path: Video) -> Iterator[Any]:
    with ExitStack() as stack:
        try:
            # FFmpeg reads a file by itself; what lies within one comes through Python
            at = stack.enter_context(path.open()) if isinstance(path, Section) else os.path.abspath(path)
            container = av.open(at, options={"format_whitelist": CONTAINERS}, metadata_errors="replace")
        except FileNotFoundError:
            raise DatasetError(f"{path}: no such file") from None
        except (av.error.FFmpegError, OSError, ValueError) as error:
            if isinstance(error, DatasetError):
                raise
            raise DatasetError(f"{path}: cannot be opened as a video ({error}); it is cut off or damaged") from error
        stack.enter_context(container)
        yield container


@contextmanager
def _damage(path: Video) -> Iterator[None]:
    try:
        yield
    except av.error.FFmpegError as error:
        raise DatasetError(f"{path}: cannot be decoded ({error.strerror}); it is cut off or damaged") from error


def _stream(path: Video, container: Any) -> Any:
    if not container.streams.video:
        raise DatasetError(f"{path}: holds no video stream")
    stream = container.streams.video[0]
    if stream.codec_context is None:
        raise DatasetError(f"{path}: holds a video of a codec that is not known; it is damaged, or has to be converted")
    _check_size(path, stream.width or 0, stream.height or 0)
    stream.thread_type = "AUTO" if (stream.width or 0) * (stream.height or 0) > 2**17 else "NONE"
    return stream


def _check_size(path: Video, width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise DatasetError(f"{path}: frames of {width}x{height} pixels; at most {MAX_PIXELS:,} pixels are read")


class _Upright:
    """Pictures as they are to be seen. A phone held upright writes lying ones, and the angle, counterclockwise, by
    which they are to be turned. One converter serves all frames, since making one costs more than using it."""

    def __init__(self) -> None:
        self._converter = VideoReformatter()

    def __call__(self, frame: av.VideoFrame) -> np.ndarray:
        picture = self._converter.reformat(frame, format="rgb24", **ONE_THREAD).to_ndarray()
        turns = round(frame.rotation / 90) % 4
        return np.ascontiguousarray(np.rot90(picture, turns)) if turns else picture


class _SectionFile(io.RawIOBase):
    def __init__(self, section: Section) -> None:
        self._file = open(section.path, "rb")  # noqa: SIM115 - closed with this one
        self._start, self._size, self._at = section.offset, section.size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        wanted = min(len(buffer), max(self._size - self._at, 0))
        self._file.seek(self._start + self._at)
        count = self._file.readinto(memoryview(buffer)[:wanted])
        self._at += count
        return count

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        self._at = max(base + offset, 0)
        return self._at

    def tell(self) -> int:
        return self._at

    def close(self) -> None:
        self._file.close()
        super().close()
