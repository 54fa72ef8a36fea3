"""Episodes as a codec's latents: what a slow learner trains on, read without the codec and without HDF5.

A folder holds ``latents-NNNNN.safetensors``, each with the latents (float16) and actions of some episodes one after
another, and in its header the episodes' lengths and metadata, the action spec, and the hash of the codec.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from slowfast.actions import ActionSpec, Columns
from slowfast.datasets.columns import from_arrays, to_arrays
from slowfast.datasets.episode import DatasetError
from slowfast.datasets.files import remove_leftovers, replacing

if TYPE_CHECKING:
    from slowfast.datasets.store import Store

SCHEMA = 1
HEADER = "slowfast_latents"  # one entry, because safetensors writes several in no fixed order

Encode = Callable[[np.ndarray], np.ndarray]


def encode_latents(
    store: Store,
    folder: Path | str,
    encode: Encode,
    codec_hash: str,
    *,
    batch_size: int = 64,
    episodes_per_shard: int = 64,
    progress: Callable[[int, int], None] | None = None,
) -> LatentStore:
    """Encode all episodes of a store (its camera) into ``folder``.

    ``encode`` takes frames ``uint8 [N, H, W, 3]`` with N ≤ ``batch_size`` and returns finite latents ``[N, C, h, w]``.
    Shards that are there already are kept, so that an interrupted encoding continues; shards of another codec are
    refused with :class:`DatasetError`. ``progress(done, total)`` counts episodes.
    """
    folder = Path(folder)
    remove_leftovers(folder)
    for first in range(0, len(store), episodes_per_shard):
        numbers = range(first, min(first + episodes_per_shard, len(store)))
        path = folder / f"latents-{first // episodes_per_shard:05d}.safetensors"
        episodes = [_episode_entry(store, i) for i in numbers]
        if not (path.exists() and _Shard(path, codec_hash).episodes == episodes):
            _write_shard(path, store, numbers, episodes, _in_batches(encode, batch_size), codec_hash)
        if progress:
            progress(numbers.stop, len(store))
    return LatentStore(folder, codec_hash)


class LatentStore:
    """Latents of episodes as an :class:`~slowfast.datasets.sources.EpisodeSource`; shards are memory-mapped.

    With ``codec_hash`` given, latents of another codec are refused with :class:`DatasetError`. Without, the hash that
    the folder says is in ``codec_hash`` for the caller to compare.
    """

    key = "latents"

    def __init__(self, folder: Path | str, codec_hash: str | None = None) -> None:
        self.folder = Path(folder)
        paths = sorted(self.folder.glob("latents-*.safetensors"))
        if not paths:
            raise DatasetError(f"{self.folder}: no latents-NNNNN.safetensors; encode a data set into it first")
        self._shards = [_Shard(paths[0], codec_hash)]
        self.codec_hash, spec = self._shards[0].codec_hash, self._shards[0].action_spec
        self._shards += [_Shard(path, self.codec_hash) for path in paths[1:]]
        for shard in self._shards:
            if shard.action_spec != spec:
                raise DatasetError(f"{shard.path}: 'action_spec' differs from that of {paths[0].name}")
        self.spec = ActionSpec.from_json(spec)
        self._places = [(shard, k) for shard in self._shards for k in range(len(shard.episodes))]
        self.lengths = np.array([shard.episodes[k]["length"] for shard, k in self._places], np.int64)

    def __len__(self) -> int:
        return len(self._places)

    def shape(self, i: int) -> tuple[int, ...]:
        """The shape of one latent: (C, h, w)."""
        return self._places[i][0].shape

    def metadata(self, i: int) -> dict[str, Any]:
        """Metadata of the episode that was encoded."""
        shard, k = self._places[i]
        return dict(shard.episodes[k]["metadata"])

    def read(self, i: int, start: int, stop: int) -> np.ndarray:
        """``float32 [stop - start, C, h, w]``."""
        shard, k = self._places[i]
        offset, end = shard.starts[k] + start, shard.starts[k] + stop
        return shard.slice("latents", offset, min(end, shard.starts[k + 1])).astype(np.float32)

    def actions(self, i: int) -> Columns:
        """The T actions of episode ``i``."""
        shard, k = self._places[i]
        # before episode k of a shard lie k items without an action: the first ones
        start = shard.starts[k] - k
        names = [component.name for component in self.spec.components]
        rows = {name: shard.slice(f"actions/{name}", start, start + int(self.lengths[i])) for name in names}
        return from_arrays(self.spec, rows, shard.sentences)

    def __reduce__(self) -> tuple[Any, ...]:
        return (LatentStore, (self.folder, self.codec_hash))


class _Shard:
    """One safetensors file: its header, and slices of its arrays."""

    def __init__(self, path: Path, codec_hash: str | None) -> None:
        self.path = path
        try:
            self._file = safe_open(path, framework="numpy")
        except (SafetensorError, OSError) as error:
            raise DatasetError(
                f"{path}: not a readable safetensors file ({error}); delete it and encode again"
            ) from error
        stored = (self._file.metadata() or {}).get(HEADER)
        if stored is None:
            raise DatasetError(f"{path}: no {HEADER!r} in the header's metadata; these are no latents of slowfast")
        header = json.loads(stored)
        if header["schema"] > SCHEMA:
            raise DatasetError(
                f"{path}: 'schema' is {header['schema']}, this slowfast reads {SCHEMA}; upgrade slowfast"
            )
        self.codec_hash = header["codec"]
        if codec_hash not in (None, self.codec_hash):
            raise DatasetError(
                f"{path}: 'codec' is {self.codec_hash}, expected {codec_hash}: another codec made these latents; "
                "encode into another folder, or load the codec that made them"
            )
        self.action_spec: str = header["action_spec"]
        self.episodes: list[dict[str, Any]] = header["episodes"]
        self.sentences: dict[str, list[str]] = header["sentences"]
        items = [episode["length"] + 1 for episode in self.episodes]
        self.starts = [0, *(int(end) for end in np.cumsum(items))]  # item where each episode begins, and the end
        shape = tuple(self._file.get_slice("latents").get_shape())
        if len(shape) != 4 or shape[0] != self.starts[-1]:
            raise DatasetError(f"{path}: 'latents' has shape {shape}, expected [{self.starts[-1]}, C, h, w]")
        self.shape = shape[1:]

    def slice(self, name: str, start: int, stop: int) -> np.ndarray:
        return self._file.get_slice(name)[start:stop]


def _episode_entry(store: Store, i: int) -> dict[str, Any]:
    entry = {"file": store.path(i).name, "length": int(store.lengths[i]), "fps": store.fps(i)}
    return {**entry, "camera": store.camera, "metadata": store.metadata(i)}


def _in_batches(encode: Encode, batch_size: int) -> Encode:
    def encode_all(frames: np.ndarray) -> np.ndarray:
        return np.concatenate([encode(frames[k : k + batch_size]) for k in range(0, len(frames), batch_size)])

    return encode_all


def _write_shard(
    path: Path, store: Store, numbers: range, episodes: list[dict[str, Any]], encode: Encode, codec_hash: str
) -> None:
    latents = np.concatenate([_encode_episode(store, i, encode) for i in numbers])
    arrays, sentences = to_arrays(store.spec, store.spec.concat([store.actions(i) for i in numbers]))
    tensors = {"latents": latents, **{f"actions/{name}": array for name, array in arrays.items()}}
    header = {
        "schema": SCHEMA,
        "codec": codec_hash,
        "action_spec": store.spec.to_json(),
        "episodes": episodes,
        "sentences": sentences,
    }
    with replacing(path) as temporary:
        save_file(
            {name: np.ascontiguousarray(array) for name, array in tensors.items()},
            temporary,
            {HEADER: json.dumps(header)},
        )


def _encode_episode(store: Store, i: int, encode: Encode) -> np.ndarray:
    frames = store.frames(i)
    latents = np.asarray(encode(frames))
    if latents.ndim != 4 or len(latents) != len(frames):
        raise DatasetError(f"{store.path(i)}: encode returned {latents.shape}, expected [{len(frames)}, C, h, w]")
    with np.errstate(over="ignore"):
        half = latents.astype(np.float16)
    if not np.isfinite(half).all():
        raise DatasetError(f"{store.path(i)}: latents are not finite in float16 (largest {np.abs(latents).max()})")
    return half
