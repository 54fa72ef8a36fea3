"""A world's folder: where it is found, and its ``world.json``."""

from __future__ import annotations

import importlib.resources
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from slowfast.fast.files import write_text
from slowfast.frames import FITS, Fit

CONFIG = "world.json"
FORMAT_VERSION = 1


@dataclass(frozen=True)
class WorldConfig:
    """What a world folder's ``world.json`` holds.

    ``frame_size``: (height, width); ``fps``: frames a second, or None if time has no unit; ``context``: f_p, the frames
    a dream looks back on; ``chunk``: f_g, the most frames it makes at once; ``memory``: the world's own
    :class:`~slowfast.fast.MemoryRule` as a mapping with ``name``; ``environment``: the real world it was trained on
    (``id`` and ``kwargs`` for ``gymnasium.make``), if any; ``memory_kind``: the kind of memory that the world makes
    unless asked for another (``temp_lora``, ``retrieval``, ``hybrid``), None for whatever its rule is; ``fit``: how
    pictures of another size are brought to ``frame_size`` (see :mod:`slowfast.frames`), None to refuse them.
    """

    name: str
    frame_size: tuple[int, int]
    context: int = 4
    chunk: int = 4
    fps: float | None = None
    memory: dict[str, Any] = field(default_factory=lambda: {"name": "paper"})
    environment: dict[str, Any] | None = None
    memory_kind: str | None = None
    fit: Fit | None = None

    def __post_init__(self) -> None:
        if self.fit is not None and self.fit not in FITS:
            raise ValueError(f"fit is one of {', '.join(FITS)}, or None, got {self.fit!r}")


def read_config(folder: Path) -> WorldConfig:
    """Of a world's folder. Raises ValueError when it is of a newer format."""
    path = folder / CONFIG
    description = json.loads(path.read_text())
    version = description.pop("format_version", None)
    if version != FORMAT_VERSION:
        raise ValueError(f"{path}: format_version {version}, this release reads {FORMAT_VERSION}")
    description["frame_size"] = tuple(description["frame_size"])
    return WorldConfig(**description)


def write_config(folder: Path, config: WorldConfig) -> None:
    """Writes it; the file appears whole or not at all."""
    write_text(folder / CONFIG, json.dumps({"format_version": FORMAT_VERSION, **asdict(config)}, indent=2) + "\n")


def find_world(name_or_folder: str | Path) -> Path:
    """The folder of a shipped world or of a path. Raises FileNotFoundError that names the worlds there are."""
    shipped = Path(str(importlib.resources.files("slowfast"))) / "checkpoints"
    for folder in (shipped / str(name_or_folder), Path(name_or_folder)):
        if (folder / CONFIG).is_file():
            return folder
    names = sorted(path.parent.name for path in shipped.glob(f"*/{CONFIG}"))
    raise FileNotFoundError(
        f"no world {str(name_or_folder)!r}: neither shipped ({', '.join(names) or 'none'}) nor a folder with world.json"
    )
