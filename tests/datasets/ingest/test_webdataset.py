from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clips import counted, counting, write_clip
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from slowfast.actions import Continuous, Discrete, Language
from slowfast.datasets.episode import DatasetError
from slowfast.datasets.ingest.formats import SourceOptions, detect
from slowfast.datasets.ingest.readers.tar_index import members
from slowfast.datasets.ingest.readers.webdataset import WebDatasetShards

N = 11


@pytest.fixture
def clip(tmp_path: Path) -> bytes:
    return write_clip(tmp_path / "made.mp4", counting(N)).read_bytes()


def write_shard(path: Path, contents: dict[str, bytes | str | tarfile.TarInfo]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for name, content in contents.items():
            if isinstance(content, tarfile.TarInfo):
                tar.addfile(content)
                continue
            data = content.encode() if isinstance(content, str) else content
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return path


def opened(source: Path, **options: Any) -> WebDatasetShards:
    return WebDatasetShards(source, SourceOptions(**options))


def outcomes(reader: WebDatasetShards) -> dict[str, str]:
    """Of each recording, how many frames it has or why it has none."""
    found = {}
    for i in range(len(reader)):
        try:
            found[reader.name(i)] = str(len(reader.read(i).times))
        except DatasetError as error:
            found[reader.name(i)] = str(error)
    return found


def test_clips_and_their_sentences_are_read_where_they_lie_in_the_shards(tmp_path: Path, clip: bytes) -> None:
    shards = tmp_path / "shards"
    write_shard(shards / "s-1.tar", {"b/2.mp4": clip, "b/2.txt": "turn left"})
    caption = json.dumps({"key": "000", "caption": "go", "width": 32, "url": "https://"})
    write_shard(shards / "s-0.tar", {"0.json": caption, "0.mp4": clip, "1.mp4": clip, "1.txt": "stop"})
    assert detect(shards) == detect(shards / "s-0.tar") == "webdataset"
    reader = opened(shards)
    assert reader.spec.components == (Language("text"),)
    assert [reader.name(i) for i in range(3)] == ["s-0.tar/0", "s-0.tar/1", "s-1.tar/b/2"]
    assert [reader.read(i).metadata["instruction"] for i in range(3)] == ["go", "stop", "turn left"]
    assert counted(np.stack(list(reader.read(2).frames["camera"]()))) == list(range(N))
    assert reader.facts() == {"shards": 2, "clips": 3, "left out": "columns key, url, width"}


def test_shards_are_annotated_like_a_folder_of_clips(tmp_path: Path, clip: bytes) -> None:
    contents: dict[str, Any] = {"0.mp4": clip, "0.csv": "action\n" + "0.5\n" * N}
    contents |= {"1.mp4": clip, "1.jsonl": '{"start": 0, "stop": 0.5, "text": "a"}'}
    contents |= {"2.mp4": clip, "2.json": json.dumps({"actions": [[1, 2]] * (N - 1), "reward": [1] * N})}
    contents |= {"3.mp4": clip, "3.cls": "2", "3.txt": "b"}
    reader = opened(write_shard(tmp_path / "s.tar", contents))
    assert reader.spec.components == (
        Continuous("actions", (1.0, 2.0), (1.0, 2.0)),
        Discrete("label", ("0", "1", "2")),
        Language("text"),
        Continuous("action", (0.5,), (0.5,)),
    )
    made = [reader.read(i) for i in range(4)]
    assert made[0].actions["action"].tolist() == [[0.5]] * (N - 1)
    assert list(made[1].actions["text"]) == ["a"] * 5 + [""] * 5
    assert made[2].actions["actions"].tolist() == [[1, 2]] * (N - 1)
    assert made[2].rewards is not None
    assert made[3].actions["label"].tolist() == [2] * (N - 1)
    assert list(made[3].actions["text"]) == ["b"] * (N - 1)


def test_classes_can_be_given_their_names(tmp_path: Path, clip: bytes) -> None:
    reader = opened(write_shard(tmp_path / "s.tar", {"0.mp4": clip, "0.cls": "1"}), labels=("up", "down"))
    assert list(reader.read(0).actions["text"]) == ["down"] * (N - 1)


def test_members_that_climb_out_links_and_incomplete_samples_are_refused_one_by_one(
    tmp_path: Path, clip: bytes
) -> None:
    (tmp_path / "secret.txt").write_text("secret")
    link = tarfile.TarInfo("link.txt")
    link.type, link.linkname = tarfile.SYMTYPE, str(tmp_path / "secret.txt")
    contents: dict[str, Any] = {
        "good.mp4": clip,
        "good.txt": "fine",
        "../out.mp4": clip,
        "/abs.mp4": clip,
        "link.mp4": clip,
        "link.txt": link,
        "only.txt": "no video",
        "bare.mp4": clip,
        "v1.0_a.mp4": clip,
        "v1.0_b.mp4": clip,
        "image.png": b"ignored",
    }
    found = outcomes(opened(write_shard(tmp_path / "s.tar", contents)))
    assert found.pop("s.tar/good") == str(N)
    assert "out.mp4: its name leads out of the shard" in found.pop("s.tar/../out")
    assert "abs.mp4: its name leads out of the shard" in found.pop("s.tar//abs")
    assert "link.txt: it is a link" in found.pop("s.tar/link")
    assert "expected one video of that key (the name up to the first dot), got none" in found.pop("s.tar/only")
    assert "no annotations; expected KEY.json" in found.pop("s.tar/bare")
    assert "got s.tar/v1.0_a.mp4, s.tar/v1.0_b.mp4" in found.pop("s.tar/v1")
    assert not found


@pytest.mark.parametrize("share", [0.5, 0.98])
def test_a_shard_that_is_cut_off_gives_what_it_has_and_says_so(tmp_path: Path, clip: bytes, share: float) -> None:
    contents: dict[str, Any] = {"0.mp4": clip, "0.txt": "a", "1.txt": "b", "1.mp4": clip}
    shard = write_shard(tmp_path / "s.tar", contents)
    data = shard.read_bytes()
    end = max(entry.section.offset + entry.section.size for entry in members(shard) if entry.section)
    shard.write_bytes(data[: end - int(len(clip) * (1 - share))])
    found = outcomes(opened(shard))
    assert found.pop("s.tar/0") == str(N)
    assert "s.tar ends within it; the shard is cut off" in found.pop("s.tar/1")
    assert "cut off, damaged or compressed" in found["s.tar"]
    assert "2 of its samples were found" in found.pop("s.tar")
    assert not found


def test_a_damaged_clip_within_a_shard_is_named(tmp_path: Path, clip: bytes) -> None:
    contents: dict[str, Any] = {"0.mp4": clip[: len(clip) // 2], "0.txt": "a", "1.mp4": clip, "1.txt": "b"}
    found = outcomes(opened(write_shard(tmp_path / "s.tar", contents)))
    assert found["s.tar/1"] == str(N)
    assert "s.tar/0.mp4: " in found["s.tar/0"]
    assert "cut off" in found["s.tar/0"]


@pytest.mark.parametrize(
    "content",
    [
        b"no tar at all " * 100,
        b"\x1f\x8b\x08\x00" + bytes(600),
        tarfile.TarInfo("a.mp4").tobuf()[:300],
    ],
)
def test_what_is_no_tar_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "s.tar").write_bytes(content)
    with pytest.raises(DatasetError, match=r"s\.tar: cannot be read as a tar .* cut off, damaged or compressed"):
        opened(tmp_path / "s.tar")


def test_a_tar_without_clips_is_refused(tmp_path: Path) -> None:
    write_shard(tmp_path / "s.tar", {"0.png": b"x", "0.txt": "a"})
    with pytest.raises(DatasetError, match=r"no clips \(KEY\.mp4"):
        opened(tmp_path)


def header(name: str, size: int, kind: bytes = tarfile.REGTYPE) -> bytes:
    entry = tarfile.TarInfo(name)
    entry.size, entry.type = max(size, 0), kind
    block = bytearray(entry.tobuf(tarfile.GNU_FORMAT))
    if size < 0:
        block[124:136] = tarfile.itn(size, 12, tarfile.GNU_FORMAT)
        block[148:156] = b" " * 8
        block[148:156] = b"%06o\0 " % sum(block[:512])
    return bytes(block)


@pytest.mark.parametrize(
    "hostile",
    [
        header("again.mp4", -512),  # would lead back to itself, for ever
        header("again.mp4", -1024),
        header("long", 5 * 10**9, tarfile.GNUTYPE_LONGNAME) + bytes(512),  # a name of 5 GB
        header("long", -512, tarfile.GNUTYPE_LONGNAME) + bytes(512),
        header("pax", 5 * 10**9, tarfile.XHDTYPE) + bytes(512),
        header("pax", 20, tarfile.XHDTYPE) * 5000,
    ],
)
def test_headers_that_cannot_be_true_end_a_shard_without_filling_the_memory(
    tmp_path: Path, clip: bytes, hostile: bytes
) -> None:
    shard = write_shard(tmp_path / "s.tar", {"0.mp4": clip, "0.txt": "a"})
    whole = shard.read_bytes()
    end = max(entry.section.offset + -(-entry.section.size // 512) * 512 for entry in members(shard) if entry.section)
    shard.write_bytes(whole[:end] + hostile + bytes(1024))
    found = outcomes(opened(shard))
    assert found.pop("s.tar/0") == str(N)
    assert len(found) <= 1
    assert all("s.tar: " in said and "damaged" in said for said in found.values())


@pytest.mark.parametrize("kind", [tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE])
def test_no_header_of_gigabytes_is_ever_asked_for(tmp_path: Path, kind: bytes) -> None:
    (tmp_path / "s.tar").write_bytes(header("long", 5 * 10**9, kind) + bytes(1024))
    with pytest.raises(DatasetError, match=r"s\.tar: a header of 5000000000 bytes; the tar is damaged"):
        list(members(tmp_path / "s.tar"))


def test_a_member_that_claims_more_than_the_shard_has_is_refused(tmp_path: Path, clip: bytes) -> None:
    shard = write_shard(tmp_path / "s.tar", {"0.mp4": clip, "0.txt": "a", "1.txt": "b"})
    whole = shard.read_bytes()
    end = max(entry.section.offset + 512 for entry in members(shard) if entry.section)
    shard.write_bytes(whole[:end] + header("1.mp4", 10**12) + clip)
    found = outcomes(opened(shard))
    assert found["s.tar/0"] == str(N)
    assert "s.tar ends within it" in found["s.tar/1"]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.floats(0, 1), junk=st.binary(max_size=600), rest=st.booleans())
def test_any_damage_to_a_shard_is_a_dataset_error_or_none(
    tmp_path: Path, clip: bytes, at: float, junk: bytes, rest: bool
) -> None:
    contents: dict[str, Any] = {"0.mp4": clip, "0.txt": "a", "1.json": '{"text": "b"}', "1.mp4": clip}
    shard = write_shard(tmp_path / "s.tar", contents)
    data, cut = shard.read_bytes(), int(at * shard.stat().st_size)
    shard.write_bytes(data[:cut] + junk + (data[cut + len(junk) :] if rest else b""))
    said = "s.tar"
    try:
        assert outcomes(opened(shard))
    except DatasetError as error:
        said = str(error)
    assert "s.tar" in said
