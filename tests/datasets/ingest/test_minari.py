"""Minari data sets, written by minari itself: what it reads of them is what we read, a picture at a time."""

from __future__ import annotations

import json
import shutil
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gymnasium
import h5py
import minari
import numpy as np
import pytest
from clips import counted, counting, cut_off
from gymnasium import spaces
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from minari.data_collector import EpisodeBuffer

from slowfast.actions import ActionError, Continuous, Discrete, Keyboard, Language
from slowfast.datasets.episode import DatasetError
from slowfast.datasets.ingest.formats import SourceOptions, detect, open_source
from slowfast.datasets.ingest.pipeline import Ingestion, ingest
from slowfast.datasets.ingest.recording import Recording
from slowfast.datasets.store import Store

KINDS = ("hdf5", "arrow", "parquet")
PICTURE = spaces.Box(0, 255, (32, 32, 3), np.uint8)
OBSERVATIONS = spaces.Dict(
    front=PICTURE,
    grey=spaces.Box(0, 255, (40, 36), np.uint8),
    speed=spaces.Box(-1, 1, (2,), np.float32),
    direction=spaces.Discrete(4),
    body=spaces.Tuple((spaces.Box(-1, 1, (2, 2), np.float32), spaces.MultiBinary(3))),
    mission=spaces.Text(20),
)
ACTIONS = spaces.Dict(
    move=spaces.Discrete(3, start=1),
    turn=spaces.Box(-1, 1, (2, 2), np.float32),
    keys=spaces.MultiBinary(2),
    gears=spaces.MultiDiscrete([3, 4]),
    say=spaces.Text(10),
)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "home"))
    return tmp_path / "home"


def episode(steps: int, first: int, observations: Any = OBSERVATIONS, actions: Any = ACTIONS) -> EpisodeBuffer:
    """Random values of the spaces; the pictures of rank 3 show ``first`` and the numbers after it."""
    rng = np.random.default_rng(first)

    def draw(space: Any, count: int) -> Any:
        if isinstance(space, spaces.Dict):
            return {key: draw(part, count) for key, part in space.spaces.items()}
        if isinstance(space, spaces.Tuple):
            return tuple(draw(part, count) for part in space.spaces)
        if isinstance(space, spaces.Text):
            return ["go there"] * count
        if space == PICTURE:
            return counting(count, 32, first)
        space.seed(int(rng.integers(2**31)))
        return np.stack([space.sample() for _ in range(count)])

    infos = {"pose": rng.normal(size=(steps + 1, 3)), "at": {"room": np.arange(steps + 1)}}
    ends = np.arange(steps) == steps - 1
    return EpisodeBuffer(
        seed=first,
        observations=draw(observations, steps + 1),
        actions=draw(actions, steps),
        rewards=list(rng.normal(size=steps)),
        terminations=list(ends),
        truncations=[False] * steps,
        infos=infos,
    )


def written(
    name: str,
    kind: str = "hdf5",
    steps: Sequence[int] = (6, 9),
    observations: Any = OBSERVATIONS,
    actions: Any = ACTIONS,
    jpeg: bool = True,
    **described: Any,
) -> Any:
    starts = np.cumsum([0, *(count + 1 for count in steps)])
    episodes = [episode(count, int(first), observations, actions) for count, first in zip(steps, starts, strict=False)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of descriptions that are missing
        return minari.create_dataset_from_buffers(
            name,
            episodes,
            observation_space=observations,
            action_space=actions,
            data_format=kind,
            jpeg_encoding=jpeg,
            **described,
        )


def opened(source: Path | str, **options: Any) -> Any:
    return open_source(source, "minari", SourceOptions(**options))[1]


def shown(recording: Recording, camera: str) -> np.ndarray:
    return np.stack(list(recording.frames[camera]()))


def change_metadata(home: Path, name: str, **changes: Any) -> None:
    path = home / name / "data/metadata.json"
    metadata = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps({key: value for key, value in metadata.items() if value is not None}))


