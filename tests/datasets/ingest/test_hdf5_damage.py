"""Every way in which an HDF5 file of others may lie about itself."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import yaml
from clips import counted, counting
from hdf5_files import FRONT, encoded, frames, mapping, opened, simple, write
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from slowfast.actions import ActionError
from slowfast.datasets.episode import DatasetError
from slowfast.datasets.ingest.formats import SourceOptions
from slowfast.datasets.ingest.pipeline import Ingestion, ingest
from slowfast.datasets.ingest.policy import FramePolicy, episodes
from slowfast.datasets.ingest.readers import hdf5_frames
from slowfast.datasets.ingest.readers.hdf5_mapping import Hdf5Episodes


def test_an_unknown_layout_shows_what_the_file_holds_and_asks_for_a_mapping(tmp_path: Path) -> None:
    with pytest.raises(
        DatasetError, match=r"--options.mapping.*actions float32 \(6, 1\); images uint8 \(6, 16, 16, 3\)"
    ):
        Hdf5Episodes(write(tmp_path / "a.h5", simple()), SourceOptions())


def test_a_key_that_is_not_there_is_named_with_what_is(tmp_path: Path) -> None:
    source = write(tmp_path / "a.h5", simple())
    with pytest.raises(DatasetError, match=r"a.h5.*no 'obs/front'.*holds actions, images"):
        opened(tmp_path, source, frames={"front": "obs/front"}).read(0)


def test_a_truncated_file_and_a_bad_episode_are_skipped_and_named_and_the_others_stay(tmp_path: Path) -> None:
    folder = tmp_path / "many"
    for number in range(4):
        write(folder / f"{number}.h5", simple())
    data = (folder / "1.h5").read_bytes()
    (folder / "1.h5").write_bytes(data[: len(data) // 2])
    with h5py.File(folder / "2.h5", "a") as file:
        file["actions"][3] = np.nan
    path = mapping(tmp_path)
    report = ingest(Ingestion(str(folder), options=SourceOptions(mapping=path)), tmp_path / "out", workers=2)
    assert report.episodes == 2
    assert set(report.skipped) == {"1.h5", "2.h5"}
    assert "cut off or damaged" in report.skipped["1.h5"]
    assert "row 3 and 0 more hold numbers that are not finite" in report.skipped["2.h5"]


@pytest.mark.parametrize(
    ("shape", "chunks", "said"),
    [
        ((6, 100_000, 100_000, 3), (1, 1000, 1000, 3), "10,000,000,000 pixels"),
        ((10**12, 16, 16, 3), (1, 16, 16, 3), "1000000000000 frames"),
        ((6, 4096, 4096, 3), (6, 4096, 4096, 3), "bytes are unpacked at once"),
        ((6, 0, 16, 3), None, "0 pixels"),
        ((6, 16, 16, 4), None, r"expected \[T, H, W, 3\]"),
        ((), None, r"expected \[T, H, W, 3\]"),
    ],
)
def test_absurd_shapes_are_refused_before_anything_is_read(
    tmp_path: Path, shape: tuple[int, ...], chunks: tuple[int, ...] | None, said: str
) -> None:
    source = write(tmp_path / "a.h5", {"actions": np.zeros((6, 1))})
    with h5py.File(source, "a") as file:
        file.create_dataset("images", shape, np.uint8, chunks=chunks)
    with pytest.raises(DatasetError, match=said):
        opened(tmp_path, source).read(0)


def test_an_absurd_number_of_actions_is_refused(tmp_path: Path) -> None:
    source = write(tmp_path / "a.h5", {"images": counting(6, 16)})
    with h5py.File(source, "a") as file:
        file.create_dataset("actions", (10**12, 7), np.float64, chunks=(1000, 7))
    with pytest.raises(DatasetError, match="7,000,000,000,000 values"):
        opened(tmp_path, source)


def test_frames_are_read_a_chunk_at_a_time_and_never_as_a_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = write(tmp_path / "a.h5", {"actions": np.zeros((3000, 1)), "ends": np.array([3, 10, 3000])})
    with h5py.File(source, "a") as file:  # 590 MB of black frames that take no room in the file
        file.create_dataset("images", (3000, 256, 256, 3), np.uint8, chunks=(4, 256, 256, 3), compression="gzip")
    reader = opened(tmp_path, source, ends="ends")
    asked: list[tuple[int, int]] = []
    batches = hdf5_frames._batches

    def noted(array: h5py.Dataset, start: int, stop: int) -> Iterator[tuple[int, int]]:
        for batch in batches(array, start, stop):
            asked.append(batch)
            yield batch

    monkeypatch.setattr(hdf5_frames, "_batches", noted)
    assert len(frames(reader, 1)) == 7
    assert asked == [(3, 4), (4, 8), (8, 10)]
    tracemalloc.start()
    try:
        stream: Any = reader.read(2).frames["front"]()
        assert next(stream).shape == (256, 256, 3)
        assert tracemalloc.get_traced_memory()[1] < 2**23
        stream.close()
    finally:
        tracemalloc.stop()


def test_more_labels_than_a_header_holds_are_refused(tmp_path: Path) -> None:
    words = [f"a long name of a choice with the number {t}" for t in range(3000)]
    source = write(tmp_path / "a.h5", {"words": words, "images": np.zeros((3000, 2, 2, 3), np.uint8)})
    with pytest.raises(DatasetError, match="labels of move are too many"):
        opened(tmp_path, source, actions={"move": {"key": "words", "kind": "discrete"}})


def test_nothing_outside_of_the_file_is_followed(tmp_path: Path) -> None:
    write(tmp_path / "secret.h5", {"x": counting(6, 16)})
    (tmp_path / "secret.bin").write_bytes(bytes(6 * 16 * 16 * 3))
    source = write(tmp_path / "in" / "a.h5", simple())
    with h5py.File(source, "a") as file:
        file["link"] = h5py.ExternalLink("../secret.h5", "/x")
        file["soft"] = h5py.SoftLink("/link")
        file["loop"] = h5py.SoftLink("/loop")
        file["inner"] = h5py.SoftLink("images")
        file.create_dataset("raw", (6, 16, 16, 3), np.uint8, external="../secret.bin")
        layout = h5py.VirtualLayout((6, 16, 16, 3), np.uint8)
        layout[:] = h5py.VirtualSource("../secret.h5", "x", (6, 16, 16, 3))
        file.create_virtual_dataset("virtual", layout)
    for key, said in {
        "link": "link to another file",
        "soft": "link to another file",
        "loop": "leads in a circle",
        "raw": "lie in other files",
        "virtual": "lie in other files",
    }.items():
        with pytest.raises(DatasetError, match=rf"a.h5.*{said}"):
            opened(tmp_path, source, frames={"front": key}).read(0)
    assert counted(frames(opened(tmp_path, source, frames={"front": "inner"}))) == list(range(6))


def test_an_episode_that_is_a_link_to_another_file_is_reported(tmp_path: Path) -> None:
    source = write(tmp_path / "a.h5", {f"data/0/{key}": value for key, value in simple().items()})
    with h5py.File(source, "a") as file:
        file["data/1"] = h5py.ExternalLink("elsewhere.h5", "/data/1")
    reader = opened(tmp_path, source, episodes="data/*")
    assert [reader.name(i) for i in range(len(reader))] == ["a.h5/data/0", "a.h5/data/1"]
    assert len(reader.read(0).times) == 6
    with pytest.raises(DatasetError, match="link to another file"):
        reader.read(1)


def test_pictures_of_different_sizes_are_refused_when_they_are_reached(tmp_path: Path) -> None:
    path = write(tmp_path / "a.h5", {"actions": np.zeros(4)})
    with h5py.File(path, "a") as file:
        rows = file.create_dataset("images", (4,), dtype=h5py.vlen_dtype(np.uint8))
        for t, size in enumerate((16, 16, 24, 16)):
            rows[t] = encoded(counting(1, size))[0]
    reader = opened(tmp_path, path, frames={"front": {"key": "images", "encoding": "png"}})
    with pytest.raises(DatasetError, match="frame 2 is 24x24, the first 16x16"):
        list(episodes(reader.read(0), FramePolicy()))


def test_an_episode_of_slowfast_is_not_ingested_again(tmp_path: Path) -> None:
    source = write(tmp_path / "a.h5", simple())
    with h5py.File(source, "a") as file:
        file.attrs["format"] = "slowfast-episode"
    with pytest.raises(DatasetError, match="is an episode of slowfast already"):
        Hdf5Episodes(source, SourceOptions())


def read_all(source: Path, path: Path | None) -> None:
    """All that an ingestion reads; DatasetError and ActionError are the only ways out."""
    try:
        reader = Hdf5Episodes(source, SourceOptions(mapping=path, fps=None if path else 10))
        for i in range(len(reader)):
            try:
                for episode in episodes(reader.read(i), FramePolicy()):
                    assert len(episode) >= 1
            except (DatasetError, ActionError):
                continue
    except (DatasetError, ActionError):
        return


LEAVES = (
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats() | st.sampled_from(["images", "a*", "unit", "/", ""])
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    content=st.dictionaries(
        st.sampled_from(["frames", "actions", "fps", "ends", "episodes", "states", "files", "times", "rewards", "x"]),
        st.recursive(
            LEAVES,
            lambda inner: (
                st.lists(inner, max_size=2)
                | st.dictionaries(
                    st.sampled_from(["front", "*", "key", "kind", "low", "high", "labels", "range"]), inner
                )
            ),
            max_leaves=5,
        ),
    )
)
def test_any_mapping_gives_recordings_or_dataset_errors(tmp_path: Path, content: dict[str, Any]) -> None:
    source = tmp_path / "a.h5"
    if not source.exists():
        write(source, simple())
    (tmp_path / "any.yaml").write_text(yaml.safe_dump({**FRONT, **content}))
    read_all(source, tmp_path / "any.yaml")


DTYPES = ["u1", "f4", "f8", "i8", "?", "S3", "c8", [("a", "i4")], h5py.string_dtype(), h5py.vlen_dtype(np.uint8)]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    shape=st.lists(st.integers(0, 4), max_size=4).map(tuple),
    dtype=st.sampled_from(DTYPES),
    key=st.sampled_from(["images", "actions", "rewards", "ends"]),
    encoding=st.sampled_from(["raw", "jpeg"]),
)
def test_arrays_of_any_type_give_recordings_or_dataset_errors(
    tmp_path: Path, shape: tuple[int, ...], dtype: Any, key: str, encoding: str
) -> None:
    source = tmp_path / "any.h5"
    source.unlink(missing_ok=True)
    write(source, {name: value for name, value in simple(4, rewards=np.zeros(4)).items() if name != key})
    with h5py.File(source, "a") as file:
        file.create_dataset(key, shape, dtype)
        file.require_dataset("ends", (1,), "i8", data=[4]) if key != "ends" else None
    camera = {"key": "images", "encoding": encoding}
    read_all(source, mapping(tmp_path, frames={"front": camera}, rewards="rewards", ends="ends"))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(share=st.floats(0, 1), junk=st.binary(max_size=24), known=st.booleans())
def test_any_damage_gives_recordings_or_dataset_errors(tmp_path: Path, share: float, junk: bytes, known: bool) -> None:
    whole = tmp_path / "whole.h5"
    if not whole.exists():
        write(whole, {f"data/demo_0/{key}": value for key, value in simple().items()}, compression="gzip")
        with h5py.File(whole, "a") as file:
            file["data/demo_0/obs/front_image"] = file["data/demo_0/images"]
    data = whole.read_bytes()
    at = int(share * len(data))
    source = tmp_path / "damaged.h5"
    source.write_bytes(data[:at] + junk + (data[at + len(junk) :] if junk else b""))
    read_all(source, None if known else mapping(tmp_path, episodes="data/*"))
