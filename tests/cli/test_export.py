"""`slowfast export` says what it wrote and how to load it, and turns what does not fit into one line and status 2."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from slowfast.actions import ActionSpec, Discrete
from slowfast.cli import main
from slowfast.datasets.episode import Episode
from slowfast.datasets.store import write_episode

SPEC = ActionSpec((Discrete("move", ("left", "right")),))


@pytest.fixture
def source(tmp_path: Path) -> Path:
    frames = np.full((6, 16, 24, 3), 90, np.uint8)
    for number in range(3):
        episode = Episode(
            {"front": frames}, SPEC.columns([0, 1, 1, 0, 1]), SPEC, 10.0, infos={"pose": np.zeros((6, 2))}
        )
        write_episode(tmp_path / "source", episode, number=number, index=False)
    return tmp_path / "source"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("lerobot", 'LeRobotDataset("local/rooms-v0", root='),
        ("minari", 'minari.load_dataset("rooms-v0") loads it'),
        ("videos", "left out    infos/pose has no column"),
    ],
)
def test_it_says_what_was_written_and_how_to_load_it(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, said: str
) -> None:
    out = tmp_path / name / "rooms-v0"
    assert main(["export", str(source), "--to", name, "--out", str(out), "--limit", "2"]) == 0
    captured = capsys.readouterr()
    assert "episodes    2, 12 frames" in captured.out
    assert said in captured.out
    assert "2/2" in captured.err
    assert out.is_dir()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--to", "minari"], "Minari finds a data set by its folder's name"),
        (["--to", "videos", "--cameras", "rear"], "no camera 'rear'; there are front"),
        (["--to", "videos", "--options.back-end", "arrow"], "format 'videos' reads no back_end"),
        (["--to", "lerobot", "--limit", "0"], "limit has to be at least 1"),
        (["--to", "zarr"], "lerobot"),
    ],
)
def test_a_mistake_is_status_two_and_nothing_is_written(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    out = tmp_path / "exported"
    assert main(["export", str(source), "--out", str(out), *arguments]) == 2
    assert message in capsys.readouterr().err
    assert not out.exists()


def test_what_is_there_already_is_kept(source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", str(source), "--to", "videos", "--out", str(source)]) == 2
    assert "is there already and not an empty folder; choose another --out" in capsys.readouterr().err
    assert len(list(source.glob("episodes/*.h5"))) == 3
