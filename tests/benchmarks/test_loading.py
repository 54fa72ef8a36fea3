"""The loading benchmark reads the same windows from every format, and says what it compares them with."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import loading
import numpy as np
import pytest
from loading_sources import LeRobotVideos, MinariEpisodes

from slowfast.actions import ActionSpec, Discrete
from slowfast.datasets.episode import Episode
from slowfast.datasets.export.pipeline import export
from slowfast.datasets.store import Store, write_episode

SPEC = ActionSpec((Discrete("move", ("left", "right")),))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three episodes; the shade of frame t of episode i says both."""
    folder = tmp_path_factory.mktemp("data")
    for number in range(3):
        shades = 60 + 40 * number + 2 * np.arange(20 + number)
        frames = np.broadcast_to(shades[:, None, None, None], (len(shades), 64, 64, 3)).astype(np.uint8)
        actions = SPEC.columns(np.arange(len(shades) - 1) % 2)
        episode = Episode({"camera": frames}, actions, SPEC, 10.0)
        write_episode(folder, episode, "none", number, index=False)
    return folder


@pytest.fixture(scope="module")
def result(data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    arguments = argparse.Namespace(
        data=data, sides=[], episodes=5, batch_size=3, window=8, batches=2, seconds=1.0, step_seconds=0.5
    )
    return loading.measure(arguments, tmp_path_factory.mktemp("scratch"))


def test_every_row_has_its_figures_beside_the_yardstick(result: dict[str, Any]) -> None:
    (part,) = result["sizes"]
    assert (part["frame"], part["files"], part["distinct_episodes"]) == ([64, 64, 3], 5, 3)
    names = [row["name"] for row in part["rows"]]
    assert names[:4] == ["ours, none", "ours, lzf", "ours, gzip", "ours, mp4"]
    assert {loading.YARDSTICK, "Minari, hdf5", "Minari, arrow", "LeRobot v3.0", "ours, latents"} <= set(names)
    for row in part["rows"]:
        assert min(row[name] for name in ("clips_per_second", "clips_per_processor_second", "times_mp4")) > 0
        assert row["mebibytes_an_episode"] > 0
    assert next(row for row in part["rows"] if row["name"] == loading.YARDSTICK)["times_mp4"] == 1
    assert result["clips_per_second_needed"] == 6


def test_the_same_windows_come_from_every_format(result: dict[str, Any]) -> None:
    """Of flat pictures H.264 keeps nearly everything; another window would be another shade."""
    for row in result["sizes"][0]["rows"]:
        lossless = row["name"].startswith("Minari") or row["name"] in ("ours, none", "ours, lzf", "ours, gzip")
        if row["name"] != "ours, latents":
            assert row["psnr"] is None if lossless else row["psnr"] > 40, row


def test_other_formats_windows_lie_where_ours_do(data: Path, tmp_path: Path) -> None:
    store = Store(data)
    export(data, "minari", tmp_path / "minari-v0")
    export(data, "lerobot", tmp_path / "lerobot")
    for source in (MinariEpisodes(store, tmp_path / "minari-v0"), LeRobotVideos(store, tmp_path / "lerobot", 10.0)):
        for i, start in ((0, 0), (1, 7), (2, 14)):
            difference = source.read(i, start, start + 8).astype(int) - store.read(i, start, start + 8)
            assert np.abs(difference).max() <= 1


def test_the_table_says_whether_the_bar_is_met(result: dict[str, Any]) -> None:
    text = loading.as_table(result)
    assert "| 64x64, 5 episodes | clips/s | a processor second | × mp4 | × needed | MiB an episode | dB |" in text
    rows = [dict(row) for row in result["sizes"][0]["rows"]]
    part = {**result["sizes"][0], "rows": rows}
    for row in rows:
        row["times_mp4"] = {"ours, none": 31.4, "ours, latents": 99.0}.get(row["name"], 1.0)
    assert "64x64: met (ours, none, the default there: 31)." in loading.as_table({**result, "sizes": [part]})
    rows[0]["times_mp4"] = 4.2
    assert "64x64: missed (ours, none, the default there: 4)." in loading.as_table({**result, "sizes": [part]})
