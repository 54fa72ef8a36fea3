"""Schema v1: one episode as one HDF5 file. The layout is documented in docs/data.md.

A file is written under a temporary name in its folder and renamed when it is whole, because an HDF5 file that is
killed before it is closed is unreadable as a whole.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from slowfast.actions import ActionError, ActionSpec, Columns
from slowfast.datasets.columns import from_arrays, to_arrays
from slowfast.datasets.episode import DatasetError, Episode
from slowfast.datasets.files import replacing

SCHEMA = 1
FORMAT = "slowfast-episode"
FRAMES_PER_CHUNK = 16
COMPRESSIONS = ("auto", "lzf", "gzip", "none", "mp4")
SMALL = 128 * 128
"""Pixels of a frame up to which "auto" compresses nothing: it would save little room for much time."""


def write_file(path: Path, episode: Episode, compression: str = "auto") -> None:
    """Write ``episode`` to ``path``, whole or not at all.

    ``compression`` is "lzf", "gzip", "none", or "mp4": H.264, which loses a little and takes far less room. "auto" is
    "none" for a camera of at most :data:`SMALL` pixels a frame, else "lzf".
    """
    if compression not in COMPRESSIONS:
        raise DatasetError(f"compression {compression!r}: expected one of {COMPRESSIONS}")
    with replacing(path) as temporary, h5py.File(temporary, "w") as file:
        file.attrs.update(
            format=FORMAT,
            schema=SCHEMA,
            length=len(episode),
            fps=float(episode.fps),
            action_spec=episode.spec.to_json(),
            metadata=json.dumps(episode.metadata, sort_keys=True),
        )
        for name, frames in episode.frames.items():
            if compression == "mp4":
                _write_video(file, name, frames, episode.fps)
            else:
                file.create_dataset(f"frames/{name}", data=frames, **_frame_layout(frames, compression))
        arrays, tables = to_arrays(episode.spec, episode.actions)
        for name, array in arrays.items():
            file[f"actions/{name}"] = array
        for name, sentences in tables.items():
            file.create_dataset(f"sentences/{name}", data=sentences, shape=(len(sentences),), dtype=h5py.string_dtype())
        for name in ("rewards", "terminations", "truncations"):
            file[name] = getattr(episode, name)
        for group in ("states", "infos"):
            for name, array in getattr(episode, group).items():
                file[f"{group}/{name}"] = array


def open_file(path: Path) -> h5py.File:
    """An episode's file for reading. Raises :class:`DatasetError` on what is not one, or comes from a newer schema."""
    try:
        # a chunk is read once a window, so that HDF5's own chunk cache only costs memory
        file = h5py.File(path, "r", rdcc_nbytes=0)
    except OSError as error:
        raise DatasetError(f"{path}: not a readable HDF5 file ({error}); delete it and collect it again") from error
    if file.attrs.get("format") != FORMAT:
        file.close()
        raise DatasetError(f"{path}: attribute 'format' is not {FORMAT!r}; this is no episode of slowfast")
    version = int(file.attrs.get("schema", 0))
    if version != SCHEMA:
        file.close()
        hint = "upgrade slowfast" if version > SCHEMA else "the file is damaged"
        raise DatasetError(f"{path}: attribute 'schema' is {version}, this slowfast reads {SCHEMA}; {hint}")
    return file


def read_header(file: h5py.File) -> dict[str, Any]:
    """What the index keeps of an episode: length, fps, cameras (size and place), metadata, the action spec's JSON.

    ``offset`` is the byte in the file where a camera's uncompressed frames begin, or None where they are compressed.
    Where they are a video, it begins there and has ``video_bytes``.
    """
    length, cameras = int(_attribute(file, "length")), _videos(file)
    for name, frames in _key(file, "frames").items() if "frames" in file or not cameras else ():
        if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[-1] != 3 or len(frames) != length + 1:
            expected = f"expected uint8 [{length + 1}, H, W, 3]"
            raise DatasetError(f"{file.filename}: frames/{name} is {frames.dtype} {frames.shape}, {expected}")
        height, width = (int(size) for size in frames.shape[1:3])
        cameras[name] = {"height": height, "width": width, "offset": frames.id.get_offset()}
    return {
        "length": length,
        "fps": float(_attribute(file, "fps")),
        "cameras": cameras,
        "metadata": json.loads(_attribute(file, "metadata")),
        "action_spec": str(_attribute(file, "action_spec")),
    }


def read_actions(file: h5py.File, spec: ActionSpec) -> Columns:
    """All T actions of an episode."""
    arrays = {c.name: _key(file, f"actions/{c.name}")[()] for c in spec.components}
    tables = {name: list(table.asstr()[()]) for name, table in file.get("sentences", {}).items()}
    try:
        columns = from_arrays(spec, arrays, tables)
    except (ActionError, KeyError, IndexError) as error:
        raise DatasetError(f"{file.filename}: actions do not fit the file's action spec: {error}") from error
    length = int(_attribute(file, "length"))
    for name, column in columns.items():
        if len(column) != length:
            raise DatasetError(f"{file.filename}: actions/{name} has {len(column)} rows, expected {length}")
    return columns


