"""``slowfast rollout``: an mp4 of a long dream, written as it is made."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from slowfast.actions import ActionSpec, Continuous, Discrete, Language
from slowfast.cli import main
from slowfast.cli.rollout import Rollout, parse_actions, parse_pattern

SPEC = ActionSpec((Discrete("move", ("turn left", "turn right", "forward")), Language("text", describes="move")))


def rollout(world: Path, out: Path, *more: str) -> int:
    return main(["rollout", "--world", str(world), "--out", str(out), *more])


def video(path: Path) -> np.ndarray:
    from slowfast.video import read_video

    return read_video(path)


def test_the_video_has_all_frames_and_is_large_enough_to_watch(
    tiny_world_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "dream.mp4"
    actions = ["--actions", "turn left*3, 2", "--memory", "temp_lora"]
    assert rollout(tiny_world_folder, out, "--frames", "10", *actions) == 0
    assert video(out).shape == (10, 384, 384, 3)
    assert "10 frames" in capsys.readouterr().out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dream.mp4", "dream.yaml"]


def test_the_saved_settings_repeat_the_video(tiny_world_folder: Path, tmp_path: Path) -> None:
    out, again = tmp_path / "dream.mp4", tmp_path / "again.mp4"
    assert rollout(tiny_world_folder, out, "--frames", "5", "--scale", "1") == 0
    assert main(["rollout", "--recipe", str(tmp_path / "dream.yaml"), "--out", str(again)]) == 0
    # The frames are the same bits; H.264 encoding them twice is not, once in about a hundred times.
    assert np.abs(video(out).astype(float) - video(again)).mean() < 0.1


def test_seed_start_actions_and_chunk_matter(tiny_world_folder: Path, tmp_path: Path) -> None:
    base = {"--frames": "4", "--scale": "2", "--seed": "1", "--start": "0", "--actions": "turn left"}
    changes = (
        {},
        {"--seed": "2"},
        {"--start": "1"},
        {"--actions": "forward"},
        {"--chunk": "1"},
        {"--sampling.steps": "2"},
    )
    videos = []
    for number, change in enumerate(changes):
        arguments = [part for pair in {**base, **change}.items() for part in pair]
        assert rollout(tiny_world_folder, tmp_path / f"{number}.mp4", *arguments) == 0
        videos.append(video(tmp_path / f"{number}.mp4"))
    for other in videos[1:]:
        assert np.abs(videos[0].astype(float) - other).mean() > 0.5


def test_begins_at_a_picture(tiny_world_folder: Path, tmp_path: Path) -> None:
    from PIL import Image

    picture = tmp_path / "room.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 96, 3), np.uint8)).save(picture)
    out = tmp_path / "dream.mp4"
    assert rollout(tiny_world_folder, out, "--frames", "3", "--frames-from", str(picture)) == 0
    assert len(video(out)) == 3


def test_begins_at_the_end_of_an_episode_and_learns_it(
    tiny_world_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from slowfast.datasets.episode import Episode
    from slowfast.datasets.store import write_episode
    from slowfast.world_model import WorldModel

    spec = WorldModel.from_pretrained(tiny_world_folder).action_spec
    frames = np.random.default_rng(0).integers(0, 256, (9, 32, 32, 3), np.uint8)
    path = write_episode(tmp_path / "data", Episode({"front": frames}, spec.columns([0] * 8), spec, 10.0))
    out = tmp_path / "dream.mp4"
    arguments = ["--frames", "4", "--frames-from", str(path), "--memory", "temp_lora"]
    assert rollout(tiny_world_folder, out, *arguments) == 0
    assert "3 memory updates" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--actions", "turn lfet"], "did you mean 'turn left'"),
        (["--actions", "9"], "takes 0..4"),
        (["--start", "8"], "start is 0..7"),
        (["--frames", "0"], "frames has to be at least 1"),
        (["--chunk", "9"], "1 to 4 frames"),
        (["--memory-every", "2"], "need a memory"),
        (["--frames-from", "missing.png"], "missing.png"),
        (["--start", "1", "--frames-from", "missing.png"], "give one"),
    ],
)
def test_mistakes_are_one_line_and_leave_nothing(
    tiny_world_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert rollout(tiny_world_folder, tmp_path / "dream.mp4", *arguments) == 2
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_patterns() -> None:
    left, forward = {"move": 0}, {"move": 2}
    assert parse_pattern("turn left*2, forward,1*2", SPEC) == [left, left, forward, 1, 1]
    motion = ActionSpec((Continuous("motion", (-1.0,), (1.0,)), Language("text", describes="motion")))
    assert parse_pattern("go left * 2", motion) == ["go left", "go left"]
    for wrong in ("forward*", "*3", "forward*two", " , "):
        with pytest.raises(ValueError, match="actions"):
            parse_pattern(wrong, SPEC)


def test_actions_from_files(tmp_path: Path) -> None:
    listed, lines = tmp_path / "actions.json", tmp_path / "actions.txt"
    listed.write_text(json.dumps([0, "forward", {"text": "go to the red wall"}]))
    lines.write_text("turn left*2\nforward\n")
    out = tmp_path / "dream.mp4"
    assert parse_actions(Rollout(out, actions=str(listed)), SPEC, 0) == [0, {"move": 2}, {"text": "go to the red wall"}]
    assert parse_actions(Rollout(out, actions=str(lines)), SPEC, 0) == [{"move": 0}, {"move": 0}, {"move": 2}]
    listed.write_text("{}")
    with pytest.raises(ValueError, match="JSON list"):
        parse_actions(Rollout(out, actions=str(listed)), SPEC, 0)


def test_random_actions_are_decided_by_the_seed(tmp_path: Path) -> None:
    config = Rollout(tmp_path / "dream.mp4", frames=40)
    drawn = parse_actions(config, SPEC, 3)
    assert drawn == parse_actions(config, SPEC, 3)
    assert set(drawn) == {0, 1, 2}
