"""Encoded pictures (PNG, JPEG, ...) from bytes that nobody has vouched for."""

from __future__ import annotations

import io
import warnings

import numpy as np
from PIL import Image

from slowfast.datasets.episode import DatasetError
from slowfast.datasets.ingest.video import MAX_PIXELS

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM")
"""The readers of PIL that are tried; EPS, which starts another program, is not among them."""
COLOURS = ("RGB", "RGBA", "L", "LA", "P", "1", "CMYK", "YCbCr")


def decode_picture(data: bytes, where: str) -> np.ndarray:
    """``uint8 [H, W, 3]``; grey becomes RGB, transparency is dropped.

    Raises :class:`DatasetError`, opened by ``where``, for bytes that are no picture, more than ``MAX_PIXELS``, and
    pictures of more than 8 bits (depth).
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # PIL warns of large pictures; the limit here is firm
            with Image.open(io.BytesIO(data), formats=FORMATS) as image:
                if image.width * image.height > MAX_PIXELS:
                    said = f"a picture of {image.width}x{image.height} pixels; at most {MAX_PIXELS:,} are read"
                    raise DatasetError(f"{where}: {said}")
                if image.mode not in COLOURS:
                    raise DatasetError(f"{where}: a picture of mode {image.mode}; expected colour or grey of 8 bits")
                return np.asarray(image.convert("RGB"))
    except (DatasetError, MemoryError):
        raise
    except Exception as error:  # PIL's readers raise whatever the damaged bytes lead them to
        raise DatasetError(f"{where}: cannot be decoded as a picture ({error}); it is cut off or damaged") from error
