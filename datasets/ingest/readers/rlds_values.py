"""What one leaf of an RLDS step is: a picture, a flag, text or numbers, as NumPy, TFDS or plain Python write them."""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from slowfast.datasets.episode import DatasetError
from slowfast.datasets.ingest.readers.encoded_pictures import decode_picture
from slowfast.datasets.ingest.video import MAX_PIXELS

MAX_DEPTH = 8
PICTURES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")


def flattened(value: Any, where: str) -> dict[str, Any]:
    """Leaves of nested dictionaries by their path. Raises :class:`DatasetError`."""
    if not isinstance(value, Mapping):
        raise DatasetError(f"{where}: expected a dictionary, got {type(value).__name__}")
    found: dict[str, Any] = {}
    waiting = [("", value)]
    while waiting:
        path, here = waiting.pop(0)
        for key, inner in here.items():
            name = f"{path}{key}"
            if isinstance(inner, Mapping):
                if name.count("/") >= MAX_DEPTH:
                    raise DatasetError(f"{where}: {name}: dictionaries nested more than {MAX_DEPTH} deep")
                waiting.append((f"{name}/", inner))
            else:
                found[name] = inner
    return found


def leaf(leaves: dict[str, Any], key: str, where: str) -> Any:
    """Raises :class:`DatasetError` where it is not there."""
    if key not in leaves:
        raise DatasetError(f"{where}: no {key}; it has {', '.join(leaves)[:300]}")
    return leaves[key]


def flag(leaves: dict[str, Any], key: str, where: str) -> bool:
    """False where it is not there. Raises :class:`DatasetError` for what is neither true nor false."""
    value = _array(leaves.get(key, False), f"{where}: {key}")
    if value.size != 1 or value.dtype.kind not in "biuf":
        raise DatasetError(f"{where}: {key} is {value.dtype} {value.shape}; expected true or false")
    return bool(value.item())


def picture(value: Any, where: str) -> np.ndarray:
    """``uint8 [H, W, 3]``, from an array of that shape or one channel, or from a PNG or JPEG. Raises
    :class:`DatasetError`."""
    data = as_bytes(value)
    if data is not None:
        return decode_picture(data, where)
    frame = _array(value, where)
    if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[-1] not in (1, 3) or frame.size == 0:
        raise DatasetError(f"{where} is {frame.dtype} {frame.shape}; expected a picture, uint8 [H, W, 3], PNG or JPEG")
    if frame.shape[0] * frame.shape[1] > MAX_PIXELS:
        raise DatasetError(f"{where}: {frame.shape[1]}x{frame.shape[0]} pixels; at most {MAX_PIXELS:,} are read")
    return np.broadcast_to(frame, (*frame.shape[:2], 3))


def as_bytes(value: Any) -> bytes | None:
    """Bytes, alone or in an array without axes; None for anything else."""
    if isinstance(value, np.ndarray) and value.ndim == 0 and value.dtype.kind in "OS":
        value = value.item()
    return bytes(value) if isinstance(value, (bytes, bytearray)) else None


def as_text(value: Any) -> str:
    """Text, or the bytes that TFDS keeps it in; anything else is none."""
    data = as_bytes(value)
    if data is not None:
        return data.decode("utf-8", "replace")
    return str(value) if isinstance(value, str) else ""


def shows_picture(value: Any) -> bool:
    """Whether :func:`picture` takes it, by type, shape and first bytes."""
    data = as_bytes(value)
    if data is not None:
        return data.startswith(PICTURES)
    shape: tuple[int, ...] = tuple(getattr(value, "shape", ()))
    return getattr(value, "dtype", None) == np.uint8 and len(shape) == 3 and shape[-1] in (1, 3)


def is_vector(value: Any) -> bool:
    """One number, or a row of numbers."""
    if not isinstance(value, (np.ndarray, np.generic, int, float, list, tuple)):
        return False
    try:
        array = _array(value, "")
    except DatasetError:
        return False
    return array.ndim <= 1 and array.dtype.kind in "biuf"


def stacked(values: list[Any], where: str) -> np.ndarray:
    """``[N, ...]`` of numbers, or ``object`` of ``str``. Raises :class:`DatasetError` for anything else."""
    if all(isinstance(value, str) or as_bytes(value) is not None for value in values):
        return np.array([as_text(value) for value in values], object)
    arrays = [_array(value, where) for value in values]
    if len({array.shape for array in arrays}) > 1:
        shapes = sorted({array.shape for array in arrays})[:3]
        raise DatasetError(f"{where} changes its shape from step to step: {shapes}")
    rows = np.stack(arrays)
    if rows.dtype.kind not in "biuf":
        raise DatasetError(f"{where} holds {rows.dtype}; expected numbers or text")
    return rows


def _array(value: Any, where: str) -> np.ndarray:
    try:
        return np.asarray(value)
    except Exception as error:  # lists of different lengths, and whatever another library's arrays raise
        raise DatasetError(f"{where} is {type(value).__name__}, that is no array ({error!r:.200})") from error


class Spool:
    """Pictures of one camera in a temporary file (in ``TMPDIR``) that vanishes with this object.

    Steps can often be read only once, and their annotations are needed before the first picture is.
    """

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as this object
        self._shape: tuple[int, ...] | None = None
        self._count = 0

    def write(self, frame: np.ndarray, where: str) -> None:
        """``uint8 [H, W, 3]``, all of one size."""
        self._shape = self._shape or frame.shape
        if frame.shape != self._shape:
            sizes = f"{frame.shape[0]}x{frame.shape[1]}, the first {self._shape[0]}x{self._shape[1]}"
            raise DatasetError(f"{where}: the picture is {sizes}")
        self._file.write(np.ascontiguousarray(frame).data)
        self._count += 1

    def frames(self) -> Iterator[np.ndarray]:
        self._file.flush()
        shape = self._shape or (0, 0, 3)
        size = math.prod(shape)
        for t in range(self._count):
            yield np.frombuffer(os.pread(self._file.fileno(), size, t * size), np.uint8).reshape(shape)
