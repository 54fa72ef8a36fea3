"""MP4 files, written frame by frame: H.264 in yuv420p, which every player and browser shows."""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path
from types import TracebackType

import av
import numpy as np


class VideoWriter:
    """Writes ``path`` as frames come; use it as a context manager.

    The file lies under a temporary name beside ``path`` until the block ends, and vanishes if it fails. ``fps``: frames
    a second; ``scale``: enlarges by this whole number, pixel for pixel; ``quality``: x264's crf, lower is better. An
    odd side gets its last row or column twice, since yuv420p takes even ones.
    """

    def __init__(self, path: str | Path, fps: float, scale: int = 1, quality: int = 16) -> None:
        if scale < 1 or not fps > 0:
            raise ValueError(f"a video needs a scale of at least 1 and fps above 0, got {scale} and {fps}")
        self.path, self.fps, self.scale, self.quality = Path(path), fps, scale, quality
        self.frames = 0
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._temporary = self.path.with_name(f".{self.path.name}.{os.getpid()}.tmp")
        self._container = av.open(str(self._temporary), "w", format="mp4", options={"movflags": "faststart"})
        self._stream: av.VideoStream | None = None

    def write(self, frames: np.ndarray) -> None:
        """Adds ``uint8 [n, H, W, 3]``."""
        if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[-1] != 3:
            raise ValueError(f"a video takes frames uint8 [n, H, W, 3], got {frames.dtype} {frames.shape}")
        large = frames.repeat(self.scale, 1).repeat(self.scale, 2)
        even = np.pad(large, ((0, 0), (0, large.shape[1] % 2), (0, large.shape[2] % 2), (0, 0)), "edge")
        if self._stream is None:
            self._stream = self._opened(even.shape[1], even.shape[2])
        for picture in even:
            for packet in self._stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")):
                self._container.mux(packet)
        self.frames += len(frames)

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None and self._stream is not None:
                for packet in self._stream.encode(None):
                    self._container.mux(packet)
            self._container.close()
            if kind is None and self._stream is not None:
                os.replace(self._temporary, self.path)
        finally:
            self._temporary.unlink(missing_ok=True)

    def _opened(self, height: int, width: int) -> av.VideoStream:
        rate = Fraction(self.fps).limit_denominator(1000)
        stream = self._container.add_stream("libx264", rate=rate, options={"crf": str(self.quality)})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        return stream


def read_video(path: str | Path) -> np.ndarray:
    """All frames of a video, ``uint8 [T, H, W, 3]``."""
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])
