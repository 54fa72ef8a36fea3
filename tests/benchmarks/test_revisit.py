"""The revisit benchmark: what it dreams was seen before, and what it leaves for the README."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import revisit
import tables
from PIL import Image
from revisit import Settings

from slowfast.world_model import WorldModel


def test_the_second_turn_shows_the_first_one_again(small_world: Path) -> None:
    tours, stages = revisit.walk(WorldModel.from_pretrained(small_world), Settings(worlds=2))
    assert tours.frames.shape[:2] == (2, 33)
    assert np.array_equal(tours.frames[:, :17], tours.frames[:, 16:])
    assert [stage.name for stage in stages] == ["look around"]


def test_it_leaves_figures_with_their_ceiling_and_a_picture(small_world: Path, tmp_path: Path) -> None:
    settings = Settings(
        str(small_world), worlds=2, pictured=2, threads=1, out=tmp_path / "r.json", picture=tmp_path / "r.png"
    )
    revisit.main(settings)
    result = json.loads(settings.out.read_text())
    table = tables.revisit_table(result)
    assert set(result["recall"]["arms"]) == {"off", "on", "other", "repeat", "codec"}
    assert f"| {result['recall']['arms']['codec']['psnr']:.2f} |" in table
    assert "Rule `paper`: 1 steps a chunk, rank 32" in table
    assert Image.open(settings.picture).size[0] > 8 * 32
