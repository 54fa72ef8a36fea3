"""Every example runs, with fewer steps, and leaves what it says."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from slowfast.video import read_video
from slowfast.world_model import WorldModel

ROOT = Path(__file__).parents[2]
RunExample = Callable[..., str]


def test_every_example_is_run_here() -> None:
    source = Path(__file__).read_text(encoding="utf-8")
    for path in (ROOT / "examples").glob("*.py"):
        assert f'"{path.name}"' in source, f"{path} is an example that no test runs"


def test_stepping_the_dream_leaves_a_gif(example: RunExample, tmp_path: Path) -> None:
    printed = example("step_the_dream.py", "--steps", "5", "--out", "dream.gif")
    told = re.search(r"dream.gif: 6 frames, (\d+) memory updates", printed)
    assert told is not None, printed
    assert int(told[1]) >= 1
    assert Image.open(tmp_path / "dream.gif").n_frames > 1


def test_a_long_video_has_all_its_frames(example: RunExample, tmp_path: Path) -> None:
    printed = example("roll_out_a_long_video.py", "--frames", "10", "--out", "long.mp4")
    assert "10 of 10 frames: long.mp4" in printed
    frames = read_video(tmp_path / "long.mp4")
    assert len(frames) == 10
    assert np.abs(frames[1].astype(int) - frames[9]).mean() > 0.01


def test_a_tiny_world_goes_from_collection_to_a_dream(example: RunExample, tmp_path: Path) -> None:
    sizes = [
        "--episodes",
        "4",
        "--length",
        "12",
        "--workers",
        "1",
        "--codec-steps",
        "2",
        "--slow-steps",
        "2",
        "--frames",
        "3",
    ]
    printed = example("train_a_tiny_world.py", "--out", "tiny", *sizes)
    assert "4 frames; tiny/slow/model is the world" in printed
    assert len(read_video(tmp_path / "tiny/dream.mp4")) == 4
    world = WorldModel.from_pretrained(tmp_path / "tiny/slow/model")
    assert world.config.environment == {"id": "slowfast/DoomRooms-v0", "kwargs": {}}