# --- what comes back ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("jpeg", [True, False], ids=["jpeg", "raw"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_value_is_the_one_that_minari_reads(home: Path, kind: str, jpeg: bool) -> None:
    own = written("worlds/rooms-v0", kind, jpeg=jpeg)
    reader = opened("worlds/rooms-v0")
    assert len(reader) == 2
    for i in (1, 0):
        read, expected = reader.read(i), own[i]
        seen, done = expected.observations, expected.actions
        np.testing.assert_array_equal(shown(read, "front"), seen["front"])
        np.testing.assert_array_equal(shown(read, "grey"), np.repeat(seen["grey"][..., None], 3, -1))
        np.testing.assert_array_equal(read.states["speed"], seen["speed"])
        np.testing.assert_array_equal(read.states["direction"], seen["direction"])
        np.testing.assert_array_equal(read.states["body.0"], seen["body"][0])
        np.testing.assert_array_equal(read.states["body.1"], seen["body"][1])
        np.testing.assert_array_equal(read.actions["move"], done["move"] - 1)
        np.testing.assert_array_equal(read.actions["turn"], done["turn"].reshape(-1, 4))
        np.testing.assert_array_equal(read.actions["keys"], done["keys"])
        np.testing.assert_array_equal(read.actions["gears.0"], done["gears"][:, 0])
        np.testing.assert_array_equal(read.actions["gears.1"], done["gears"][:, 1])
        assert list(read.actions["say"]) == done["say"]
        np.testing.assert_allclose(read.rewards, expected.rewards, rtol=1e-6)
        np.testing.assert_array_equal(read.terminations, expected.terminations)
        np.testing.assert_array_equal(read.truncations, expected.truncations)
        np.testing.assert_array_equal(read.infos["pose"], expected.infos["pose"])
        np.testing.assert_array_equal(read.infos["at.room"], np.arange((6, 9)[i] + 1))
        assert read.metadata == {
            "source": "worlds/rooms-v0",
            "episode": i,
            "seed": 7 * i,
            "instruction": "go there",
        }


def test_the_spec_says_what_the_action_space_says() -> None:
    written("worlds/rooms-v0")
    parts = {component.name: component for component in opened("worlds/rooms-v0").spec.components}
    assert parts == {
        "move": Discrete("move", ("1", "2", "3")),
        "turn": Continuous("turn", (-1.0,) * 4, (1.0,) * 4),
        "keys": Keyboard("keys", ("0", "1")),
        "gears.0": Discrete("gears.0", ("0", "1", "2")),
        "gears.1": Discrete("gears.1", ("0", "1", "2", "3")),
        "say": Language("say", 10),
    }


@pytest.mark.parametrize("kind", KINDS)
def test_ingested_episodes_are_read_back_from_the_store(home: Path, tmp_path: Path, kind: str) -> None:
    own = written("worlds/rooms-v0", kind)
    assert detect(home / "worlds/rooms-v0") == detect(home / "worlds/rooms-v0/data") == "minari"
    report = ingest(Ingestion(str(home / "worlds/rooms-v0")), tmp_path / "out")
    assert (report.format, report.episodes, report.frames, report.skipped) == ("minari", 2, 17, {})
    assert report.facts["loss"] == "front, grey: stored as JPEG, which lost some detail when it was written"
    for i, stored in enumerate(Store(tmp_path / "out")):
        assert counted(stored.frames["front"]) == list(range(7 * i, 7 * i + (7, 10)[i]))
        np.testing.assert_array_equal(stored.frames["front"], own[i].observations["front"])
        np.testing.assert_array_equal(stored.actions["turn"], own[i].actions["turn"].reshape(-1, 4))
        assert stored.metadata["seed"] == 7 * i


def test_jpeg_is_a_loss_and_raw_pictures_are_none() -> None:
    written("worlds/lossy-v0", observations=PICTURE, actions=spaces.Discrete(2))
    written("worlds/exact-v0", observations=PICTURE, actions=spaces.Discrete(2), jpeg=False)
    lossy, exact = (opened(f"worlds/{name}-v0") for name in ("lossy", "exact"))
    assert "loss" in lossy.facts()
    assert "loss" not in exact.facts()
    truth = counting(7, 32, 0)
    np.testing.assert_array_equal(shown(exact.read(0), "observation"), truth)
    off = np.abs(shown(lossy.read(0), "observation").astype(int) - truth)
    assert 0 < off.mean() < 4


