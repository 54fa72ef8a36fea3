"""Frames of a camera in an HDF5 file, decoded a few at a time."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np

from slowfast.datasets.episode import DatasetError
from slowfast.datasets.ingest.readers.encoded_pictures import decode_picture
from slowfast.datasets.ingest.readers.hdf5_arrays import MAX_CHUNK, dataset, is_text, node, opened
from slowfast.datasets.ingest.readers.hdf5_layout import Camera
from slowfast.datasets.ingest.video import MAX_PIXELS

BATCH = 16
"""Frames that are read at once where the file has no chunks of its own."""
MAX_BATCH = 2**26
"""Bytes that are read at once, if a single frame has not more."""


def frame_count(array: h5py.Dataset, camera: Camera, where: str) -> int:
    """Checks an array against what the mapping says of it. Raises :class:`DatasetError`."""
    said, shape = f"{where}: frames/{camera.key} is {array.dtype} {array.shape}", array.shape
    if camera.encoding != "raw":
        rows = (shape == shape[:1] and _is_bytes(array)) or (len(shape) == 2 and array.dtype == np.uint8)
        if not rows or math.prod(shape[1:]) > MAX_BATCH:
            raise DatasetError(f"{said}; {camera.encoding} frames are uint8 [T, L], or T rows of bytes")
        return int(shape[0])
    channel = -1 if camera.layout == "THWC" else 1
    if len(shape) != 4 or shape[channel] != 3:
        expected = "[T, H, W, 3]" if camera.layout == "THWC" else "[T, 3, H, W]"
        raise DatasetError(f"{said}; expected {expected} ({camera.layout}); say another layout or encoding")
    if camera.range is None and array.dtype != np.uint8:
        hint = "'range: unit' for floats from 0 to 1, or 'range: byte' for numbers from 0 to 255"
        raise DatasetError(f"{said}; expected uint8, or in the mapping {hint}")
    if array.dtype.kind not in "uif" or (camera.range == "unit" and array.dtype.kind != "f"):
        raise DatasetError(f"{said}; 'range: {camera.range}' is of {'floats' if camera.range == 'unit' else 'numbers'}")
    pixels = math.prod(shape[1:]) // 3
    if not 0 < pixels <= MAX_PIXELS or pixels * 3 * array.dtype.itemsize > MAX_CHUNK:
        raise DatasetError(f"{said}; a frame has {pixels:,} pixels, at most {MAX_PIXELS:,} are read")
    return int(shape[0])


def read_frames(path: Path, group: str, camera: Camera, start: int, stop: int, where: str) -> Iterator[np.ndarray]:
    """Frames ``start`` to ``stop`` (excluded), ``uint8 [H, W, 3]`` each. Raises :class:`DatasetError`."""
    with opened(path) as file:
        array = dataset(node(file, group), camera.key)
        frame_count(array, camera, where)
        shape: tuple[int, ...] | None = None
        for first, last in _batches(array, start, stop):
            rows = array[first:last]
            for t, frame in enumerate(
                _encoded(rows, camera, where) if camera.encoding != "raw" else _raw(rows, camera)
            ):
                if frame is None:
                    said = f"numbers outside of {'0 to 1' if camera.range == 'unit' else '0 to 255'}"
                    raise DatasetError(f"{where}: frames/{camera.key}: frame {first + t} has {said}")
                if frame.shape != (shape := shape or frame.shape):
                    said = f"frame {first + t} is {frame.shape[0]}x{frame.shape[1]}, the first {shape[0]}x{shape[1]}"
                    raise DatasetError(f"{where}: frames/{camera.key}: {said}")
                yield frame


def _batches(array: h5py.Dataset, start: int, stop: int) -> Iterator[tuple[int, int]]:
    """Ranges of rows that begin where a chunk does, so that no chunk is unpacked twice."""
    row = max(math.prod(array.shape[1:]) * array.dtype.itemsize, 1)
    size = min(array.chunks[0] if array.chunks else BATCH, max(MAX_BATCH // row, 1))
    if array.dtype.kind == "O":  # pictures of any length: a row at a time
        size = 1
    while start < stop:
        end = min((start // size + 1) * size, stop)
        yield start, end
        start = end


def _raw(rows: np.ndarray, camera: Camera) -> Iterator[np.ndarray | None]:
    """None for a frame whose numbers are outside of the range that the mapping says."""
    if camera.layout == "TCHW":
        rows = rows.transpose(0, 2, 3, 1)
    if camera.channels == "bgr":
        rows = rows[..., ::-1]
    for frame in rows:
        if camera.range is None:
            yield np.ascontiguousarray(frame)
            continue
        top = 1 if camera.range == "unit" else 255
        if not (frame.min() >= 0 and frame.max() <= top):  # NaN is outside too
            yield None
            return
        yield np.rint(frame.astype(np.float32) * (255 / top)).astype(np.uint8)


def _encoded(rows: np.ndarray, camera: Camera, where: str) -> Iterator[np.ndarray]:
    for row in rows:
        data = row if isinstance(row, bytes) else row.encode() if isinstance(row, str) else np.asarray(row).tobytes()
        frame = decode_picture(data, f"{where}: frames/{camera.key}")
        yield np.ascontiguousarray(frame[..., ::-1]) if camera.channels == "bgr" else frame


def _is_bytes(array: h5py.Dataset) -> bool:
    return is_text(array) or array.dtype.kind in "SV" or h5py.check_vlen_dtype(array.dtype) == np.uint8
