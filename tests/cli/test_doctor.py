"""`slowfast doctor` says what it found on the terminal, as JSON and on a page, and in its exit status."""

from __future__ import annotations

import base64
import io
import json
import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from slowfast.actions import ActionSpec, Continuous, Discrete
from slowfast.cli import main
from slowfast.datasets.episode import Episode
from slowfast.datasets.store import Store, write_episode

MOVES = ("left", "right", "stay")
SPEC = ActionSpec((Discrete("move", MOVES), Continuous("speed", (-1.0,), (1.0,), ("m/s",))))


def episode(seed: int) -> Episode:
    """A window over noise in large grains, which moves left and right."""
    random = np.random.default_rng(seed)
    world = random.integers(20, 255, (8, 400, 3), np.uint8).repeat(6, 0).repeat(6, 1)
    moves = random.integers(0, 3, 40)
    places = 1200 + np.r_[0, np.cumsum(np.array([-4, 4, 0])[moves])]
    frames = np.stack([world[:48, x : x + 64] for x in places])
    speeds = random.uniform(-1, 1, (40, 1)).astype(np.float32)
    return Episode({"camera": frames}, {"move": moves, "speed": speeds}, SPEC, fps=10.0)


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("doctor") / "clean"
    for number in range(9):
        write_episode(folder, episode(number), number=number, index=False)
    return folder


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A split with black frames (a warning) and one that repeats an episode of it (an error)."""
    pytest.importorskip("scenedetect")
    folder = tmp_path_factory.mktemp("doctor") / "faulty"
    for number in range(9):
        one = episode(number)
        if number == 4:
            one.frames["camera"][20:24] = 0
        write_episode(folder / "train", one, number=number, index=False)
    for number, seed in enumerate((50, 2)):
        write_episode(folder / "validation", episode(seed), number=number, index=False)
    return folder


def run(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, str, str]:
    status = main(["doctor", *map(str, arguments)])
    told = capsys.readouterr()
    return status, told.out, told.err


def test_a_clean_set_has_status_0_and_no_findings(clean: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capsys, clean)
    assert status == 0
    assert "9 episodes, 369 frames" in out
    assert "at offset 0" in out
    assert out.endswith("0 errors, 0 warnings, 0 notes\n")


def test_errors_have_status_1_and_findings_say_where_and_what_to_do(
    faulty: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, _ = run(capsys, faulty)
    assert status == 1
    assert "error    copies: validation, episode 000001, frame 0" in out
    assert "warning  flat-frames: train, episode 000004, frame 20 (2.00 s), camera" in out
    assert "fix: cut them off, or leave the episode out" in out
    assert "1 error, 3 warnings" in out  # to black and back are cuts


def test_json_is_all_there_is_and_holds_every_finding(faulty: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capsys, faulty, "--json")
    told = json.loads(out)
    assert status == 1
    assert told["counts"]["error"] == 1
    assert [(f["check"], f["split"], f["episode"], f["frame"]) for f in told["findings"]][:2] == [
        ("copies", "validation", "000001", 0),
        ("flat-frames", "train", "000004", 20),
    ]
    assert told["splits"]["train"]["measured"]["action-balance"]["move"]["steps"] == 360


def test_a_long_list_is_cut_short_and_says_so(clean: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(9):
        one = Store(clean)[number]
        one.frames["camera"][20:24] = 0
        write_episode(tmp_path / "black", one, number=number, index=False)
    status, out, _ = run(capsys, tmp_path / "black")
    assert status == 0
    assert out.count("warning  flat-frames") == 5
    assert "and 4 more of these in this data set" in out


class Page(HTMLParser):
    """What a page shows; fails where tags do not close in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.images: list[str] = []
        self.text, self.open = "", []  # type: tuple[str, list[str]]
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.images += [str(value) for name, value in attributes if name == "src"]
        if tag not in ("img", "meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.text += data


def test_the_page_shows_the_findings_with_their_frames_and_needs_nothing_else(
    faulty: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("jinja2")
    status, out, _ = run(capsys, faulty, "--html", tmp_path / "doctor.html")
    assert status == 1
    assert f"page        {tmp_path / 'doctor.html'}" in out
    source = (tmp_path / "doctor.html").read_text(encoding="utf-8")
    bare = re.sub(r"base64,[\w+/=]+", "", source)
    assert not re.search(r"https?:|url\(|@import|<script|<link", bare)
    page = Page(source)
    assert all(image.startswith("data:image/png;base64,") for image in page.images)
    pictures = [np.asarray(Image.open(io.BytesIO(base64.b64decode(i.partition(",")[2])))) for i in page.images]
    black = "".join("x" if picture.max() == 0 else "." for picture in pictures)
    assert black[:8] == "..." + "..xxx"  # the leak is in frame 0; the black frames have two frames before them
    assert black[8:] == "..xxx" + "xx..."  # the cuts to black and back
    copied = episode(2).frames["camera"][0]
    np.testing.assert_array_equal(pictures[0][::2, ::2], copied)
    for told in ("frames 0 to 40 are those from 0 on of episode 000002 of train", "4 of 41 frames are black"):
        assert told in page.text
    assert f"22 {MOVES[int(episode(4).actions['move'][21])]}" in page.text  # a picture's caption: the action before it
    assert "speed: m/s" in page.text
    counts = np.bincount(np.concatenate([episode(k).actions["move"] for k in range(9)]))
    assert re.search(rf"left\s*{counts[0]}\s*right\s*{counts[1]}\s*stay\s*{counts[2]}", page.text)


def test_what_data_say_is_text_on_the_page(clean: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("jinja2")
    for number in range(2):
        one = Store(clean)[number]
        told = Episode(one.frames, one.actions, SPEC, one.fps, metadata={"instruction": "<script>alert(1)</script>"})
        write_episode(tmp_path / "data", told, number=number, index=False)
    run(capsys, tmp_path / "data", "--html", tmp_path / "doctor.html")
    source = (tmp_path / "doctor.html").read_text(encoding="utf-8")
    assert "<script" not in source
    assert "&lt;script&gt;" in source


def test_a_copy_is_cut_at_cuts(clean: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("scenedetect")
    one, other = Store(clean)[0], Store(clean)[1]
    bright = (other.frames["camera"] // 8 + 220).astype(np.uint8)
    frames = np.concatenate([one.frames["camera"][:25] // 2, bright[25:]])
    write_episode(tmp_path / "data", Episode({"camera": frames}, one.actions, SPEC, one.fps))
    status, out, _ = run(capsys, tmp_path / "data", "--split-cuts", tmp_path / "cut", "--json")
    assert status == 0
    told: dict[str, Any] = json.loads(out)["split_cuts"]
    assert (told["episodes"], told["parts"]) == (2, 2)
    assert Store(tmp_path / "cut").lengths.tolist() == [24, 15]


def test_a_source_is_examined_without_being_ingested(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from slowfast.video import VideoWriter

    source = tmp_path / "clips"
    source.mkdir()
    for number in range(9):
        one = episode(number)
        with VideoWriter(source / f"clip{number}.mp4", 10.0, 1, 18) as video:
            video.write(one.frames["camera"])
        moves = [MOVES[move] for move in one.actions["move"]]
        (source / f"clip{number}.csv").write_text("\n".join(["action", *moves]) + "\n")
    broken = source / "clip3.mp4"
    broken.write_bytes(broken.read_bytes()[:900])
    before = sorted(tmp_path.rglob("*"))
    status, out, _ = run(capsys, source, "--json")
    told = json.loads(out)
    assert status == 1
    assert told["format"] == "videos"
    (error,) = [finding for finding in told["findings"] if finding["severity"] == "error"]
    assert error["check"] == "readable"
    assert "clip3" in error["episode"]
    assert told["splits"][""]["episodes"] == 9
    assert told["splits"][""]["measured"]["alignment"]["offset"] == 0
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--limit", "0"], "limit has to be at least 1"),
        (["--policy.fps", "5"], "options and policy are for what is to be ingested"),
        (["--options.action", "move"], "options and policy are for what is to be ingested"),
    ],
)
def test_options_that_nothing_is_done_with_are_refused(
    clean: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    status, _, error = run(capsys, clean, *arguments)
    assert status == 2
    assert said in error


def test_nothing_is_no_data_set(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, _, error = run(capsys, tmp_path / "nowhere")
    assert status == 2
    assert "no such file or folder" in error


def test_a_missing_package_names_its_extra_before_anything_is_read(
    clean: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    gone = ("jinja2", "scenedetect")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name in gone else sys.modules.get(name))
    for option in ("--html", "--split-cuts"):
        status, _, error = run(capsys, clean, option, tmp_path / "out")
        assert status == 2
        assert "slowfast[eval]" in error
        assert not (tmp_path / "out").exists()
