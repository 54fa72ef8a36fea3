"""Text that no file can hold is an error of its recording, and not one that stops all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from clips import counting, write_clip

from slowfast.actions import ActionSpec, Discrete, Language
from slowfast.datasets.episode import DatasetError
from slowfast.datasets.ingest.pipeline import Ingestion, ingest
from slowfast.datasets.ingest.recording import Recording
from slowfast.datasets.store import Store

ZERO, HALF = "open\0door", "open\ud83dthe door"


def recording(names: tuple[str, ...] = ("text",), said: str = "go", **fields: dict[str, np.ndarray]) -> Recording:
    spec = ActionSpec(tuple(Language(name) for name in names))
    actions = {name: np.full(4, said, object) for name in names}
    return Recording("clip 7", np.arange(5.0), {"camera": lambda: iter(counting(5))}, actions, spec, **fields)


def test_a_narration_with_a_zero_byte_skips_its_clip_alone(tmp_path: Path) -> None:
    write_clip(tmp_path / "clips/P01_01.MP4", counting(31))
    rows = ["narration_id,video_id,start_timestamp,stop_timestamp,narration"]
    rows += [f"{name},P01_01,00:00:00.00,00:00:01.00,{text}" for name, text in (("a", "walk on"), ("b", ZERO))]
    (tmp_path / "clips/train.csv").write_text("\n".join(rows))
    report = ingest(Ingestion(str(tmp_path / "clips")), tmp_path / "out")
    assert list(report.skipped) == ["b"]
    assert "actions/narration says 'open\\x00door', which is no text" in report.skipped["b"]
    assert [episode.actions["narration"][0] for episode in Store(tmp_path / "out")] == ["walk on"]


@pytest.mark.parametrize("said", [ZERO, HALF])
def test_a_sentence_that_no_file_can_hold_is_refused(said: str) -> None:
    with pytest.raises(DatasetError, match=r"clip 7: actions/text says 'open.*, which is no text"):
        recording(said=said)


@pytest.mark.parametrize("name", ["a\0", "a\ud800", ".", "/"])
def test_a_name_that_no_file_can_hold_is_refused(name: str) -> None:
    for given in ({"names": (name,)}, {"states": {name: np.zeros(5)}}, {"infos": {name: np.zeros(5)}}):
        with pytest.raises(DatasetError, match="clip 7: a column is called"):
            recording(**given)


def test_an_action_within_another_is_refused() -> None:
    with pytest.raises(DatasetError, match="'arm' and 'arm/hand'"):
        recording(names=("arm", "arm/hand"))


def test_text_in_any_script_is_kept(tmp_path: Path) -> None:
    said = "Tür öffnen, 扉を開ける 🚪"
    assert recording(said=said).actions["text"][0] == said


def test_a_choice_beside_sentences_is_no_text() -> None:
    spec = ActionSpec((Discrete("move", ("left", "right")),))
    Recording("clip 7", np.arange(5.0), {"camera": lambda: iter(counting(5))}, {"move": np.zeros(4, int)}, spec)
