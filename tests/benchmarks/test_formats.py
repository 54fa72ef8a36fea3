"""The pages' evidence of ingestion: sets in every format are compared with what went into them, damage is counted as
what it is, and faults of data sets are planted where they are said to be."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Any

import doctor_copies
import doctor_faults
import doctor_plants
import foreign_sets
import format_tables
import formats
import fuzz
import fuzz_damage
import numpy as np
import pytest

from slowfast.actions import ActionSpec, Discrete, Language
from slowfast.datasets.episode import Episode
from slowfast.datasets.ingest.formats import FORMATS
from slowfast.datasets.store import Store, write_episode

LABELS = ("turn left", "turn right", "forward")
SPEC = ActionSpec((Discrete("move", LABELS), Language("text", describes="move")))
MOVES = np.array([0, 0, 1, 2, 2, 2, 1, 0, 2])


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three short episodes, each frame of a shade of its own."""
    folder = tmp_path_factory.mktemp("data")
    for number in range(3):
        shades = (20 + 60 * number + 5 * np.arange(len(MOVES) + 1)).astype(np.uint8)
        frames = np.broadcast_to(shades[:, None, None, None], (len(shades), 32, 32, 3)).copy()
        frames[:, :8, :8] = 255
        moves = np.roll(MOVES, number)
        words = np.array(LABELS, object)[moves]
        episode = Episode({"front": frames}, {"move": moves, "text": words}, SPEC, 10.0)
        write_episode(folder, episode, "none", number, index=False)
    return folder


