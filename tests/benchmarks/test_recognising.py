"""What is asked after a tour that came round once, and after one that came round a context further."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import memory_tables
import numpy as np
import pytest
import recognising
import torch
from recognising import RULES, Settings

from slowfast.evaluation.revisit import dreamed_errors
from slowfast.world_model import WorldModel

ADAPTER = "an adapter that learns"


@pytest.fixture
def settings(small_world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setitem(RULES, ADAPTER, {"steps": 2})
    out = tmp_path / "recognising.json"
    return Settings(str(small_world), worlds=2, rules=(ADAPTER,), threads=1, out=out)


def test_both_ways_are_asked_and_what_is_known_is_not_measured_again(settings: Settings) -> None:
    recognising.main(settings)
    result = json.loads(settings.out.read_text())
    (row,) = result["rows"]
    assert row["once"]["off"] != row["again"]["off"]
    for way in ("once", "again"):
        assert all(row[way][part]["low"] <= row[way][part]["value"] for part in ("first", "own", "other"))
    assert f"| {ADAPTER} |" in memory_tables.recognising_table(result)
    written = settings.out.stat().st_mtime_ns
    recognising.main(settings)
    assert settings.out.stat().st_mtime_ns == written
    recognising.main(replace(settings, seed=1))
    assert json.loads(settings.out.read_text())["rows"][0]["once"] != row["once"]


def test_frames_are_asked_for_where_they_follow(small_world: Path) -> None:
    """A dream of n frames from the true frames before them is compared with those n, not with others."""
    world = WorldModel.from_pretrained(small_world)
    latents = torch.randn(2, 12, *world.latent_shape, generator=torch.Generator().manual_seed(0))
    actions = world.slow.null_actions(2, 12)
    errors = dreamed_errors(world, None, latents, actions, 8, 3, seed=0)
    other = latents.clone()
    other[:, 11] += 1.0  # after what is asked for
    assert errors.shape == (2, 3)
    np.testing.assert_array_equal(dreamed_errors(world, None, other, actions, 8, 3, seed=0), errors)
    other[:, 8] += 1.0
    assert (dreamed_errors(world, None, other, actions, 8, 3, seed=0)[:, 0] != errors[:, 0]).all()