def test_an_old_set_with_raw_pictures_that_does_not_say_so_is_read(home: Path) -> None:
    written("worlds/old-v0", observations=PICTURE, actions=spaces.Discrete(2), jpeg=False)
    change_metadata(home, "worlds/old-v0", jpeg_encoding=None, minari_version="0.4.3")
    reader = opened("worlds/old-v0")
    assert "loss" not in reader.facts()
    np.testing.assert_array_equal(shown(reader.read(0), "observation"), counting(7, 32, 0))


@pytest.mark.parametrize("kind", KINDS)
def test_a_set_of_pictures_alone_is_read(kind: str) -> None:
    written("worlds/plain-v0", kind, observations=PICTURE, actions=spaces.Discrete(2))
    reader = opened("worlds/plain-v0", labels=("left", "right"))
    assert reader.spec.components == (Discrete("action", ("left", "right")),)
    assert counted(shown(reader.read(1), "observation")) == list(range(7, 17))


def test_cameras_are_chosen_by_their_keys() -> None:
    written("worlds/rooms-v0")
    assert list(opened("worlds/rooms-v0").read(0).frames) == ["front", "grey"]
    reader = opened("worlds/rooms-v0", cameras=("grey",))
    assert list(reader.read(0).frames) == ["grey"]
    assert reader.facts()["left out"] == "front"
    with pytest.raises(DatasetError, match="no camera 'top'; there are front, grey"):
        opened("worlds/rooms-v0", cameras=("top",))


def test_small_grids_of_codes_are_states_unless_they_are_asked_for() -> None:
    observed = spaces.Dict(front=PICTURE, grid=spaces.Box(0, 255, (7, 7, 3), np.uint8))
    own = written("worlds/grid-v0", observations=observed, actions=spaces.Discrete(2))
    read = opened("worlds/grid-v0").read(0)
    assert list(read.frames) == ["front"]
    np.testing.assert_array_equal(read.states["grid"], own[0].observations["grid"])
    asked = opened("worlds/grid-v0", cameras=("grid",)).read(0)
    np.testing.assert_array_equal(shown(asked, "grid"), own[0].observations["grid"])
    assert "grid" not in asked.states


def test_a_set_without_pictures_says_what_there_is(home: Path) -> None:
    written("worlds/blind-v0", observations=spaces.Dict(speed=spaces.Box(-1, 1, (2,), np.float32)), actions=ACTIONS)
    with pytest.raises(
        DatasetError, match=r"no pictures among the observations \(speed Box.*rendered frames is needed"
    ):
        opened("worlds/blind-v0")


def test_pictures_are_decoded_as_they_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    from slowfast.datasets.ingest.readers import minari_storage

    written("worlds/rooms-v0", "arrow")
    decoded: list[int] = []
    decode = minari_storage.decode_picture
    monkeypatch.setattr(minari_storage, "decode_picture", lambda data, where: decoded.append(1) or decode(data, where))
    stream = opened("worlds/rooms-v0").read(1).frames["front"]()
    assert decoded == []
    next(stream)
    next(stream)
    assert len(decoded) == 2


# --- frame rate ----------------------------------------------------------------------------------------------------


@pytest.fixture
def environment() -> Any:
    """An installed environment that renders 12 frames a second."""
    spec = gymnasium.envs.registration.EnvSpec("SlowfastTest/Tiny-v0", entry_point="tiny_worlds:TinyWorlds")
    gymnasium.registry[spec.id] = spec
    yield spec
    del gymnasium.registry[spec.id]


def test_the_frame_rate_is_the_installed_environments(environment: Any) -> None:
    written("worlds/tiny-v0", env=environment)
    reader = opened("worlds/tiny-v0")
    assert reader.facts()["fps"] == "12 (render_fps of SlowfastTest/Tiny-v0)"
    assert reader.read(0).fps == pytest.approx(12)
    assert reader.read(0).metadata["environment"] == "SlowfastTest/Tiny-v0"
    assert opened("worlds/tiny-v0", fps=4.0).facts()["fps"] == "4 (as asked for)"


