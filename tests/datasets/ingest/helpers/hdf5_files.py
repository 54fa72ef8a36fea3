"""HDF5 files of others, and a mapping for them."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import yaml
from clips import counting
from PIL import Image

from slowfast.datasets.ingest.formats import SourceOptions
from slowfast.datasets.ingest.readers.hdf5_mapping import Hdf5Episodes

FRONT = {"frames": {"front": "images"}, "actions": {"action": "actions"}, "fps": 10}


def write(path: Path, arrays: dict[str, Any], **layout: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "a") as file:
        for key, value in arrays.items():
            file.create_dataset(key, data=value, **(layout if np.ndim(value) == 4 else {}))
    return path


def mapping(tmp_path: Path, **content: Any) -> Path:
    path = tmp_path / "mapping.yaml"
    path.write_text(yaml.safe_dump({**FRONT, **content}))
    return path


def opened(tmp_path: Path, source: Path, **content: Any) -> Hdf5Episodes:
    return Hdf5Episodes(source, SourceOptions(mapping=mapping(tmp_path, **content)))


def simple(count: int = 6, **arrays: Any) -> dict[str, Any]:
    return {"images": counting(count, 16), "actions": np.arange(count, dtype=np.float32)[:, None] / 10, **arrays}


def frames(reader: Hdf5Episodes, i: int = 0, camera: str = "front") -> np.ndarray:
    return np.stack(list(reader.read(i).frames[camera]()))


def encoded(pictures: np.ndarray, format: str = "PNG") -> list[np.ndarray]:
    found = []
    for picture in pictures:
        buffer = io.BytesIO()
        Image.fromarray(picture).save(buffer, format, quality=95)
        found.append(np.frombuffer(buffer.getvalue(), np.uint8))
    return found
