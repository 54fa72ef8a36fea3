"""Every example runs, with fewer steps, and leaves what it says."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from slowfast.cli import main as slowfast
from slowfast.datasets.collect import collect
from slowfast.datasets.store import Store
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


def test_clips_of_ones_own_become_a_world(example: RunExample, tmp_path: Path) -> None:
    """Atari games as others would have them: a LeRobot set with H.264 videos, and a folder of videos with tables."""
    import ale_py  # noqa: F401 - registers its environments

    collect(
        "ale_py:ALE/Freeway-v5", "slowfast.envs.policies:make_policy:random", range(6), tmp_path / "games", steps=40
    )
    for form in ("lerobot", "videos"):
        assert slowfast(["export", f"{tmp_path / 'games'}", "--to", form, "--out", f"{tmp_path / form}"]) == 0
    steps = ["--codec-steps", "2", "--slow-steps", "2", "--frames", "3"]
    printed = example("bring_your_own_clips.py", "lerobot", "videos", "--out", "mine", "--fps", "15", *steps)
    assert "4 frames; mine/slow/model is the world" in printed
    assert len(read_video(tmp_path / "mine/dream.mp4")) == 4
    world = WorldModel.from_pretrained(tmp_path / "mine/slow/model")
    assert (world.config.frame_size, world.config.fps, world.config.fit) == ((64, 64), 15.0, "crop")
    for form in ("lerobot", "videos"):
        assert len(Store(tmp_path / "mine/data" / form)) == 6
        assert (tmp_path / "mine/data" / form / "doctor.html").stat().st_size > 10_000
