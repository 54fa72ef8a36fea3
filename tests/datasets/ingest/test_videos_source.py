"""What counts as a folder of videos, and what damage costs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from clips import counting, cut_off, write_clip
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from video_folders import N, clips, opened

from slowfast.actions import Continuous
from slowfast.datasets import hdf5
from slowfast.datasets.episode import DatasetError
from slowfast.datasets.ingest.formats import detect
from slowfast.datasets.ingest.policy import FramePolicy, episodes
from slowfast.datasets.ingest.readers import videos


def test_a_single_video_is_a_source(tmp_path: Path) -> None:
    clips(tmp_path, "a.mp4", "b.mp4")
    (tmp_path / "a.csv").write_text("action\n" + "1\n" * N)
    assert detect(tmp_path / "a.mp4") == "videos"
    reader = opened(tmp_path / "a.mp4")
    assert len(reader) == 1
    assert reader.read(0).actions["action"].tolist() == [1] * (N - 1)


def test_folders_are_recognised_by_a_video_anywhere_in_them(tmp_path: Path) -> None:
    (tmp_path / ".hidden").mkdir()
    clips(tmp_path / ".hidden", "a.mp4", frames=2)
    write_clip(tmp_path / "sub/._a.mp4", counting(2))
    assert not videos.detect(tmp_path)
    with pytest.raises(DatasetError, match=r"no videos \(\.mp4"):
        opened(tmp_path)
    clips(tmp_path, "sub/deep/go.MP4", frames=2)
    assert detect(tmp_path) == "videos"
    assert len(opened(tmp_path)) == 1


def test_opening_reads_no_video_and_a_damaged_one_is_named(tmp_path: Path) -> None:
    clips(tmp_path, "go_a.mp4", "go_b.mp4")
    cut_off(tmp_path / "go_a.mp4")
    reader = opened(tmp_path)
    with pytest.raises(DatasetError, match=r"go_a\.mp4: .* cut off"):
        reader.read(0)
    assert len(reader.read(1).times) == N


def test_a_clip_of_one_frame_is_refused(tmp_path: Path) -> None:
    clips(tmp_path, "go.mp4", frames=1)
    with pytest.raises(DatasetError, match=r"go\.mp4: has one frame; a clip needs at least 2"):
        opened(tmp_path).read(0)


def test_a_damaged_table_takes_no_other_clip_with_it(tmp_path: Path) -> None:
    clips(tmp_path, "a.mp4", "b.mp4", "c.mp4", "d.mp4")
    for name in "cd":
        (tmp_path / f"{name}.csv").write_text("action\n" + "0.5\n" * N)
    (tmp_path / "a.csv").write_text("action\n0.5,1\n")
    (tmp_path / "b.csv").write_text("action\n" + "fast\n" * N)
    reader = opened(tmp_path)
    assert reader.spec.components == (Continuous("action", (0.5,), (0.5,)),)
    with pytest.raises(DatasetError, match=r"a\.csv: line 2 has 2 cells"):
        reader.read(0)
    with pytest.raises(DatasetError, match=r"b\.mp4: action: holds text, where the source's other tables have numbers"):
        reader.read(1)
    assert reader.read(2).actions["action"].tolist() == [[0.5]] * (N - 1)


NAMES = st.sampled_from(
    [
        "action",
        "action.x",
        "action./",
        "label",
        "text",
        "start",
        "stop",
        "reward",
        "done",
        "state.x",
        "state.",
        "frame",
        "z",
    ]
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
CELLS = SCALARS | st.lists(SCALARS, max_size=3) | st.dictionaries(st.text(max_size=2), SCALARS, max_size=1)
TABLES = st.dictionaries(NAMES, CELLS, max_size=5).flatmap(
    lambda row: st.one_of(st.just([row] * N), st.just([row] * (N - 1)), st.just(row), st.just([row]))
) | st.lists(st.dictionaries(NAMES, CELLS, max_size=4), max_size=N)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(table=TABLES)
def test_any_annotations_are_episodes_or_an_error_of_their_clip(tmp_path: Path, table: Any) -> None:
    if not (tmp_path / "good.mp4").exists():
        clips(tmp_path, "good.mp4", "odd.mp4")
        (tmp_path / "good.txt").write_text("fine")
    (tmp_path / "odd.json").write_text(json.dumps(table))
    reader = opened(tmp_path)
    assert len(reader.read(0).times) == N
    made, said = [], "odd"
    try:
        made = list(episodes(reader.read(1), FramePolicy()))
    except DatasetError as error:
        said = str(error)
    assert "odd" in said
    for episode in made:
        hdf5.write_file(tmp_path / "odd.h5", episode)
