"""Settings are compared by what their memories change; where it is asked, of the way back as well."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import memory_tables
import memory_tuning
import pytest
from memory_tuning import BACK, QUESTIONS, USUAL, Settings

from slowfast.fast import MemoryRule, memory_rule
from slowfast.world_model import WorldModel


@pytest.fixture
def settings(small_world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    answers = {"adapter": {"steps": 1}, "no replay": {"steps": 1, "replay": 0}, "pictures": {"name": "associative"}}
    monkeypatch.setitem(QUESTIONS, "loss", answers)
    return Settings(str(small_world), worlds=2, questions=("loss",), back=True, threads=1, out=tmp_path / "tuning.json")


def test_every_question_is_asked_somewhere() -> None:
    assert {*USUAL, *BACK} == set(QUESTIONS)


def test_a_row_says_what_is_seen_by_turning_on_and_back(settings: Settings) -> None:
    memory_tuning.main(settings)
    result = json.loads(settings.out.read_text())
    assert [row["answer"] for row in result["rows"]] == ["adapter", "no replay"]  # this world ships no keys
    for row in result["rows"]:
        assert {"own", "other", "back_in", "back_beyond"} <= row.keys()
        assert all(row[name]["low"] <= row[name]["value"] <= row[name]["high"] for name in ("own", "back_beyond"))
    table = memory_tables.tuning_table(result)
    assert "turning back, beyond it" in table
    assert "turning back" not in memory_tables.tuning_table({**result, "back": False})
    written = settings.out.stat().st_mtime_ns
    memory_tuning.main(settings)  # all is known
    assert settings.out.stat().st_mtime_ns == written
    memory_tuning.main(replace(settings, chunk=1))  # another measure: begins anew
    assert json.loads(settings.out.read_text())["rows"][0]["back_in"] != result["rows"][0]["back_in"]


def test_a_rule_is_of_the_world_or_has_a_name_of_its_own(small_world: Path) -> None:
    world = WorldModel.from_pretrained(small_world)
    own = MemoryRule("episodic", steps=3)
    assert memory_tuning.varied(world, own, {"rank": 4}) == replace(own, rank=4)
    whole = memory_tuning.varied(world, own, {"name": "associative, whole"})
    assert whole == replace(memory_rule("associative"), name="associative, whole")
