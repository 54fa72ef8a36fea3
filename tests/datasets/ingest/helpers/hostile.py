"""Sources with anything at all in them: nothing but our own errors may come of reading them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from slowfast.actions import ActionError
from slowfast.datasets.episode import DatasetError


def read_all(opened: Callable[[Path], Any], root: Path) -> None:
    """The first recordings of ``root``, to their last frames; our own errors are passed over, others are raised."""
    try:
        reader = opened(root)
        reader.facts()
    except DatasetError:
        return
    for i in range(min(len(reader), 4)):
        try:
            for frames in reader.read(i).frames.values():
                list(frames())
        except (DatasetError, ActionError):
            continue


def damage(root: Path, data: st.DataObject) -> None:
    """Changes some bytes of one file below ``root``, and perhaps cuts it off."""
    path = data.draw(st.sampled_from(sorted(file for file in root.rglob("*") if file.is_file())))
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.integers(0, len(content)) | st.just(len(content)))])
