"""Recall by sampling: a row a way and kind, found again by the table of speeds."""

from __future__ import annotations

import json
from pathlib import Path

import env_steps
import memory_tables
import recall_by_sampling
from recall_by_sampling import Settings

from slowfast.world_model import WorldModel


def test_every_way_is_measured_and_found_beside_its_speed(small_world: Path, tmp_path: Path) -> None:
    world = WorldModel.from_pretrained(small_world)
    own = world.slow.config.steps
    out = tmp_path / "sampling.json"
    settings = Settings(str(small_world), worlds=2, steps=(own, own + 1), memories=("temp_lora",), threads=1, out=out)
    recall_by_sampling.main(settings)
    result = json.loads(settings.out.read_text())
    assert [(row["sampling_steps"], row["default"]) for row in result["rows"]] == [(own, True), (own + 1, False)]
    assert f"| temp lora | **{own}** |" in memory_tables.sampling_table(result)

    change = -result["rows"][0]["effects"]["memory"]["value"]
    fast = {"memory": "temp_lora", "sampling_steps": own, "keep_prefix": False}
    assert env_steps.recall_of(world, fast, settings.out) == {"recall_change": change}
    assert env_steps.recall_of(world, fast | {"memory": "off"}, settings.out) == {}
    assert env_steps.recall_of(world, fast | {"sampling_steps": own + 2}, settings.out) == {}
