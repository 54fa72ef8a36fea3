"""A LeRobot data set that cannot be read as a whole says why, whatever lies in its folder."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from hostile import damage, read_all
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lerobot_opened import opened
from lerobot_sets import FRONT, LeRobotSet

from slowfast.datasets.episode import DatasetError
from slowfast.datasets.ingest.formats import detect

# --- the source as a whole -----------------------------------------------------------------------------------------


def test_other_versions_are_refused(tmp_path: Path) -> None:
    root = LeRobotSet(tmp_path / "set", version="v1.6").write()
    with pytest.raises(DatasetError, match=r"codebase_version is 'v1.6'; this slowfast reads v2.0, v2.1, v3.0"):
        opened(root)


@pytest.mark.parametrize("name", ["meta/info.json", "meta/episodes/chunk-000/file-000.parquet"])
def test_missing_tables_are_named(tmp_path: Path, name: str) -> None:
    root = LeRobotSet(tmp_path / "set").write()
    (root / name).unlink()
    with pytest.raises(DatasetError, match=r"no meta/info.json|no meta/episodes/\*/\*.parquet"):
        opened(root)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"fps": 0}, "'fps' is 0; expected a number above 0"),
        ({"fps": "30"}, "'fps' is '30'"),
        ({"features": [1]}, "no 'features'"),
        ({"features": {"a/b": {}}}, "expected a name without slashes"),
        ({"data_path": 7}, "'data_path' is 7; expected a path"),
    ],
)
def test_wrong_values_of_info_json_are_named(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    root = LeRobotSet(tmp_path / "set", change_info=lambda info: info.update(changes)).write()
    with pytest.raises(DatasetError, match=said):
        opened(root)


@pytest.mark.parametrize(
    "template",
    [
        "../data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet",
        "/data/{episode_index}.parquet",
        "data/../../{episode_index}.parquet",
        "data/{episode_index.__class__}.parquet",
        "data/{episode_index:099999999999d}.parquet",
        "data/{episode_index!r}.parquet",
        "data/{root}.parquet",
        "data/{",
    ],
)
def test_a_path_template_that_climbs_out_or_asks_for_more_is_not_followed(tmp_path: Path, template: str) -> None:
    def change(info: dict[str, Any]) -> None:
        info["data_path"] = template

    reader = opened(LeRobotSet(tmp_path / "set", version="v2.1", change_info=change).write())
    with pytest.raises(DatasetError, match=r"climbs out|expected the fields episode_chunk|expected a path with"):
        reader.read(0)


def test_a_camera_whose_key_climbs_out_is_not_followed(tmp_path: Path) -> None:
    def change(info: dict[str, Any]) -> None:
        info["features"][".."] = info["features"].pop(FRONT)

    with pytest.raises(DatasetError, match="feature name"):
        opened(LeRobotSet(tmp_path / "set", version="v2.1", change_info=change).write())


def test_counts_that_differ_are_said(tmp_path: Path) -> None:
    root = LeRobotSet(tmp_path / "set", change_info=lambda info: info.update(total_episodes=9)).write()
    assert opened(root).facts()["differs"] == "info.json has total_episodes 9, meta/episodes has 3"


def test_a_line_that_is_not_json_is_named(tmp_path: Path) -> None:
    root = LeRobotSet(tmp_path / "set", version="v2.1").write()
    with (root / "meta/episodes.jsonl").open("a") as file:
        file.write('{"episode_index": 3, "len')
    with pytest.raises(DatasetError, match=r"episodes.jsonl: line 4: is not JSON"):
        opened(root)


def test_the_format_is_recognised_without_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = LeRobotSet(tmp_path / "set").write()
    for name in [name for name in sys.modules if name.partition(".")[0] == "pyarrow" or ".readers." in name]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert detect(root) == "lerobot"


# --- anything at all -----------------------------------------------------------------------------------------------


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 2**70) | st.floats() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=5,
)


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("lerobot")
    return {
        "v2.1": LeRobotSet(folder / "v2", version="v2.1", lengths=(3, 4)).write(),
        "v3.0": LeRobotSet(folder / "v3", lengths=(3, 4)).write(),
        "pictures": LeRobotSet(folder / "pictures", lengths=(3, 4), pictures=True).write(),
    }


def one_of(originals: dict[str, Path], tmp_path: Path, data: st.DataObject) -> Path:
    """A fresh copy."""
    shutil.rmtree(tmp_path / "copy", ignore_errors=True)
    return Path(shutil.copytree(originals[data.draw(st.sampled_from(sorted(originals)))], tmp_path / "copy"))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_bytes_raise_nothing_but_our_errors(
    originals: dict[str, Path], tmp_path: Path, data: st.DataObject
) -> None:
    root = one_of(originals, tmp_path, data)
    damage(root, data)
    read_all(opened, root)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_value_in_info_json_raises_nothing_but_our_errors(
    originals: dict[str, Path], tmp_path: Path, data: st.DataObject
) -> None:
    root = one_of(originals, tmp_path, data)
    info = json.loads((root / "meta/info.json").read_text())
    place = info
    while True:
        key = data.draw(st.sampled_from(sorted(place)))
        if not (isinstance(place[key], dict) and place[key] and data.draw(st.booleans())):
            break
        place = place[key]
    place[key] = data.draw(JSON)
    (root / "meta/info.json").write_text(json.dumps(info))
    read_all(opened, root)
