"""Which key of an HDF5 file holds what: the mapping file, and the layouts that are known without one.

A mapping is YAML; only ``frames`` and ``actions`` have to be there::

    files: "*.hdf5"              # of a folder; default: all .h5, .hdf5 and .hdf files below it
    episodes: data/*             # the groups that hold an episode each; default: the file is one
    ends: meta/episode_ends      # for long arrays that hold all episodes: where each ends (a list of row numbers, the
                                 # first row after it), or a flag a row; several flags as a list: [terminals, timeouts]
    frames:                      # camera: key. A "*" stands for the same text in both
      front: obs/agentview_image
      wrist: {key: obs/wrist, layout: TCHW, encoding: jpeg, channels: bgr, range: unit}
    actions:                     # component: key
      action: actions
      move: {key: act, kind: discrete, labels: [left, right], low: -1, high: 1}
    rewards: rewards
    terminations: dones
    truncations: timeouts
    states: {joints: obs/qpos}
    fps: 20                      # or times: obs/time, seconds a frame

``layout`` THWC (default) or TCHW and ``range`` are of raw frames: uint8 if nothing is said, ``unit`` for floats from
0 to 1, ``byte`` for other numbers from 0 to 255. ``encoding`` raw (default), jpeg or png. ``channels`` rgb (default)
or bgr. ``kind`` continuous, discrete, keyboard or language; by default floats are continuous, a whole number is a
choice, bools are keys, text is language. ``low`` and ``high`` are the bounds of a continuous one, a number or one an
axis; without them all actions are read once, when the source is opened, to find them.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from slowfast.datasets.episode import DatasetError, check_name
from slowfast.datasets.ingest.readers.action_survey import Action

CHOICES: dict[str, tuple[str, ...]] = {
    "layout": ("THWC", "TCHW"),
    "encoding": ("raw", "jpeg", "png"),
    "channels": ("rgb", "bgr"),
    "range": ("unit", "byte"),
    "kind": ("continuous", "discrete", "keyboard", "language"),
}
TOP = (
    *("files", "episodes", "ends", "frames", "actions", "rewards"),
    *("terminations", "truncations", "states", "fps", "times"),
)
MAX_BYTES = 2**20
"""Of a mapping file."""


@dataclass(frozen=True)
class Camera:
    """``range`` is None for uint8 frames."""

    key: str
    layout: str = "THWC"
    encoding: str = "raw"
    channels: str = "rgb"
    range: str | None = None


@dataclass(frozen=True)
class Hdf5Layout:
    """``optional``: outcomes and states that are not there are left out; a mapping that a user wrote is kept to."""

    name: str
    frames: dict[str, Camera]
    actions: dict[str, Action]
    files: str | None = None
    episodes: str = "/"
    ends: tuple[str, ...] = ()
    outcomes: dict[str, str] = field(default_factory=dict)
    states: dict[str, str] = field(default_factory=dict)
    times: str | None = None
    fps: float | None = None
    optional: bool = False


def read_mapping(path: Path) -> Hdf5Layout:
    """Raises :class:`DatasetError` naming the key that is unknown, missing or of the wrong kind."""
    try:
        with path.open("rb") as file:
            text = file.read(MAX_BYTES + 1)
        if len(text) > MAX_BYTES:
            raise DatasetError(f"{path}: more than {MAX_BYTES:,} bytes; that is no mapping")
        content = yaml.safe_load(text)
    except (OSError, yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError) as error:
        if isinstance(error, DatasetError):
            raise
        raise DatasetError(f"{path}: cannot be read as a mapping in YAML ({str(error)[:300]})") from None
    return parse_layout(content, str(path))


def parse_layout(content: Any, where: str, optional: bool = False) -> Hdf5Layout:
    """The same for YAML that has been read; ``where`` opens every message."""
    found = _keys(content, TOP, where)
    for needed in ("frames", "actions"):
        if needed not in found:
            raise DatasetError(f"{where}: no {needed!r}; a mapping says which key holds the {needed}")
    files = _text(found["files"], f"{where}: files") if "files" in found else None
    if files is not None and (PurePosixPath(files).is_absolute() or ".." in PurePosixPath(files).parts):
        raise DatasetError(f"{where}: files: {files!r} leads out of the source's folder")
    if "fps" in found and "times" in found:
        raise DatasetError(f"{where}: both fps and times; one of them says when a frame was taken")
    ends = found.get("ends", [])
    outcomes = ("rewards", "terminations", "truncations")
    return Hdf5Layout(
        where,
        {name: _camera(value, place) for name, value, place in _entries(found["frames"], f"{where}: frames")},
        {name: _action(value, place) for name, value, place in _entries(found["actions"], f"{where}: actions")},
        files,
        _text(found.get("episodes", "/"), f"{where}: episodes"),
        tuple(_text(key, f"{where}: ends") for key in (ends if isinstance(ends, list) else [ends])),
        {name: _text(found[name], f"{where}: {name}") for name in outcomes if name in found},
        {
            name: _text(value, place)
            for name, value, place in _entries(found.get("states", {}), f"{where}: states", least=0)
        },
        _text(found["times"], f"{where}: times") if "times" in found else None,
        _rate(found["fps"], f"{where}: fps") if "fps" in found else None,
        optional,
    )


def _entries(value: Any, where: str, least: int = 1) -> list[tuple[str, Any, str]]:
    if not isinstance(value, Mapping) or len(value) < least:
        raise DatasetError(f"{where}: expected names and keys, as in {{front: obs/image}}, got {str(value)[:50]!r}")
    found = []
    for name, entry in value.items():
        name = check_name(where, str(name))
        key = entry.get("key") if isinstance(entry, Mapping) else entry
        if ("*" in name) != ("*" in str(key)) or name.count("*") > 1 or str(key).count("*") > 1:
            raise DatasetError(f"{where}: {name}: {str(key)[:50]}: a '*' stands once on both sides, or on neither")
        found.append((name, entry, f"{where}: {name}"))
    return found


def _camera(value: Any, where: str) -> Camera:
    given = _keys({"key": value} if isinstance(value, str) else value, ("key", *list(CHOICES)[:4]), where)
    camera = Camera(
        **{name: _choice(name, entry, where) for name, entry in given.items()} | {"key": _key(given, where)}
    )
    if camera.encoding != "raw" and not {"layout", "range"}.isdisjoint(given):
        raise DatasetError(f"{where}: layout and range are of raw frames; {camera.encoding} says both itself")
    return camera


def _action(value: Any, where: str) -> Action:
    named = ("key", "kind", "labels", "low", "high")
    given = _keys({"key": value} if isinstance(value, str) else value, named, where)
    kind = _choice("kind", given["kind"], where) if "kind" in given else None
    labels = given.get("labels", [])
    if not isinstance(labels, list) or not all(isinstance(label, (str, int, float)) for label in labels):
        raise DatasetError(f"{where}: labels: expected a list of names")
    if ("low" in given) != ("high" in given):
        raise DatasetError(f"{where}: low and high go together")
    bounds = {name: _numbers(given[name], f"{where}: {name}") for name in ("low", "high") if name in given}
    if bounds and kind not in (None, "continuous"):
        raise DatasetError(f"{where}: low and high are of a continuous action, not of a {kind} one")
    if labels and kind == "language":
        raise DatasetError(f"{where}: language has no labels")
    return Action(_key(given, where), kind, tuple(map(str, labels)), **bounds)


def _keys(content: Any, known: Sequence[str], where: str) -> dict[str, Any]:
    if not isinstance(content, Mapping):
        raise DatasetError(f"{where}: expected {', '.join(known)} with a value each, got {type(content).__name__}")
    for key in content:
        if key not in known:
            near = difflib.get_close_matches(str(key), known, 1)
            hint = f"did you mean {near[0]!r}? " if near else ""
            raise DatasetError(f"{where}: {str(key)[:50]!r} is not known; {hint}There are {', '.join(known)}")
    return dict(content)


def _key(given: dict[str, Any], where: str) -> str:
    if "key" not in given:
        raise DatasetError(f"{where}: no 'key' of the array in the file")
    return _text(given["key"], where)


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str) or not value:
        raise DatasetError(f"{where}: expected the key of an array, got {str(value)[:50]!r}")
    return value


def _choice(name: str, value: Any, where: str) -> str:
    if name != "key" and value not in CHOICES[name]:
        raise DatasetError(f"{where}: {name}: {str(value)[:50]!r}; expected {' or '.join(CHOICES[name])}")
    return str(value)


def _rate(value: Any, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < 1e4:
        raise DatasetError(f"{where}: expected frames a second, above 0, got {str(value)[:50]!r}")
    return float(value)


def _numbers(value: Any, where: str) -> tuple[float, ...]:
    values = value if isinstance(value, list) else [value]
    if not values or not all(isinstance(v, (int, float)) and not isinstance(v, bool) and abs(v) < 1e38 for v in values):
        raise DatasetError(f"{where}: expected a number, or one an axis, got {str(value)[:50]!r}")
    return tuple(float(v) for v in values)


_ROBOMIMIC = {
    "episodes": "data/*",
    "frames": {"*": "obs/*_image"},
    "actions": {"action": "actions"},
    "rewards": "rewards",
    "terminations": "dones",
    "states": {"*": "obs/*"},
}
_ALOHA = {
    "frames": {"*": "observations/images/*"},
    "actions": {"action": "action"},
    "states": {"*": "observations/*"},
    "fps": 50,
}
KNOWN = tuple(
    parse_layout(content, name, optional=True)
    for name, content in {
        "robomimic": _ROBOMIMIC,
        "LIBERO": {**_ROBOMIMIC, "frames": {"*": "obs/*_rgb"}},
        "ALOHA": _ALOHA,
        "ALOHA, compressed": {
            **_ALOHA,
            "frames": {"*": {"key": "observations/images/*", "encoding": "jpeg"}},
        },
    }.items()
)
"""Tried in this order where no mapping is given. robomimic and LIBERO say their frame rate themselves; ALOHA has 50.
Whether ALOHA's compressed pictures are swapped in red and blue depends on the program that wrote them, and they do not
say: if they are, a mapping with ``channels: bgr`` puts it right."""
