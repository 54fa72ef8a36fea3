"""`slowfast demo` from end to end on a tiny world: page, file and terminal agree, and the page needs nothing else."""

from __future__ import annotations

import base64
import json
import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from slowfast.cli import main
from slowfast.config import load

pytest.importorskip("jinja2")
pytest.importorskip("matplotlib")


class Page(HTMLParser):
    """Text, addresses and table rows of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.rows: list[list[str]] = []
        self.text, self.open, self.source = "", [], path.read_text(encoding="utf-8")
        self.feed(self.source)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.addresses += [str(value) for name, value in attributes if name in ("src", "href", "poster", "srcset")]
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")
        if tag not in ("img", "meta", "br", "path", "use"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        while self.open and self.open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if "style" in self.open or "svg" in self.open:
            return
        self.text += data
        if self.open and self.open[-1] in ("td", "th"):
            self.rows[-1][-1] += data


@pytest.fixture(scope="module")
def demo(rooms_world_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder that the demo wrote, and what it said."""
    out = tmp_path_factory.mktemp("demo") / "out"
    arguments = ["--worlds", "2", "--walk", "0", "--return-worlds", "1", "--return-turns", "4", "--seed", "3"]
    with pytest.MonkeyPatch.context() as patch:
        said: list[str] = []
        patch.setattr("builtins.print", lambda *parts, **_: said.append(" ".join(map(str, parts))))
        assert main(["demo", "--world", str(rooms_world_folder), "--out", str(out), *arguments]) == 0
    return out, "\n".join(said)


@pytest.fixture(scope="module")
def metrics(demo: tuple[Path, str]) -> dict[str, Any]:
    return json.loads((demo[0] / "metrics.json").read_text())  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def page(demo: tuple[Path, str]) -> Page:
    return Page(demo[0] / "index.html")


def test_the_folder_holds_the_page_the_figures_and_the_config(demo: tuple[Path, str]) -> None:
    from slowfast.cli.demo import Demo

    assert sorted(path.name for path in demo[0].iterdir()) == ["config.yaml", "index.html", "metrics.json"]
    config = load(Demo, demo[0] / "config.yaml")
    assert (config.worlds, config.walk, config.seed) == (2, 0, 3)


def test_figures_are_those_of_a_measurement_with_the_same_seed(
    metrics: dict[str, Any], rooms_world_folder: Path
) -> None:
    from slowfast.envs.doom_rooms.splits import world_seeds
    from slowfast.evaluation.revisit import RevisitConfig, measure_recall
    from slowfast.evaluation.tours import lap, record, rooms
    from slowfast.world_model import WorldModel

    world = WorldModel.from_pretrained(rooms_world_folder)
    moves, stages = lap(22.5, 0)
    env = rooms("slowfast/DoomRooms-v0", (32, 32), world.action_spec, {"textures": "train"})
    tours = record(env, world_seeds("test", 40), 2, moves * 2, 0)
    env.close()
    _, frames = measure_recall(world, tours, len(moves), stages, RevisitConfig(seed=3))
    written = metrics["recall"]
    assert metrics["environment"]["recall_seeds"] == list(tours.seeds)
    assert metrics["world"]["base_hash"] == world.base_hash
    for arm in ("on", "off", "other", "codec", "repeat"):
        errors = np.square(frames[arm].astype(np.float64) - frames["truth"]).mean((2, 3, 4))
        assert written["arms"][arm]["pixel_worlds"] == pytest.approx(errors.mean(1), rel=1e-3)
        assert written["arms"][arm]["psnr"] == pytest.approx(10 * np.log10(255**2 / errors.mean()), rel=1e-3)
    assert (written["worlds"], written["seen"], written["dreamed"]) == (2, 16, 16)


def test_the_terminal_and_the_page_show_the_figures_of_the_file(
    demo: tuple[Path, str], metrics: dict[str, Any], page: Page
) -> None:
    from slowfast.evaluation.verdicts import ARM_NAMES, headline, recall_verdicts, return_verdicts

    for arm, name in ARM_NAMES.items():
        errors = metrics["recall"]["arms"][arm]
        latent = [] if errors["latent"] is None else [f"{errors['latent']:.3f}"]
        figures = [*latent, f"{errors['pixel']:.0f}", f"{errors['psnr']:.2f}"]
        line = next(line for line in demo[1].splitlines() if line.startswith(name + " "))
        assert line.removeprefix(name).split()[: len(figures)] == figures
        row = next(row for row in page.rows if row[0] == name)
        assert [cell for cell in row[1:4] if cell] == figures
    shown = " ".join(page.text.split())
    assert headline(metrics["recall"]) in shown
    for sentence in [*recall_verdicts(metrics["recall"]), *return_verdicts(metrics["return"])]:
        assert sentence in shown
        assert sentence in demo[1]
    assert metrics["world"]["base_hash"] in shown


def test_the_page_refers_to_nothing_outside_itself(page: Page) -> None:
    assert not re.search(
        r"https?:|//[a-z]|url\((?!#)|@import|<script|<link", re.sub(r"base64,[\w+/=]+", "", page.source)
    )
    assert page.addresses
    assert all(address.startswith("data:") for address in page.addresses)


def test_the_films_are_videos_that_browsers_play(page: Page, tmp_path: Path) -> None:
    import av

    films = [address for address in page.addresses if address.startswith("data:video/mp4")]
    assert len(films) == 2
    path = tmp_path / "film.mp4"
    path.write_bytes(base64.b64decode(films[0].partition(",")[2]))
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
        assert sum(1 for _ in container.decode(video=0)) == 16
        assert stream.width == 2 * (4 * 32 + 3 * 2)


def test_a_missing_package_names_its_extra_before_anything_runs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "jinja2" else sys.modules.get(name))
    assert main(["demo", "--world", "no such world", "--out", str(tmp_path / "out")]) == 2
    assert 'jinja2 missing: a report needs `pip install "slowfast[eval]"`' in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_settings_that_measure_nothing_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--worlds", "1"]) == 2
    assert "worlds has to be at least 2" in capsys.readouterr().err
