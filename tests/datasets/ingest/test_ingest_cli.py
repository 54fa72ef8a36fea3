from __future__ import annotations

import json
from pathlib import Path

import pytest
from clips import counting, cut_off, write_clip

from slowfast.cli._main import main
from slowfast.cli.ingest import SHOWN, formats_text, report_text
from slowfast.datasets.ingest.formats import FORMATS
from slowfast.datasets.ingest.pipeline import Report
from slowfast.datasets.store import Store


@pytest.fixture
def source(tmp_path: Path) -> Path:
    for k in range(3):
        write_clip(tmp_path / f"clips/{k}.mp4", counting(21, size=48), 20)
        (tmp_path / f"clips/{k}.csv").write_text("action,note\n" + "".join(f"{t % 2},x\n" for t in range(20)))
    return tmp_path / "clips"


def test_a_folder_of_clips_is_ingested_from_the_command_line(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cut_off(source / "1.mp4")
    out = tmp_path / "out"
    command = ["ingest", str(source), "--out", str(out), "--policy.fps", "10", "--policy.size", "32", "24"]
    command += ["--options.labels", "stay", "go", "--licence", "CC0-1.0", "--instruction", "walk"]
    assert main(command) == 0
    said = capsys.readouterr().out
    assert "format      videos" in said
    assert "left out    columns note" in said
    assert "actions     action (discrete); text (language)" in said
    assert "recordings  3, 1 of them skipped" in said
    assert "episodes    2, 22 frames, 0.0 minutes" in said
    assert "1.mp4: " in said.partition("skipped     ")[2]
    store = Store(out)
    assert store.shape(0) == (32, 24, 3)
    assert store.fps(0) == 10
    assert set(store.actions(0)["text"]) == {"go"}  # of two equally common ones the last
    assert store.metadata(0) | {"licence": "CC0-1.0", "instruction": "walk", "source": str(source)} == store.metadata(0)
    assert main(command) == 0
    assert main([*command, "--strict"]) == 2
    assert "error:" in capsys.readouterr().err


def test_all_formats_are_listed_with_what_they_need(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ingest", "--list"]) == 0
    said = capsys.readouterr().out
    assert said.strip() == formats_text()
    for name, entry in FORMATS.items():
        assert f"\n{name} " in f"\n{said}"
        assert entry.about in said
        assert not entry.extra or f"needs slowfast[{entry.extra}]" in said


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "ingest needs a SOURCE and --out DIR"),
        (["SOURCE"], "ingest needs a SOURCE and --out DIR"),
        (["SOURCE", "--out", "OUT", "--workers", "0"], "workers and limit have to be at least 1"),
        (["SOURCE", "--out", "OUT", "--format", "vhs"], "format 'vhs' is not known; there are "),
        (
            ["SOURCE", "--out", "OUT", "--options.mapping", "a.yaml"],
            "format 'videos' reads no mapping; it reads action",
        ),
        (["SOURCE/none", "--out", "OUT"], "no such file or folder; to read from a hub, name the format"),
        (["EMPTY", "--out", "OUT"], "looks like none of "),
        (["SOURCE", "--out", "OUT", "--policy.fps", "-1"], "fps has to be above 0"),
        (["SOURCE", "--out", "OUT", "--policy.fps", "60"], "has 20 frames a second, 60 would only repeat them"),
    ],
)
def test_mistakes_are_one_line_and_status_2(
    source: Path, tmp_path: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    places = {"SOURCE": str(source), "OUT": str(tmp_path / "out"), "EMPTY": str(tmp_path / "empty")}
    for word, place in places.items():
        arguments = [argument.replace(word, place) for argument in arguments]
    assert main(["ingest", *arguments]) == 2
    said = capsys.readouterr()
    assert message in " ".join((said.out + said.err).replace("│", " ").split())
    assert not (tmp_path / "out/episodes").exists()


def test_of_many_skipped_recordings_the_first_are_shown(tmp_path: Path) -> None:
    spec = json.dumps({"components": [{"kind": "language", "name": "text"}]})
    skipped = {f"{k}.mp4": f"{k}.mp4: damaged" for k in range(SHOWN + 5)}
    said = report_text(Report("videos", 100, 75, 10, 1.0, skipped, {}, spec), tmp_path)
    assert said.count("damaged") == SHOWN
    assert f"skipped     5 more; {tmp_path / 'ingest.json'} names all" in said