@pytest.fixture(scope="module")
def store(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Store:
    return formats.original(data, 3, len(MOVES), tmp_path_factory.mktemp("original"))


@pytest.fixture(scope="module")
def result(store: Store, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    interop = {"date": "2026-01-02", "versions": {"lerobot": "0.4.4"}, "sets": {"a": {"same": True}}}
    return formats.measure(store, tmp_path_factory.mktemp("sets"), interop)


# --- formats --------------------------------------------------------------------------------------------------------


def test_every_format_that_is_named_has_a_row(result: dict[str, Any]) -> None:
    assert {row["format"] for row in result["rows"]} == set(FORMATS)


def test_every_set_is_recognised_and_read_as_it_was_written(result: dict[str, Any]) -> None:
    for row in result["rows"]:
        assert row["recognised"] in (True, None), row
        if row["name"] == "rlds-tfds":
            assert "not run here" in row["why"]
            continue
        assert (row["read"], row["skipped"]) == (row["expected"], {}), row
        lost = ["language"] if row["format"] == "minari" else []
        assert row["actions"]["lost"] == lost, row
        assert row["frames"] == "exactly" or row["frames"] > result["set"]["psnr_one_frame_off"] + 5, row
        assert row["rewards"] in ("exactly", None), row
        assert row["states"] in ("exactly", "an axis each", None), row
        assert (row["own_library"] is None) == (row["format"] not in ("minari", "lerobot") or not row["exported"]), row


def test_rewards_and_states_are_not_all_zero(store: Store) -> None:
    for episode in store:
        assert np.ptp(episode.rewards) > 0 or np.abs(episode.rewards).min() > 0
        assert np.ptp(episode.states["colour"], 0).min() > 0


def test_a_set_that_was_read_otherwise_is_told(store: Store) -> None:
    episode = store[0]
    other = dataclasses.replace(episode, actions={**episode.actions, "move": episode.actions["move"][::-1].copy()})
    assert formats.compared_actions([(episode, episode)]) == {"same": ["discrete", "language"], "lost": []}
    assert formats.compared_actions([(episode, other)]) == {"same": ["language"], "lost": ["discrete"]}
    assert formats.compared_actions([(episode, episode), (episode, other)])["lost"] == ["discrete"]
    late = np.roll(episode.frames["camera"], 1, 0)
    found = formats.compared_frames([(episode, dataclasses.replace(episode, frames={"camera": late}))])
    assert isinstance(found, float)
    assert found < 35
    wrong = dataclasses.replace(episode, rewards=episode.rewards + 1, states={"colour": episode.states["colour"] + 1})
    for group in ("rewards", "states"):
        assert formats.compared_outcomes(group, [(episode, episode)]) == "exactly"
        assert formats.compared_outcomes(group, [(episode, wrong)]) == "no"


def test_a_choice_may_come_back_by_its_label(store: Store) -> None:
    episode = store[0]
    spec = ActionSpec((Discrete("action", LABELS[::-1]), Language("text")))
    turned = {"action": 2 - episode.actions["move"], "text": episode.actions["text"]}
    assert formats.compared_actions([(episode, dataclasses.replace(episode, spec=spec, actions=turned))])["lost"] == []


def test_what_was_not_read_is_not_said_to_be_the_same(result: dict[str, Any]) -> None:
    row = {**result["rows"][0], "actions": {"same": [], "lost": ["discrete"]}, "rewards": "no", "recognised": False}
    own = {"library": "minari", "version": "1", "same": False}
    text = format_tables.formats_table({**result, "rows": [{**row, "own_library": own}]})
    assert "| LeRobot v3.0 | no | 3 of 3 | none (not: choice) |" in text
    assert "| **no** |" in text
    assert "**not the same** (minari 1)" in text


# --- damage ---------------------------------------------------------------------------------------------------------


def test_damage_is_decided_by_its_seed_and_is_done_to_one_file(store: Store, tmp_path: Path) -> None:
    said = []
    for copy in ("a", "b"):
        (tmp_path / copy).mkdir()
        foreign_sets.vpt(list(store), tmp_path / copy)
    before = contents(tmp_path / "a")
    for number in range(24):
        for copy in ("a", "b"):
            for name, content in before.items():
                (tmp_path / copy / name).write_bytes(content)
            said.append(fuzz_damage.damage(tmp_path / copy, np.random.default_rng(number)))
        after = contents(tmp_path / "a")
        assert after == contents(tmp_path / "b")
        changed = {name for name in before if after.get(name) != before[name]}
        assert changed <= {said[-1].split(" ")[0]}
    assert said[::2] == said[1::2]
    assert {text.partition(" ")[2] for text in said} == set(fuzz_damage.KINDS)


ODD = """
import os, time
import numpy as np
from slowfast.actions import ActionSpec, Discrete
from slowfast.datasets.ingest.recording import Recording

opened = 0

class Odd:
    spec = ActionSpec((Discrete("move", ("a", "b")),))

    def __init__(self, source, options):
        global opened
        opened += 1
        if opened == 2:
            raise KeyError("no such thing")
        if opened == 3:
            np.ones(2**33)
        if opened == 4:
            os._exit(7)

    def __len__(self):
        return 1

    def name(self, i):
        return "one"

    def facts(self):
        return {}

    def read(self, i):
        frames = lambda: iter(np.zeros((3, 8, 8, 3), np.uint8))
        return Recording("one", np.arange(3.0), {"front": frames}, {"move": np.zeros(2, int)}, self.spec)

class Slow(Odd):
    def __init__(self, source, options):
        global opened
        opened += 1
        if opened > 1:
            time.sleep(60)
"""


@pytest.fixture
def large_process() -> None:
    """What this process once held is no fault of a round, in it or in its child."""
    np.ones(fuzz.RESIDENT_MEBIBYTES * 2**20, np.uint8)


@pytest.mark.usefixtures("large_process")
@pytest.mark.parametrize(("name", "outcomes"), [("Odd", ["raised", "memory", "died"]), ("Slow", ["slow"])])
def test_what_must_not_happen_is_seen_and_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, outcomes: list[str]
) -> None:
    (tmp_path / "odd_reader.py").write_text(ODD)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "set").mkdir()
    (tmp_path / "set/file").write_bytes(b"0123456789" * 10)
    written = foreign_sets.SmallSet("odd", f"odd_reader:{name}", tmp_path / "set", [], named=True)
    done = fuzz.rounds("odd", written, fuzz.Settings(rounds=len(outcomes), seconds=5.0 if name == "Odd" else 1.0))
    assert [one.outcome for one in done] == outcomes
    assert "KeyError" in done[0].said or name == "Slow"
    found = fuzz.counted(done)
    assert found["rounds"] == len(outcomes)
    assert [fault["outcome"] for fault in found["faults"]] == outcomes
    row = {"title": "odd", "name": "odd", **found}
    text = format_tables.fuzz_table({"rows": [row], "settings": {"gibibytes": 4, "seconds": 5}})
    assert f"The last four have to be 0; they are **{len(outcomes)}**." in text