def read_uncompressed(path: Path, place: dict[str, Any], start: int, stop: int) -> np.ndarray:
    """``uint8 [stop - start, H, W, 3]`` from where a header says that a camera's frames lie in one piece."""
    shape = (stop - start, place["height"], place["width"], 3)
    size = shape[1] * shape[2] * 3
    try:
        frames = np.fromfile(path, np.uint8, shape[0] * size, offset=place["offset"] + start * size)
    except OSError as error:
        raise DatasetError(f"{path}: not a readable file ({error}); delete it and collect it again") from error
    if len(frames) != shape[0] * size:
        raise DatasetError(f"{path}: ends before frame {stop - 1}; the file is cut off, collect it again")
    return frames.reshape(shape)


def read_frames(file: h5py.File, camera: str, start: int, stop: int) -> np.ndarray:
    """Frames ``start`` to ``stop`` (excluded) of a camera, ``uint8 [stop - start, H, W, 3]``."""
    if f"videos/{camera}" not in file:
        return _key(file, f"frames/{camera}")[start:stop]
    return read_video(file.filename, _videos(file)[camera], float(_attribute(file, "fps")), start, stop)


def read_video(path: Path | str, place: dict[str, Any], fps: float, start: int, stop: int) -> np.ndarray:
    """Frames of a video that lies in an episode's file at ``place`` (of :func:`read_header`), past HDF5."""
    from slowfast.datasets import mp4  # av is loaded where there are videos, and nowhere else

    part, size = (place["offset"], place["video_bytes"]), (place["height"], place["width"])
    return mp4.read_window(path, start, stop, fps, size, part)


def read_info(file: h5py.File, name: str) -> np.ndarray | None:
    """A per-step info of an episode, ``[T + 1, ...]``, or None."""
    rows = file.get(f"infos/{name}")
    return None if rows is None else rows[()]


def read_episode(file: h5py.File) -> Episode:
    """The whole episode."""
    header = read_header(file)
    spec = ActionSpec.from_json(header["action_spec"])
    try:
        return Episode(
            frames={name: read_frames(file, name, 0, header["length"] + 1) for name in header["cameras"]},
            actions=read_actions(file, spec),
            spec=spec,
            fps=header["fps"],
            rewards=_key(file, "rewards")[()],
            terminations=_key(file, "terminations")[()],
            truncations=_key(file, "truncations")[()],
            states={name: data[()] for name, data in file.get("states", {}).items()},
            infos={name: data[()] for name, data in file.get("infos", {}).items()},
            metadata=header["metadata"],
        )
    except DatasetError as error:
        raise (
            error if str(error).startswith(str(file.filename)) else DatasetError(f"{file.filename}: {error}")
        ) from error


def _frame_layout(frames: np.ndarray, compression: str) -> dict[str, Any]:
    small = frames.shape[1] * frames.shape[2] <= SMALL
    if compression == "none" or (compression == "auto" and small):
        return {}  # contiguous: a window is one read
    chunks = (min(FRAMES_PER_CHUNK, len(frames)), *frames.shape[1:])
    return {"chunks": chunks, "compression": "lzf" if compression == "auto" else compression}


def _write_video(file: h5py.File, name: str, frames: np.ndarray, fps: float) -> None:
    """The bytes of an mp4 in one piece, so that a decoder finds them in the file without HDF5."""
    from slowfast.datasets import mp4

    video = file.create_dataset(f"videos/{name}", data=np.frombuffer(mp4.encoded(frames, fps), np.uint8))
    video.attrs.update(height=frames.shape[1], width=frames.shape[2])


def _videos(file: h5py.File) -> dict[str, dict[str, Any]]:
    places = {}
    for name, video in file.get("videos", {}).items():
        height, width, offset = video.attrs.get("height"), video.attrs.get("width"), video.id.get_offset()
        if video.dtype != np.uint8 or video.ndim != 1 or offset is None or height is None or width is None:
            expected = "expected the bytes of an mp4 in one piece, and its height and width"
            raise DatasetError(f"{file.filename}: videos/{name} is {video.dtype} {video.shape}, {expected}")
        size = {"height": int(height), "width": int(width)}
        places[name] = {**size, "offset": offset, "video_bytes": len(video)}
    return places


def _key(file: h5py.File, key: str) -> Any:
    try:
        return file[key]
    except KeyError:
        raise DatasetError(f"{file.filename}: key {key!r} is missing; docs/data.md says what schema 1 holds") from None


def _attribute(file: h5py.File, name: str) -> Any:
    try:
        return file.attrs[name]
    except KeyError:
        raise DatasetError(f"{file.filename}: attribute {name!r} is missing; docs/data.md has schema 1") from None