def test_an_unknown_frame_rate_is_assumed_and_said() -> None:
    written("worlds/rooms-v0")
    reader = opened("worlds/rooms-v0")
    assert reader.read(0).fps == pytest.approx(10)
    assert reader.facts()["fps"] == "10 (assumed: the data set does not say it; --options.fps does)"
    assert opened("worlds/rooms-v0", fps=4.0).read(0).fps == pytest.approx(4)
    with pytest.raises(DatasetError, match="fps has to be above 0"):
        opened("worlds/rooms-v0", fps=-1.0)


@pytest.mark.parametrize("lacking", [None, "action_space"])
def test_no_module_that_the_data_set_names_is_imported(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, environment: Any, lacking: str | None
) -> None:
    (tmp_path / "hostile_module.py").write_text("from pathlib import Path\nPath('was_here').touch()\nWorld = None\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    written("worlds/tiny-v0", env=environment)
    spec = json.loads(json.loads((home / "worlds/tiny-v0/data/metadata.json").read_text())["env_spec"])
    spec.update(id="hostile_module:World-v0", entry_point="hostile_module:World")
    change_metadata(home, "worlds/tiny-v0", env_spec=json.dumps(spec), **({lacking: None} if lacking else {}))
    if lacking:
        with pytest.raises(DatasetError, match="no 'action_space'"):
            opened("worlds/tiny-v0")
    else:
        assert opened("worlds/tiny-v0").facts()["environment"] == "hostile_module:World-v0"
    assert not (tmp_path / "was_here").exists()
    assert "hostile_module" not in sys.modules


# --- damage --------------------------------------------------------------------------------------------------------


def in_hdf5(home: Path, change: Any) -> None:
    with h5py.File(home / "worlds/rooms-v0/data/main_data.hdf5", "a") as file:
        change(file)


def spoil_turn(file: Any) -> None:
    file["episode_1/actions/turn"][3, 0, 0] = np.nan


def spoil_move(file: Any) -> None:
    file["episode_1/actions/move"][2] = 7


def lose_rewards(file: Any) -> None:
    del file["episode_1/rewards"]


def shorten_speed(file: Any) -> None:
    file["episode_1/observations/speed"].resize((8, 2))


def shorten_pictures(file: Any) -> None:
    pictures = file["episode_1/observations/front"][:8]
    del file["episode_1/observations/front"]
    file["episode_1/observations"].create_dataset("front", data=pictures, dtype=h5py.vlen_dtype(np.uint8))


def spoil_picture(file: Any) -> None:
    group = file["episode_1/observations"]
    pictures = [np.asarray(picture) for picture in group["front"][:]]
    pictures[4] = pictures[4][:100]
    del group["front"]
    array = group.create_dataset("front", (len(pictures),), dtype=h5py.vlen_dtype(np.uint8))
    for t, picture in enumerate(pictures):
        array[t] = picture


def lead_outside(file: Any) -> None:
    del file["episode_1/observations/speed"]
    file["episode_1/observations/speed"] = h5py.ExternalLink("../../../elsewhere.h5", "speed")


def grow_absurdly(file: Any) -> None:
    del file["episode_1/observations/speed"]
    file["episode_1/observations"].create_dataset("speed", (10, 10**9), np.float32, chunks=(1, 1000))


def lose_episode(file: Any) -> None:
    del file["episode_1"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (spoil_turn, "action 3 and 0 more of 'turn' hold numbers that are not finite"),
        (spoil_move, "actions 'move' go from"),
        (lose_rewards, "no 'rewards'"),
        (shorten_speed, "states/speed has 8 rows, 10 frames need 10"),
        (shorten_pictures, "8 pictures of 'front'; 9 steps need 10"),
        (spoil_picture, "front 4: cannot be decoded as a picture"),
        (lead_outside, "link to another file"),
        (grow_absurdly, "10,000,000,000 values"),
        (lose_episode, "no 'episode_1'"),
    ],
)
def test_a_damaged_episode_of_hdf5_is_skipped_and_named(home: Path, tmp_path: Path, change: Any, said: str) -> None:
    written("worlds/rooms-v0", steps=(6, 9, 4))
    in_hdf5(home, change)
    report = ingest(Ingestion("worlds/rooms-v0", "minari"), tmp_path / "out")
    assert list(report.skipped) == ["episode 1"]
    assert said in report.skipped["episode 1"]
    assert [counted(stored.frames["front"])[0] for stored in Store(tmp_path / "out")] == [0, 17]


