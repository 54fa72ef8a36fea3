"""EPIC-KITCHENS: a clip a narration or a video with narrations over it, from real H.264 and the published columns."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clips import counted, counting, cut_off, write_clip
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from slowfast.actions import ActionError
from slowfast.datasets.episode import DatasetError
from slowfast.datasets.ingest.formats import SourceOptions, detect
from slowfast.datasets.ingest.pipeline import Ingestion, ingest
from slowfast.datasets.ingest.policy import FramePolicy
from slowfast.datasets.ingest.readers import epic_kitchens
from slowfast.datasets.ingest.readers.epic_kitchens import NarratedClips, NarratedVideos
from slowfast.datasets.store import Store

COLUMNS = [
    "narration_id",
    "participant_id",
    "video_id",
    "narration_timestamp",
    "start_timestamp",
    "stop_timestamp",
    "start_frame",
    "stop_frame",
    "narration",
    "verb",
    "verb_class",
    "noun",
    "noun_class",
    "all_nouns",
    "all_noun_classes",
]


def row(number: int, start: str, stop: str, narration: str = "open door", **changes: Any) -> dict[str, Any]:
    verb, _, noun = narration.partition(" ")
    return {
        "narration_id": f"P01_01_{number}",
        "participant_id": "P01",
        "video_id": "P01_01",
        "narration_timestamp": start,
        "start_timestamp": start,
        "stop_timestamp": stop,
        "narration": narration,
        "verb": verb,
        "verb_class": {"open": 3, "take": 0}.get(verb, 1),
        "noun": noun,
        "noun_class": 3,
        "all_nouns": f"['{noun}']",
        **changes,
    }


def write_table(path: Path, rows: list[dict[str, Any]], columns: list[str] = COLUMNS) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, columns, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    return path


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four seconds at 20 frames a second; frame t shows t."""
    return write_clip(tmp_path_factory.mktemp("videos") / "video.mp4", counting(80), fps=20)


def write(folder: Path, rows: list[dict[str, Any]], video: Path, place: str = "P01/videos/P01_01.MP4") -> Path:
    write_table(folder / "annotations" / "EPIC_100_train.csv", rows)
    (folder / place).parent.mkdir(parents=True, exist_ok=True)
    (folder / place).write_bytes(video.read_bytes())
    return folder


def test_each_narration_becomes_a_clip_of_its_own_frames_with_its_words_and_verb(tmp_path: Path, video: Path) -> None:
    rows = [
        row(0, "00:00:00.50", "00:00:01.00"),
        row(1, "00:00:03.20", "00:00:03.90", "take the big pan"),
    ]
    folder = write(tmp_path / "epic", rows, video)
    assert detect(folder) == "epic-kitchens"
    report = ingest(Ingestion(str(folder)), tmp_path / "out")
    assert (report.format, report.episodes, report.skipped) == ("epic-kitchens", 2, {})
    assert report.facts["videos"] == "1 of 1 are there"
    store = Store(tmp_path / "out")
    first, second = store[0], store[1]
    assert counted(first.frames["head"]) == list(range(10, 21))
    assert counted(second.frames["head"]) == list(range(64, 79))
    assert first.actions["narration"].tolist() == ["open door"] * 10
    assert second.actions["narration"].tolist() == ["take the big pan"] * 14
    assert store.spec["verb"].labels == ("take", "class 1", "class 2", "open")
    assert (first.actions["verb"].tolist(), second.actions["verb"].tolist()) == ([3] * 10, [0] * 14)
    assert second.fps == pytest.approx(20)
    assert store.metadata(1)["recording"] == "P01_01_1"
    assert store.metadata(1)["instruction"] == "take the big pan"
    assert (store.metadata(1)["start"], store.metadata(1)["noun"]) == (3.2, "the big pan")


def test_a_clip_is_decoded_from_its_start_and_not_from_the_videos(
    tmp_path: Path, video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[float, int]] = []

    def reads(path: Path, start: float, count: int) -> Iterator[np.ndarray]:
        asked.append((start, count))
        return iter(())

    monkeypatch.setattr(epic_kitchens, "read_frames", reads)
    folder = write(tmp_path / "epic", [row(0, "00:00:02.00", "00:00:02.50")], video)
    NarratedClips(folder, SourceOptions()).read(0).frames["head"]()
    assert asked == [(pytest.approx(2.0), 11)]


def test_a_whole_video_has_each_narration_over_its_time_and_nothing_between(tmp_path: Path, video: Path) -> None:
    rows = [row(0, "00:00:01.00", "00:00:02.00"), row(1, "00:00:01.50", "00:00:03.00", "take pan")]
    folder = write(tmp_path / "epic", rows, video)
    ingestion = Ingestion(str(folder), "epic-kitchens-videos", policy=FramePolicy(fps=10, size=(16, 16)))
    assert ingest(ingestion, tmp_path / "out").episodes == 1
    episode = Store(tmp_path / "out")[0]
    words = episode.actions["narration"].tolist()
    assert words == [""] * 10 + ["open door"] * 5 + ["take pan"] * 15 + [""] * 9
    assert episode.actions["verb"].tolist() == [-1] * 10 + [3] * 5 + [0] * 15 + [-1] * 9
    assert counted(episode.frames["head"]) == list(range(0, 80, 2))


@pytest.mark.parametrize(("action", "components"), [("narration", ["narration"]), ("verb", ["verb"])])
def test_the_action_option_takes_one_of_the_two(
    tmp_path: Path, video: Path, action: str, components: list[str]
) -> None:
    folder = write(tmp_path / "epic", [row(0, "00:00:00.00", "00:00:01.00")], video)
    reader = NarratedClips(folder, SourceOptions(action=action))
    assert [component.name for component in reader.spec.components] == components
    assert list(reader.read(0).actions) == components


