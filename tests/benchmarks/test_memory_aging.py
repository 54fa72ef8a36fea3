"""How long an adapter remembers: each arm at each age, and what was measured before is not measured again."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import memory_aging
import memory_tables
import pytest
from memory_aging import Settings

OWN = "its own rule"


@pytest.fixture
def settings(small_world: Path, tmp_path: Path) -> Settings:
    out = tmp_path / "aging.json"
    return Settings(str(small_world), worlds=2, ages=(0, 8), room=1, ways=(OWN,), threads=1, out=out)


def test_views_are_asked_for_at_every_age(settings: Settings) -> None:
    memory_aging.main(settings)
    result = json.loads(settings.out.read_text())
    (row,) = result["rows"]
    assert [age["frames"] for age in row["ages"]] == [0, 8]
    assert row["ages"][0]["off"] == row["ages"][1]["off"] > 0  # without a memory nothing has changed meanwhile
    assert row["updates"] == (result["turn"] + 8) // 4
    assert f"| {OWN} |" in memory_tables.aging_table(result)


def test_it_goes_on_where_it_was_interrupted(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    memory_aging.main(settings)
    measured = []
    monkeypatch.setattr(memory_aging, "aged", lambda world, rule, *_: measured.append(rule) or {"ages": []})
    monkeypatch.setattr(memory_aging, "aging_table", lambda _: "")
    memory_aging.main(replace(settings, ways=(OWN, "no decay", "the last layer in closed form")))
    assert [(rule.name, rule.weight_decay) for rule in measured][-1] == ("readout", 0.0)
    assert len(measured) == 2
    assert json.loads(settings.out.read_text())["rows"][0]["way"] == OWN
