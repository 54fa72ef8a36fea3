from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from slowfast.datasets.episode import DatasetError
from slowfast.datasets.latents import LatentStore, encode_latents
from slowfast.datasets.sources import open_source
from slowfast.datasets.store import Store
from slowfast.datasets.windows import WindowLoader, WindowShape


def encode(frames: np.ndarray) -> np.ndarray:
    """Frames [N, 12, 20, 3] to latents [N, 3, 3, 5]."""
    assert len(frames) <= 16
    return frames[:, ::4, ::4].transpose(0, 3, 1, 2).astype(np.float32) / 127.5 - 1


def encoded(store: Store, folder: Path, codec_hash: str = "abc") -> LatentStore:
    return encode_latents(store, folder, encode, codec_hash, batch_size=16, episodes_per_shard=2)


def test_latents_and_actions_are_those_of_the_episodes(tmp_path: Path, store: Store) -> None:
    latents = encoded(store, tmp_path / "latents")
    assert sorted(path.name for path in latents.folder.iterdir()) == [f"latents-0000{k}.safetensors" for k in range(3)]
    assert latents.lengths.tolist() == store.lengths.tolist()
    assert latents.shape(0) == (3, 3, 5)
    for i in range(len(store)):
        expected = store[i]
        read = latents.read(i, 0, len(expected) + 1)
        assert read.dtype == np.float32
        np.testing.assert_allclose(read, np.concatenate([encode(f[None]) for f in expected.frames["front"]]), atol=1e-3)
        np.testing.assert_array_equal(latents.read(i, 2, 6), read[2:6])
        assert latents.metadata(i) == expected.metadata
        for name, column in expected.actions.items():
            np.testing.assert_array_equal(latents.actions(i)[name], column)


def test_a_read_never_reaches_into_the_next_episode(tmp_path: Path, store: Store) -> None:
    latents = encoded(store, tmp_path)
    assert len(latents.read(0, 38, 50)) == 3


def test_windows_of_latents_are_the_windows_of_frames(tmp_path: Path, store: Store) -> None:
    shapes = (WindowShape(4, 4), WindowShape(1, 3))
    frames, latents = (WindowLoader(source, shapes, 8, seed=2) for source in (store, encoded(store, tmp_path)))
    for step in range(6):
        seen, encoded_batch = frames[step], latents[step]
        np.testing.assert_array_equal(seen["starts"], encoded_batch["starts"])
        np.testing.assert_array_equal(seen["actions"]["text"], encoded_batch["actions"]["text"])
        expected = np.stack([encode(window) for window in seen["frames"]])
        np.testing.assert_allclose(encoded_batch["latents"], expected, atol=1e-3)


def test_latents_of_another_codec_are_refused(tmp_path: Path, store: Store) -> None:
    assert encoded(store, tmp_path).codec_hash == "abc"
    with pytest.raises(DatasetError, match="'codec' is abc, expected other: another codec made these latents"):
        LatentStore(tmp_path, "other")
    with pytest.raises(DatasetError, match="another codec"):
        encoded(store, tmp_path, "other")


def test_an_interrupted_encoding_continues_with_the_missing_shards(tmp_path: Path, store: Store) -> None:
    whole = encoded(store, tmp_path / "whole")
    calls = 0

    def stops(frames: np.ndarray) -> np.ndarray:
        nonlocal calls
        calls += 1
        if calls > 6:
            raise KeyboardInterrupt
        return encode(frames)

    with pytest.raises(KeyboardInterrupt):
        encode_latents(store, tmp_path / "cut", stops, "abc", batch_size=16, episodes_per_shard=2)
    first = tmp_path / "cut" / "latents-00000.safetensors"
    assert [path.name for path in (tmp_path / "cut").iterdir()] == [first.name]
    written = first.stat().st_mtime_ns
    seen: list[tuple[int, int]] = []
    encode_latents(
        store, tmp_path / "cut", encode, "abc", batch_size=16, episodes_per_shard=2, progress=lambda *n: seen.append(n)
    )
    assert first.stat().st_mtime_ns == written
    assert seen == [(2, 5), (4, 5), (5, 5)]
    for path in whole.folder.iterdir():
        assert path.read_bytes() == (tmp_path / "cut" / path.name).read_bytes()


def test_latents_that_do_not_fit_are_refused(tmp_path: Path, store: Store) -> None:
    with pytest.raises(DatasetError, match=r"000000\.h5: latents are not finite in float16"):
        encode_latents(store, tmp_path, lambda frames: encode(frames) * 1e6, "abc", batch_size=16)
    with pytest.raises(DatasetError, match=r"expected \[41, C, h, w\]"):
        encode_latents(store, tmp_path, lambda frames: encode(frames)[:, 0], "abc", batch_size=16)
    assert not list(tmp_path.glob("latents*"))
    (tmp_path / "latents-00000.safetensors").write_bytes(b"no")
    with pytest.raises(DatasetError, match=r"latents-00000\.safetensors: not a readable safetensors file"):
        LatentStore(tmp_path)


def test_a_folder_is_opened_as_what_it_holds(tmp_path: Path, store: Store) -> None:
    encoded(store, tmp_path / "latents")
    assert isinstance(open_source(store.folder), Store)
    assert isinstance(open_source(tmp_path / "latents"), LatentStore)
    with pytest.raises(DatasetError, match=r"episodes/\*.h5"):
        open_source(tmp_path / "nothing")