def test_labels_come_from_the_verb_classes_beside_the_annotations_or_from_the_option(
    tmp_path: Path, video: Path
) -> None:
    folder = write(tmp_path / "epic", [row(0, "00:00:00.00", "00:00:01.00")], video)
    write_table(
        folder / "annotations" / "EPIC_100_verb_classes.csv",
        [{"id": code, "key": key} for code, key in enumerate(("take", "put", "wash", "open", "close"))],
        ["id", "key"],
    )
    assert NarratedClips(folder, SourceOptions()).spec["verb"].labels == ("take", "put", "wash", "open", "close")
    named = SourceOptions(labels=("a", "b", "c", "d"))
    assert NarratedClips(folder, named).spec["verb"].labels == ("a", "b", "c", "d")
    with pytest.raises(DatasetError, match="verb_class is '3', expected 0 to 1"):
        NarratedClips(folder, SourceOptions(labels=("a", "b"))).read(0)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"start_timestamp": "00:61:00.00"}, r"line 2: start_timestamp is '00:61:00.00', expected HH:MM:SS"),
        ({"stop_timestamp": "soon"}, "line 2: stop_timestamp is 'soon'"),
        ({"stop_timestamp": "00:00:00.00"}, "line 2: stops at 0 s"),
        ({"stop_timestamp": "00:09:00.00"}, r"stops at 540 s, .*P01_01.MP4 ends at 3.95 s"),
        ({"stop_timestamp": "00:00:01.01"}, "fewer than 2 frames"),
        ({"video_id": "P02_07"}, "video 'P02_07' is nowhere below"),
        ({"video_id": "../../secrets"}, "is nowhere below"),
        ({"verb_class": "x"}, "verb_class is 'x'"),
        ({"narration": ""}, "no narration"),
    ],
)
def test_a_bad_row_is_named_by_its_line_and_takes_no_other_with_it(
    tmp_path: Path, video: Path, changes: dict[str, Any], said: str
) -> None:
    bad = row(0, "00:00:01.008", "00:00:02.00") | changes
    folder = write(tmp_path / "epic", [bad, row(1, "00:00:02.00", "00:00:03.00")], video)
    report = ingest(Ingestion(str(folder)), tmp_path / "out")
    assert report.episodes == 1
    assert re.search(said, report.skipped["P01_01_0"])


def test_a_truncated_video_is_skipped_and_named(tmp_path: Path, video: Path) -> None:
    rows = [row(0, "00:00:00.00", "00:00:01.00"), row(1, "00:00:00.00", "00:00:01.00", video_id="P01_02")]
    folder = write(tmp_path / "epic", rows, video)
    write(folder, rows, video, "P01_02.mp4")
    cut_off(folder / "P01_02.mp4")
    report = ingest(Ingestion(str(folder)), tmp_path / "out")
    assert report.episodes == 1
    assert "P01_02.mp4" in report.skipped["P01_01_1"]


def test_two_videos_of_one_name_are_not_guessed_between(tmp_path: Path, video: Path) -> None:
    folder = write(tmp_path / "epic", [row(0, "00:00:00.00", "00:00:01.00")], video)
    write(folder, [row(0, "00:00:00.00", "00:00:01.00")], video, "copy/P01_01.mp4")
    with pytest.raises(DatasetError, match="keep one"):
        NarratedVideos(folder, SourceOptions()).read(0)


def test_several_annotations_ask_for_one_and_the_option_names_it(tmp_path: Path, video: Path) -> None:
    folder = write(tmp_path / "epic", [row(0, "00:00:00.00", "00:00:01.00")], video)
    other = write_table(folder / "EPIC_100_validation.csv", [row(7, "00:00:00.00", "00:00:01.00")])
    with pytest.raises(DatasetError, match=r"several annotations .*validation.*--options.annotations"):
        NarratedClips(folder, SourceOptions())
    assert NarratedClips(folder, SourceOptions(annotations=other)).name(0) == "P01_01_7"


def test_annotations_without_narrations_say_which_column_is_missing(tmp_path: Path) -> None:
    columns = [column for column in COLUMNS if column not in ("narration", "stop_timestamp")]
    table = write_table(tmp_path / "EPIC_100_test.csv", [row(0, "00:00:00.00", "00:00:01.00")], columns)
    with pytest.raises(DatasetError, match="no column stop_timestamp, narration"):
        NarratedClips(tmp_path, SourceOptions(annotations=table))


CELLS = st.text(max_size=12) | st.sampled_from(["00:00:00.00", "00:00:01.00", "P01_01", "0", "99999999", "\0", '"'])


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    data=st.one_of(
        st.binary(max_size=200),
        st.lists(st.lists(CELLS, max_size=17), max_size=4).map(
            lambda rows: "\n".join([",".join(COLUMNS), *map(",".join, rows)]).encode("utf-8", "surrogatepass")
        ),
    )
)
def test_any_csv_gives_recordings_or_dataset_errors(tmp_path: Path, video: Path, data: bytes) -> None:
    folder = tmp_path / "epic"
    if not folder.exists():
        write(folder, [], video)
    (folder / "annotations" / "EPIC_100_train.csv").write_bytes(data)
    for format in (NarratedClips, NarratedVideos):
        try:
            reader = format(folder, SourceOptions(annotations=folder / "annotations" / "EPIC_100_train.csv"))
        except (DatasetError, ActionError):
            continue
        for i in range(len(reader)):
            assert isinstance(reader.name(i), str)
            try:
                assert np.isfinite(reader.read(i).times).all()
            except DatasetError:
                continue