@pytest.mark.parametrize("kind", ["arrow", "parquet"])
@pytest.mark.parametrize("damage", ["cut", "lost", "empty"])
def test_a_damaged_episode_of_arrow_is_skipped_and_named(home: Path, tmp_path: Path, kind: str, damage: str) -> None:
    written("worlds/rooms-v0", kind, steps=(6, 9, 4))
    path = home / f"worlds/rooms-v0/data/1/part-0.{kind}"
    if damage == "cut":
        cut_off(path)
    elif damage == "lost":
        path.unlink()
    else:
        path.write_bytes(b"")
    report = ingest(Ingestion("worlds/rooms-v0", "minari"), tmp_path / "out")
    assert list(report.skipped) == ["episode 1"]
    assert (
        f"cannot be read as {kind}" in report.skipped["episode 1"] or f"no file *.{kind}" in report.skipped["episode 1"]
    )
    assert [counted(stored.frames["front"])[0] for stored in Store(tmp_path / "out")] == [0, 17]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"total_episodes": 10**12}, "'total_episodes' is 1000000000000; expected 0 to"),
        ({"total_episodes": "2"}, "'total_episodes' is 2; expected"),
        ({"observation_space": None}, "no 'observation_space'"),
        (
            {"observation_space": '{"type": "Box", "dtype": "uint8", "shape": [99999, 99999, 3], "low": 0, "high": 9}'},
            r"a space of shape \[99999, 99999, 3\]; at most",
        ),
        ({"observation_space": '{"type": "Sphere"}'}, "minari cannot open the data set"),
        (
            {"action_space": '{"type": "Discrete", "n": 100000000000, "start": 0}'},
            "expected up to 4096 numbers or choices",
        ),
        ({"minari_version": "9.0.0"}, "does not support the dataset generated by Minari 9.0.0"),
        ({"data_format": "zarr"}, "minari cannot open the data set"),
    ],
)
def test_a_set_that_cannot_be_read_says_why(home: Path, changes: dict[str, Any], said: str) -> None:
    written("worlds/rooms-v0", steps=(2,))
    change_metadata(home, "worlds/rooms-v0", **changes)
    with pytest.raises(DatasetError, match=said):
        opened("worlds/rooms-v0")


def test_a_set_that_is_not_there_says_how_to_get_it(home: Path, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="`minari download worlds/none-v0` fetches one"):
        opened("worlds/none-v0")
    with pytest.raises(DatasetError, match="no such folder, and no name of a Minari data set"):
        opened("../rooms v0")
    with pytest.raises(DatasetError, match="a Minari data set is a folder with one"):
        opened(tmp_path)


def test_labels_that_do_not_fit_are_refused() -> None:
    written("worlds/rooms-v0", steps=(2,))
    written("worlds/plain-v0", steps=(2,), actions=spaces.Discrete(2))
    with pytest.raises(DatasetError, match="labels go with a single action"):
        opened("worlds/rooms-v0", labels=("a", "b"))
    with pytest.raises(DatasetError, match="3 labels; the action 'action' needs 2"):
        opened("worlds/plain-v0", labels=("a", "b", "c"))


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_bytes_raise_nothing_but_our_errors(home: Path, tmp_path: Path, kind: str, data: st.DataObject) -> None:
    if not (tmp_path / "whole").exists():
        written("worlds/rooms-v0", kind, steps=(3, 4))
        shutil.copytree(home / "worlds/rooms-v0/data", tmp_path / "whole")
    shutil.rmtree(tmp_path / "copy", ignore_errors=True)
    root = Path(shutil.copytree(tmp_path / "whole", tmp_path / "copy"))
    path = data.draw(st.sampled_from(sorted(file for file in root.rglob("*") if file.is_file())))
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.integers(0, len(content)) | st.just(len(content)))])
    read_all(root)


def read_all(root: Path) -> None:
    """Nothing but our own errors, whatever lies in the folder."""
    try:
        reader = opened(root)
        reader.facts()
    except DatasetError:
        return
    for i in range(min(len(reader), 4)):
        try:
            for frames in reader.read(i).frames.values():
                list(frames())
        except (DatasetError, ActionError):
            continue
