"""The formats that can be ingested, how each is recognised, and what it needs installed."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from slowfast.datasets.episode import DatasetError
from slowfast.datasets.ingest.recording import Reader


@dataclass(frozen=True)
class SourceOptions:
    """What a source does not say itself. An option that a format has no use for is refused, not ignored.

    ``cameras``: the ones to take, by the source's names (default: all). ``action``: the key or column of the actions.
    ``annotations``: a table beside the clips. ``mapping``: a YAML file that says which key holds what. ``fps``: frames
    a second, where the source has no times. ``labels``: names of a discrete action's choices or a vector's axes.
    ``revision``: of a data set on a hub.
    """

    cameras: tuple[str, ...] = ()
    action: str | None = None
    annotations: Path | None = None
    mapping: Path | None = None
    fps: float | None = None
    labels: tuple[str, ...] = ()
    revision: str | None = None


@dataclass(frozen=True)
class Format:
    """``reader``: "module:class" below ``readers``, called with (source, options); the module's ``detect(path)`` says
    whether a path looks like this format, by names and first bytes alone. ``packages``: what it imports beyond the
    core, and the ``extra`` that installs them. ``options``: the fields of :class:`SourceOptions` that it reads."""

    reader: str
    about: str
    options: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    extra: str | None = None


FORMATS: dict[str, Format] = {
    "lerobot": Format(
        "lerobot:LeRobot",
        "LeRobot data sets v2.0, v2.1 and v3.0: a folder, or user/name on the hub (has to be named)",
        ("action", "cameras", "revision"),
        ("pyarrow",),
        "lerobot",
    ),
    "minari": Format(
        "minari:MinariEpisodes",
        "Minari data sets with pictures (HDF5, Arrow): a folder, or the name of a local one (has to be named)",
        ("cameras", "fps", "labels"),
        ("minari", "pyarrow"),
        "minari",
    ),
    "vpt": Format(
        "vpt:VptFolder",
        "Minecraft recordings as published for VPT: NAME.mp4 with NAME.jsonl, keys and mouse at every frame",
    ),
    "epic-kitchens": Format(
        "epic_kitchens:NarratedClips",
        "EPIC-KITCHENS csv and the videos below it: a recording a narration",
        ("action", "annotations", "labels"),
    ),
    "epic-kitchens-videos": Format(
        "epic_kitchens:NarratedVideos",
        "the same, a recording a video, with each narration over its time (has to be named)",
        ("action", "annotations", "labels"),
    ),
    "rlds": Format(
        "rlds:open_rlds",
        "RLDS step dictionaries: a folder that TFDS wrote; or module:function or tfds:NAME (these have to be named)",
        ("action", "cameras", "fps", "labels"),
    ),
    "hdf5": Format(
        "hdf5_mapping:Hdf5Episodes",
        "HDF5 files of others: robomimic, LIBERO and ALOHA as they are, any other with a mapping file",
        ("cameras", "fps", "mapping"),
    ),
    "webdataset": Format(
        "webdataset:WebDatasetShards",
        "WebDataset shards: NAME.tar with KEY.mp4 and KEY.json, KEY.txt, KEY.cls, KEY.csv or KEY.jsonl in it",
        ("action", "labels"),
    ),
    "videos": Format(
        "videos:VideoFolder",
        "clips (mp4, webm, avi, mkv, mov) with a csv, jsonl, json or parquet file each, one table for all, or none",
        ("action", "annotations", "labels"),
    ),
}
"""In the order in which they are tried on a source; the more particular come first."""


def open_source(
    source: str | Path, name: str | None = None, options: SourceOptions | None = None
) -> tuple[str, Reader]:
    """The name of the source's format (``name``, or the first that recognises it) and the opened reader.

    ``name`` may also be a :class:`Reader` of one's own, as "module:class"; it is called with all options. Raises
    :class:`DatasetError` for an unknown name, a source that no format recognises, options that the format does not
    read; ImportError naming the extra where a package is missing.
    """
    options = options or SourceOptions()
    name = name or detect(source)
    if ":" in name:
        return name, _own_reader(name)(source, options)
    if name not in FORMATS:
        raise DatasetError(f"format {name!r} is not known; there are {', '.join(FORMATS)}")
    entry = FORMATS[name]
    unread = [part.name for part in fields(options) if getattr(options, part.name) != part.default]
    unread = [option for option in unread if option not in entry.options]
    if unread:
        raise DatasetError(
            f"format {name!r} reads no {', '.join(unread)}; it reads {', '.join(entry.options) or 'none'}"
        )
    missing = missing_packages(entry)
    if missing:
        raise ImportError(f"format {name!r} needs {', '.join(missing)}: pip install 'slowfast[{entry.extra}]'")
    return name, getattr(_module(entry), entry.reader.partition(":")[2])(source, options)


def _own_reader(name: str) -> Any:
    module, _, reader = name.partition(":")
    try:
        return getattr(importlib.import_module(module), reader)
    except (ImportError, AttributeError, ValueError) as error:
        raise DatasetError(f'format {name!r}: expected "module:class" of a reader ({error})') from error


def detect(source: str | Path) -> str:
    """The first format that recognises a file or folder. Raises :class:`DatasetError` where none does."""
    path = Path(source)
    if not path.exists():
        raise DatasetError(f"{source}: no such file or folder; to read from a hub, name the format with --format")
    for name, entry in FORMATS.items():
        recognised: Any = getattr(_module(entry), "detect", None)
        if recognised is not None and recognised(path):
            return name
    raise DatasetError(f"{source}: looks like none of {', '.join(FORMATS)}; name one with --format")


def missing_packages(entry: Format) -> Sequence[str]:
    """The packages of a format that are not installed."""
    return [package for package in entry.packages if importlib.util.find_spec(package) is None]


def _module(entry: Format) -> Any:
    return importlib.import_module(f"slowfast.datasets.ingest.readers.{entry.reader.partition(':')[0]}")
