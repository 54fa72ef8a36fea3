"""The benchmark's figures are those of ``slowfast.evaluation``, with intervals over worlds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import world_quality
from world_quality import Figure, Settings

from slowfast.datasets.windows import WindowLoader, WindowShape
from slowfast.evaluation.one_chunk import TrueWindows, action_effect, one_chunk_errors, route
from slowfast.training.codec_task import psnr
from slowfast.world_model import WorldModel


@pytest.fixture(scope="module")
def settings(small_world: Path, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    folder = tmp_path_factory.mktemp("quality")
    sizes = {"worlds": 3, "windows": 12, "steps": 12, "repeats": 2, "resamples": 50, "threads": 1}
    return Settings(
        str(small_world), ("validation", "held_out"), clips=folder / "clips", out=folder / "quality.json", **sizes
    )


@pytest.fixture(scope="module")
def result(settings: Settings) -> dict[str, Any]:
    world_quality.main(settings)
    return json.loads(settings.out.read_text())


def test_figures_are_those_of_the_evaluation(settings: Settings, result: dict[str, Any]) -> None:
    world = WorldModel.from_pretrained(settings.world)
    store = world_quality.clips(world, "validation", settings.clips / "validation", settings)
    raw = WindowLoader(store, [WindowShape(4, 4)], settings.windows, settings.seed + 1)[0]
    truth = TrueWindows(raw["frames"], raw["actions"], 4)
    figures = {name: cell["value"] for name, cell in result["splits"]["validation"]["figures"].items()}
    plain, spoken = (route(world.action_spec, truth, text=text) for text in (False, True))
    errors = one_chunk_errors(world, plain, settings.seed)
    effects = [action_effect(world, told, world_quality.SWAP, settings.seed) for told in (plain, spoken)]
    for name in ("first_frame_ratio", "chunk_ratio", "first_frame_psnr", "chunk_psnr", "repeat_psnr"):
        assert figures[name] == pytest.approx(getattr(errors, name), rel=1e-6), name
    everything = np.concatenate([store.frames(i) for i in range(len(store))])[None]
    assert figures["codec_psnr"] == pytest.approx(psnr(everything, world.decode(world.encode(everything))), rel=1e-5)
    assert result["splits"]["validation"]["frames"] == everything.shape[1] == 3 * 13
    for prefix, effect in zip(("", "text_"), effects, strict=True):
        for name in ("action_sensitivity", "shuffled_actions"):
            assert figures[f"{prefix}{name}"] == pytest.approx(getattr(effect, name), abs=1e-4), name


def test_every_split_is_its_own_worlds(result: dict[str, Any]) -> None:
    assert result["splits"]["validation"]["seeds"] == [1_000_000, 1_000_002]
    assert result["splits"]["held_out"]["seeds"] == [3_000_000, 3_000_002]
    own, stock = result["denoiser"]["own"], result["denoiser"]["stock"]
    assert own["median"] >= own["quietest"] > 0
    assert stock["median"] >= stock["quietest"] > 0
    assert result["step"]["milliseconds"] > own["quietest"] / 2


def test_an_interval_holds_the_value_and_shrinks_with_more_worlds() -> None:
    random = np.random.default_rng(0)
    widths = []
    for count in (8, 800):
        worlds = np.repeat(np.arange(count), 5)
        figure = Figure(random.uniform(0, 1, len(worlds)), np.ones(len(worlds)))
        low, high = figure.interval(worlds, 500, random)
        assert low < figure.value() < high
        widths.append(high - low)
    assert widths[1] < widths[0] / 5


def test_an_interval_takes_whole_worlds() -> None:
    worlds = np.repeat([0, 1], 1000)
    figure = Figure(worlds.astype(float), np.ones(2000))
    assert figure.interval(worlds, 500, np.random.default_rng(0)) == (0.0, 1.0)
