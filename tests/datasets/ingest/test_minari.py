"""Minari data sets, written by minari itself: what it reads of them is what we read, a picture at a time."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from clips import counted, counting
from gymnasium import spaces
from minari_sets import ACTIONS, KINDS, PICTURE, change_metadata, opened, shown, written

from slowfast.actions import Continuous, Discrete, Keyboard, Language
from slowfast.datasets.episode import DatasetError
from slowfast.datasets.ingest.formats import detect
from slowfast.datasets.ingest.pipeline import Ingestion, ingest
from slowfast.datasets.store import Store

pytestmark = pytest.mark.usefixtures("home")


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
