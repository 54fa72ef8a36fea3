"""The formats that episodes can be exported to, what each reads of the options, and what it needs installed."""

from __future__ import annotations

import importlib
import importlib.util
from dataclasses import dataclass, fields
from typing import Any, Literal

from slowfast.datasets.episode import DatasetError


@dataclass(frozen=True)
class ExportOptions:
    """How a format is written. An option that a format has no use for is refused, not ignored."""

    quality: int = 18
    """Of the videos of lerobot and videos: x264's crf, 0 to 51, lower is better and larger."""
    back_end: Literal["hdf5", "arrow"] = "hdf5"
    """What Minari keeps its data in."""
    jpeg: bool = False
    """Minari keeps pictures of at least 32x32 as JPEG, which loses a little; exact ones if not said."""


@dataclass(frozen=True)
class ExportFormat:
    """``writer``: "module:class" of this package. ``missing``: whether the format has room for a missing action.
    ``options``: the fields of :class:`ExportOptions` that it reads. ``packages``: what it imports beyond the core, and
    the ``extra`` that installs them."""

    writer: str
    about: str
    missing: bool = False
    options: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    extra: str | None = None


EXPORTS: dict[str, ExportFormat] = {
    "lerobot": ExportFormat(
        "lerobot:LeRobotWriter",
        "LeRobot v3.0: parquet and H.264; one more row than actions, the last repeats the action before it",
        options=("quality",),
        packages=("pyarrow",),
        extra="lerobot",
    ),
    "minari": ExportFormat(
        "minari:MinariWriter",
        "Minari, loaded by the name of the folder, which has to end in -v0, -v1, ...",
        options=("back_end", "jpeg"),
        packages=("minari", "pyarrow"),
        extra="minari",
    ),
    "videos": ExportFormat(
        "videos:VideoWriter",
        "an mp4 a camera and episode, and a csv with the actions",
        missing=True,
        options=("quality",),
    ),
}


def writer_class(name: str, options: ExportOptions) -> Any:
    """The writer of a format. Raises :class:`DatasetError` for an unknown name and for options that the format does
    not read; ImportError naming the extra where a package is missing."""
    if name not in EXPORTS:
        raise DatasetError(f"format {name!r} is not known; episodes can be exported to {', '.join(EXPORTS)}")
    entry = EXPORTS[name]
    unread = [part.name for part in fields(options) if getattr(options, part.name) != part.default]
    unread = [option for option in unread if option not in entry.options]
    if unread:
        raise DatasetError(f"format {name!r} reads no {', '.join(unread)}; it reads {', '.join(entry.options)}")
    missing = [package for package in entry.packages if importlib.util.find_spec(package) is None]
    if missing:
        raise ImportError(f"format {name!r} needs {', '.join(missing)}: pip install 'slowfast[{entry.extra}]'")
    module, _, cls = entry.writer.partition(":")
    return getattr(importlib.import_module(f"slowfast.datasets.export.{module}"), cls)
