"""HDF5 files of others: the known layouts, and mappings for all others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import yaml
from clips import counted, counting
from hdf5_files import FRONT, encoded, frames, mapping, opened, simple, write

from slowfast.datasets.episode import DatasetError
from slowfast.datasets.ingest.formats import SourceOptions, detect
from slowfast.datasets.ingest.pipeline import Ingestion, ingest
from slowfast.datasets.ingest.readers.hdf5_mapping import Hdf5Episodes
from slowfast.datasets.store import Store

# --- known layouts ----------------------------------------------------------------------------------------------------


def test_robomimic_files_are_recognised_with_their_cameras_states_and_frame_rate(tmp_path: Path) -> None:
    path = tmp_path / "lift" / "image.hdf5"
    for number, count in ((0, 7), (2, 5), (10, 9)):
        demo = f"data/demo_{number}"
        states = {f"{demo}/obs/robot0_eef_pos": np.full((count, 3), number), f"{demo}/states": np.zeros((count, 30))}
        outcomes = {f"{demo}/rewards": np.arange(count) * 1.0, f"{demo}/dones": np.arange(count) >= count - 2}
        actions = {f"{demo}/actions": np.linspace(-1, 1, count * 7).reshape(count, 7)}
        pictures = {f"{demo}/obs/agentview_image": counting(count), f"{demo}/obs/wrist_image": counting(count, 16)}
        write(path, states | outcomes | actions | pictures, chunks=(2, 8, 8, 3), compression="gzip")
    with h5py.File(path, "a") as file:
        file["data"].attrs["env_args"] = '{"env_name": "Lift", "env_kwargs": {"control_freq": 25}}'
    assert detect(path.parent) == detect(path) == "hdf5"
    report = ingest(Ingestion(str(path)), tmp_path / "out")
    assert (report.episodes, report.facts["layout"]) == (3, "robomimic")
    store = Store(tmp_path / "out")
    assert [store.metadata(i)["recording"] for i in range(3)] == [
        f"image.hdf5/data/demo_{number}" for number in (0, 2, 10)
    ]
    assert store.lengths.tolist() == [6, 4, 8]  # as many frames as actions: the last action is dropped
    assert store.cameras == {"agentview": (32, 32), "wrist": (16, 16)}
    last = store[2]
    assert counted(last.frames["agentview"]) == counted(last.frames["wrist"]) == list(range(9))
    assert last.fps == 25
    np.testing.assert_allclose(last.actions["action"], np.linspace(-1, 1, 63).reshape(9, 7)[:-1], rtol=1e-6)
    assert last.rewards.tolist() == list(range(8))
    assert last.terminations.tolist() == [False] * 7 + [True]
    assert set(last.states) == {"robot0_eef_pos"}
    assert last.states["robot0_eef_pos"].tolist() == [[10] * 3] * 9
    assert store.spec["action"].low == pytest.approx((-1,) * 1 + store.spec["action"].low[1:])
    assert store.metadata(0)["last_action_dropped"] is True


@pytest.mark.parametrize("compressed", [False, True])
def test_aloha_folders_are_recognised_raw_and_compressed(tmp_path: Path, compressed: bool) -> None:
    for number in (0, 1, 10):
        pictures: Any = counting(5, first=number)
        if compressed:
            rows = encoded(pictures, "JPEG")
            pictures = np.stack([np.pad(row, (0, 9000 - len(row))) for row in rows])
        write(
            tmp_path / "aloha" / f"episode_{number}.hdf5",
            {
                "observations/images/cam_high": pictures,
                "observations/qpos": np.full((5, 14), number),
                "action": np.random.default_rng(number).normal(size=(5, 14)),
            },
        )
    report = ingest(Ingestion(str(tmp_path / "aloha")), tmp_path / "out")
    assert report.facts["layout"] == ("ALOHA, compressed" if compressed else "ALOHA")
    store = Store(tmp_path / "out")
    assert [counted(episode.frames["cam_high"]) for episode in store] == [
        list(range(first, first + 5)) for first in (0, 1, 10)
    ]
    assert (store.fps(0), store[2].states["qpos"][0, 0], set(store[0].states)) == (50, 10, {"qpos"})


# --- mappings ---------------------------------------------------------------------------------------------------------


def test_one_frame_more_than_actions_keeps_every_action(tmp_path: Path) -> None:
    source = write(tmp_path / "a.h5", simple() | {"actions": np.arange(5.0)})
    recording = opened(tmp_path, source).read(0)
    assert recording.actions["action"].ravel().tolist() == [0, 1, 2, 3, 4]
    assert recording.metadata["last_action_dropped"] is False


@pytest.mark.parametrize("rows", [3, 4, 7])
def test_any_other_number_of_actions_is_refused_with_both_counts(tmp_path: Path, rows: int) -> None:
    source = write(tmp_path / "a.h5", simple() | {"actions": np.zeros((rows, 1))})
    with pytest.raises(DatasetError, match=rf"a.h5: actions/action has {rows} rows, 6 frames go with 5"):
        opened(tmp_path, source).read(0)


def test_channels_first_and_blue_first_frames_are_turned_round(tmp_path: Path) -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (4, 6, 8, 3), np.uint8)
    turned = pictures[..., ::-1].transpose(0, 3, 1, 2)
    source = write(tmp_path / "a.h5", simple(4) | {"images": turned}, chunks=(3, 1, 6, 8))
    said = {"key": "images", "layout": "TCHW", "channels": "bgr"}
    assert (frames(opened(tmp_path, source, frames={"front": said})) == pictures).all()


@pytest.mark.parametrize(("range", "scale"), [("unit", 255), ("byte", 1)])
def test_float_frames_are_scaled_only_as_the_mapping_says(tmp_path: Path, range: str, scale: int) -> None:
    pictures = counting(4, 16)
    source = write(tmp_path / "a.h5", simple(4) | {"images": (pictures / scale).astype(np.float32)})
    with pytest.raises(DatasetError, match=r"is float32 .* expected uint8, or .*range: unit"):
        opened(tmp_path, source).read(0)
    assert (frames(opened(tmp_path, source, frames={"front": {"key": "images", "range": range}})) == pictures).all()


@pytest.mark.parametrize("wrong", [1.5, -0.1, np.nan])
def test_a_float_frame_outside_of_its_range_is_named(tmp_path: Path, wrong: float) -> None:
    pictures = np.full((4, 6, 8, 3), 0.5, np.float32)
    pictures[2, 3, 3] = wrong
    source = write(tmp_path / "a.h5", simple(4) | {"images": pictures})
    reader = opened(tmp_path, source, frames={"front": {"key": "images", "range": "unit"}})
    with pytest.raises(DatasetError, match=r"a.h5: frames/images: frame 2 has numbers outside of 0 to 1"):
        frames(reader)


def test_encoded_frames_of_any_length_are_decoded_and_blue_first_ones_turned(tmp_path: Path) -> None:
    pictures = np.random.default_rng(1).integers(0, 256, (4, 6, 8, 3), np.uint8)
    path = write(tmp_path / "a.h5", {"actions": np.zeros(4)})
    with h5py.File(path, "a") as file:
        rows = file.create_dataset("images", (4,), dtype=h5py.vlen_dtype(np.uint8))
        for t, data in enumerate(encoded(pictures[..., ::-1])):
            rows[t] = data
    said = {"key": "images", "encoding": "png", "channels": "bgr"}
    assert (frames(opened(tmp_path, path, frames={"front": said})) == pictures).all()


@pytest.mark.parametrize("flags", [True, False])
def test_long_arrays_are_cut_where_flags_or_row_numbers_end_an_episode(tmp_path: Path, flags: bool) -> None:
    terminals, timeouts = np.zeros(12, bool), np.zeros(12, bool)
    terminals[3], timeouts[8] = True, True
    arrays = simple(12, terminals=terminals, timeouts=timeouts, ends=np.array([4, 9, 12]), rewards=np.arange(12.0))
    source = write(tmp_path / "flat.h5", arrays, chunks=(5, 16, 16, 3))
    ends = ["terminals", "timeouts"] if flags else "ends"
    path = mapping(tmp_path, ends=ends, rewards="rewards", truncations="timeouts")
    report = ingest(Ingestion(str(source), options=SourceOptions(mapping=path)), tmp_path / "out")
    store = Store(tmp_path / "out")
    assert report.episodes == 3
    assert [counted(episode.frames["front"]) for episode in store] == [[0, 1, 2, 3], [4, 5, 6, 7, 8], [9, 10, 11]]
    assert store[1].rewards.tolist() == [4, 5, 6, 7]
    np.testing.assert_allclose(store[2].actions["action"], [[0.9], [1.0]], rtol=1e-6)
    assert store.metadata(1)["recording"] == "flat.h5 episode 1"


def test_the_kinds_of_actions_follow_from_their_arrays_over_all_recordings(tmp_path: Path) -> None:
    for number in range(2):
        more: dict[str, Any] = {
            "choice": np.array([0, 1, 2, number * 4, 0, 0]),
            "keys": np.ones((6, 2), bool),
            "said": [f"go {number}"] * 6,
        }
        write(tmp_path / "many" / f"{number}.h5", simple(**more) | {"actions": np.full((6, 2), 0.5 - number)})
    actions = {"action": "actions", "choice": "choice", "keys": "keys", "said": "said"}
    reader = opened(tmp_path, tmp_path / "many", actions=actions)
    kinds = [(part.name, part.kind) for part in reader.spec.components]
    assert kinds == [("action", "continuous"), ("choice", "discrete"), ("keys", "keyboard"), ("said", "language")]
    assert reader.spec["choice"].labels == ("0", "1", "2", "3", "4")
    assert (reader.spec["action"].low, reader.spec["action"].high) == ((-0.5, -0.5), (0.5, 0.5))
    assert reader.read(1).actions["choice"].tolist() == [0, 1, 2, 4, 0]
    assert reader.read(1).actions["said"].tolist() == ["go 1"] * 5


def test_a_mapping_names_choices_bounds_and_one_text_for_the_whole_episode(tmp_path: Path) -> None:
    source = write(tmp_path / "a.h5", simple(word=["left", "right", "left", "left", "left", "left"], task="tidy up"))
    actions = {
        "move": {"key": "word", "kind": "discrete", "labels": ["right", "left"]},
        "arm": {"key": "actions", "low": -1, "high": [1], "labels": ["turn (degrees)"]},
        "task": "task",
    }
    reader = opened(tmp_path, source, actions=actions)
    recording = reader.read(0)
    assert recording.actions["move"].tolist() == [1, 0, 1, 1, 1]
    assert recording.actions["task"].tolist() == ["tidy up"] * 5
    arm: Any = reader.spec["arm"]
    assert (arm.low, arm.high, arm.labels) == ((-1.0,), (1.0,), ("turn (degrees)",))


def test_times_of_frames_and_named_states_are_read(tmp_path: Path) -> None:
    source = write(tmp_path / "a.h5", simple(clock=np.arange(6) * 0.04, q=np.arange(12).reshape(6, 2)))
    content = {key: value for key, value in FRONT.items() if key != "fps"} | {"times": "clock", "states": {"arm": "q"}}
    (tmp_path / "mapping.yaml").write_text(yaml.safe_dump(content))
    recording = Hdf5Episodes(source, SourceOptions(mapping=tmp_path / "mapping.yaml")).read(0)
    assert recording.fps == pytest.approx(25)
    assert recording.states["arm"].tolist() == np.arange(12).reshape(6, 2).tolist()


def test_cameras_and_frame_rate_can_be_chosen(tmp_path: Path) -> None:
    source = write(tmp_path / "a.h5", simple(side=counting(6, 16)))
    path = mapping(tmp_path, frames={"front": "images", "side": "side"})
    reader = Hdf5Episodes(source, SourceOptions(mapping=path, cameras=("side",), fps=30))
    assert (list(reader.read(0).frames), reader.read(0).fps) == (["side"], pytest.approx(30))
    with pytest.raises(DatasetError, match="no camera back; there are front, side"):
        Hdf5Episodes(source, SourceOptions(mapping=path, cameras=("back",)))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"frame": {"a": "b"}}, "'frame' is not known; did you mean 'frames'"),
        ({"frames": {"front": {"key": "images", "encodin": "png"}}}, "frames: front: 'encodin' .* 'encoding'"),
        ({"frames": {"front": {"key": "images", "layout": "HWC"}}}, "layout: 'HWC'; expected THWC or TCHW"),
        ({"frames": {"front": {"layout": "THWC"}}}, "no 'key'"),
        ({"frames": {"front": {"key": "images", "encoding": "png", "range": "unit"}}}, "of raw frames"),
        ({"frames": {"*": "images"}}, "on both sides"),
        ({"frames": {"a/b": "images"}}, "without slashes"),
        ({"frames": []}, "expected names and keys"),
        ({"actions": {"action": {"key": "actions", "kind": "float"}}}, "kind: 'float'"),
        ({"actions": {"action": {"key": "actions", "low": 0}}}, "low and high go together"),
        ({"actions": {"action": 3}}, "expected key, kind"),
        ({"files": "../*.h5"}, "leads out of the source's folder"),
        ({"fps": -1}, "frames a second"),
        ({"times": "clock"}, "both fps and times"),
        ({"ends": {"a": 1}}, "expected the key of an array"),
    ],
)
def test_a_mapping_with_a_fault_says_which(tmp_path: Path, content: dict[str, Any], said: str) -> None:
    source = write(tmp_path / "a.h5", simple())
    with pytest.raises(DatasetError, match=rf"mapping.yaml.*{said}"):
        opened(tmp_path, source, **content)


def test_a_mapping_that_runs_python_is_not_run(tmp_path: Path) -> None:
    source = write(tmp_path / "a.h5", simple())
    (tmp_path / "mapping.yaml").write_text(f"frames: !!python/object/apply:os.mkdir ['{tmp_path / 'made'}']")
    with pytest.raises(DatasetError, match=r"mapping.yaml: cannot be read"):
        Hdf5Episodes(source, SourceOptions(mapping=tmp_path / "mapping.yaml"))
    assert not (tmp_path / "made").exists()