@pytest.mark.usefixtures("large_process")
def test_damaged_sets_are_read_skipped_or_refused(store: Store, tmp_path: Path) -> None:
    """A few rounds, in this process."""
    (tmp_path / "set").mkdir()
    (tmp_path / "round").mkdir()
    written = foreign_sets.webdataset(list(store), tmp_path / "set")
    place = dataclasses.replace(written, folder=tmp_path / "round/set", source=str(tmp_path / "round/set"))
    whole = sum(len(one) + 1 for one in written.expected)
    done = [fuzz.one_round("webdataset", written, place, 0, number, tmp_path / "round", whole) for number in range(12)]
    assert {one.outcome for one in done} <= {"read", "fewer", "skipped", "refused"}
    assert len({one.outcome for one in done}) > 1
    assert all(one.said for one in done)


# --- the doctor -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def rooms(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    pytest.importorskip("vizdoom")
    settings = doctor_faults.Settings(train=5, validation=2, steps=32)
    return doctor_faults.clean_set(settings, 0, tmp_path_factory.mktemp("rooms"))


@pytest.mark.parametrize("what", ["a file is cut off", "1 to 8 actions are missing", "an axis is NaN or infinite once"])
def test_planted_faults_are_found_where_they_are_and_leave_the_original_alone(
    rooms: tuple[Path, Path], tmp_path: Path, what: str
) -> None:
    (number,) = (k for k, fault in enumerate(doctor_plants.FAULTS) if fault.what == what)
    fault = doctor_plants.FAULTS[number]
    before = contents(rooms[fault.vectors])
    row = doctor_faults.planted(fault, rooms[fault.vectors], doctor_faults.Settings(each=4), number, tmp_path / "copy")
    assert (row["planted"], row["found"], row["others"]) == (4, 4, {})
    assert row["at_frame"] == row["with_frame"]
    assert contents(rooms[fault.vectors]) == before


def test_an_alarm_about_another_episode_is_no_find(rooms: tuple[Path, Path], tmp_path: Path) -> None:
    def plant(copy: doctor_copies.Copy, random: np.random.Generator) -> list[doctor_copies.Planted]:
        copy.change("train", 1, lambda one: doctor_copies.moved(one, np.where(np.arange(len(one)) == 4, -1, 0)))
        return [doctor_copies.Planted("train", "000002", 4)]

    fault = doctor_plants.Fault("missing-actions", "elsewhere", plant)
    row = doctor_faults.planted(fault, rooms[0], doctor_faults.Settings(each=1), 0, tmp_path / "copy")
    assert (row["planted"], row["found"], row["at_frame"]) == (1, 0, 0)
    assert row["others"]["missing-actions"] == 1
    result = {"rows": [row], "clean": [{"alarms": [{}]}], "settings": dataclasses.asdict(doctor_faults.Settings())}
    text = format_tables.doctor_table(result)
    assert "| `missing-actions` | elsewhere | 0 of 1 | 0 of 1 |" in text
    assert "raised **1** alarm" in text


def test_faults_are_planted_for_every_check() -> None:
    from slowfast.datasets.doctor.checks import CHECKS
    from slowfast.datasets.doctor.examine import READABLE

    assert {fault.check for fault in doctor_plants.FAULTS} == {READABLE, *(check.name for check in CHECKS)}


def contents(folder: Path) -> dict[str, bytes]:
    found = (path for path in folder.rglob("*") if path.is_file() and path.name != "index.json")
    return {os.path.relpath(path, folder): path.read_bytes() for path in found}
