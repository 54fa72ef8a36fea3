from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from slowfast.cli import main
from slowfast.datasets.contact_sheet import action_labels, contact_sheet
from slowfast.datasets.store import Store


def test_inspect_says_what_the_episodes_hold(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(store.folder), "--json"]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert (summary["episodes"], summary["actions"], summary["frames"]) == (5, 110, 115)
    assert summary["length"] == {"smallest": 7, "mean": 22.0, "largest": 40}
    assert summary["seconds"] == pytest.approx(110 / 12.5)
    assert summary["cameras"] == {"front": [12, 20], "wrist": [16, 8]}
    moves = np.concatenate([store.actions(i)["move"] for i in range(5)])
    move, text = summary["components"]["move"], summary["components"]["text"]
    assert move["counts"] == {label: int((moves == k).sum()) for k, label in enumerate(("left", "right", "stay"))}
    assert move["null"] == text["null"] == int((moves == -1).sum())
    assert text["counts"]["right ü"] == move["counts"]["right"]
    assert sum(summary["components"]["turn"]["counts"]["degrees"]["counts"]) == 110
    assert summary["metadata"]["licence"] == {"CC0-1.0": 5}
    assert "seed" not in summary["metadata"]
    with Image.open(summary["contact_sheet"]) as sheet:
        assert Path(summary["contact_sheet"]) == store.folder / "contact_sheet.png"
        assert sheet.format == "PNG"


def test_inspect_prints_a_histogram_for_people(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(store.folder), "--sheet", str(store.folder / "sheets" / "a.png")]) == 0
    printed = capsys.readouterr().out
    assert "front 12x20" in printed
    assert "stay" in printed
    assert (store.folder / "sheets" / "a.png").exists()


def test_the_contact_sheet_shows_first_frames_and_an_episode(store: Store) -> None:
    sheet = np.asarray(contact_sheet(store, episode=1))
    front = store.frames(1, 0, 10)
    shown = {tuple(pixel) for pixel in sheet.reshape(-1, 3)}
    assert {tuple(pixel) for pixel in front.reshape(-1, 3)} <= shown  # enlarged without mixing pixels
    assert {tuple(store.frames(i, 0, 1)[0, 0, 0]) for i in range(5)} <= shown


def test_captions_name_the_action(store: Store) -> None:
    captions = action_labels(store.spec, store.actions(0))
    assert len(captions) == 40
    columns = store.actions(0)
    for caption, move, turn in zip(captions, columns["move"], columns["turn"], strict=True):
        assert f"{turn[0]:.3g}" in caption
        assert move == -1 or ("left", "right", "stay")[move] in caption


def test_inspect_refuses_an_episode_that_is_not_there(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(store.folder), "--episode", "5"]) == 2
    assert "episodes 0..4" in capsys.readouterr().err
