"""Pictures that stand still, repeat, show nothing, have bars or are cut are found where they are."""

from __future__ import annotations

from pathlib import Path

import doctor_scenes as scenes
import numpy as np
import pytest

from slowfast.datasets.episode import Episode


def with_frames(episode: Episode, frames: np.ndarray) -> Episode:
    return scenes.edited(episode, frames=frames)


@pytest.mark.parametrize(("noise", "how"), [(0, "the same bit for bit"), (1, "the same")])
def test_a_recording_that_hung_is_found_with_episode_and_frame(
    tmp_path: Path, moving: list[Episode], noise: int, how: str
) -> None:
    """A frame is held, exactly or with the noise of a codec, while the moves go on."""
    frames, moves = moving[7].frames["camera"].copy(), moving[7].actions["move"]
    acting = moves != scenes.MOVES.index("stay")
    start = next(t for t in range(20, 40) if acting[t - 1] and acting[t])
    frames[start : start + 16] = frames[start]
    grain = np.random.default_rng(0).integers(-noise, noise + 1, frames[:15].shape)
    frames[start + 1 : start + 16] = np.clip(frames[start + 1 : start + 16] + grain, 0, 255)
    episodes = [*moving[:7], with_frames(moving[7], frames), *moving[8:]]
    (finding,) = scenes.found(scenes.written(tmp_path / "data", episodes))
    assert (finding.check, finding.severity) == ("frozen-frames", "error")
    assert (finding.episode, finding.frame, finding.camera) == ("000007", start, "camera")
    assert finding.seconds == start / 10
    assert f" frames are {how}, through" in finding.message


def test_a_recording_that_hung_during_a_wait_is_counted_from_the_first_move(
    tmp_path: Path, moving: list[Episode]
) -> None:
    frames, moves = moving[7].frames["camera"].copy(), moving[7].actions["move"].copy()
    moves[20:24], moves[24:40] = scenes.MOVES.index("stay"), np.arange(16) % 4
    moves[40:44] = scenes.MOVES.index("stay")
    frames[20:45] = frames[20]
    hung = scenes.edited(moving[7], frames=frames, actions={"move": moves})
    (finding,) = scenes.found(scenes.written(tmp_path / "data", [*moving[:7], hung, *moving[8:]]), "frozen-frames")
    assert finding.frame == 24
    assert "17 frames are the same bit for bit, through 16 actions" in finding.message


def test_a_still_picture_while_waiting_is_no_fault(tmp_path: Path, moving: list[Episode]) -> None:
    """Waiting leaves the picture as it is in every episode, so that a long wait surprises nobody."""
    frames, moves = moving[7].frames["camera"].copy(), moving[7].actions["move"].copy()
    moves[30:45] = scenes.MOVES.index("stay")
    frames[30:46] = frames[30]
    waited = scenes.edited(moving[7], frames=frames, actions={"move": moves})
    episodes = [*moving[:7], waited, *moving[8:]]
    assert scenes.found(scenes.written(tmp_path / "data", episodes), "frozen-frames") == []


def test_a_picture_that_stands_still_without_actions_is_noted(tmp_path: Path, moving: list[Episode]) -> None:
    frames = moving[0].frames["camera"].copy()
    frames[10:40] = frames[10]
    blank = scenes.edited(moving[0], frames=frames, actions={"move": np.full(60, -1)})
    (finding,) = scenes.found(scenes.written(tmp_path / "data", [blank]), "frozen-frames")
    assert (finding.severity, finding.frame) == ("note", 10)


def test_repeats_at_a_beat_are_found_with_the_true_rate(tmp_path: Path, panning: list[Episode]) -> None:
    """24 frames a second, written as 30."""
    beaten = [with_frames(one, one.frames["camera"][np.arange(61) * 4 // 5]) for one in panning[:3]]
    beaten = [scenes.edited(one, fps=30.0) for one in beaten]
    findings = scenes.found(scenes.written(tmp_path / "data", beaten), "repeated-frames")
    assert [finding.episode for finding in findings] == ["000000", "000001", "000002"]
    assert findings[0].severity == "warning"
    assert "24 frames a second were written as 30" in findings[0].message
    assert "--policy.fps 24" in findings[0].fix


@pytest.mark.parametrize(("shade", "said"), [(0, "black"), (120, "of one colour")])
def test_frames_that_show_nothing_are_found(tmp_path: Path, moving: list[Episode], shade: int, said: str) -> None:
    frames = moving[2].frames["camera"].copy()
    frames[50:55] = shade
    episodes = [*moving[:2], with_frames(moving[2], frames)]
    (finding,) = scenes.found(scenes.written(tmp_path / "data", episodes), "flat-frames")
    assert (finding.severity, finding.episode, finding.frame) == ("warning", "000002", 50)
    assert f"5 of 61 frames are {said}" in finding.message


def test_an_episode_that_is_mostly_black_is_an_error(tmp_path: Path, moving: list[Episode]) -> None:
    frames = moving[2].frames["camera"].copy()
    frames[5:] = 0
    (finding,) = scenes.found(
        scenes.written(tmp_path / "data", [moving[0], with_frames(moving[2], frames)]), "flat-frames"
    )
    assert (finding.severity, finding.episode, finding.frame) == ("error", "000001", 5)


def test_fine_grain_is_not_nothing(tmp_path: Path, moving: list[Episode]) -> None:
    """A wall of noise is flat when it is averaged, and is a picture all the same."""
    grain = np.random.default_rng(0).integers(80, 176, (8, 480, 640, 1), np.uint8).repeat(3, -1)
    grainy = Episode({"camera": grain}, {"move": moving[0].actions["move"][:7]}, scenes.DISCRETE, fps=10.0)
    assert scenes.found(scenes.written(tmp_path / "data", [grainy]), "flat-frames") == []


def barred(episode: Episode, top: int, bottom: int, level: int = 0) -> Episode:
    frames = episode.frames["camera"].copy()
    frames[:, :top], frames[:, frames.shape[1] - bottom :] = level, level
    return with_frames(episode, frames)


def test_black_bars_are_found_with_their_size(tmp_path: Path, moving: list[Episode]) -> None:
    episodes = [*moving[:4], *(barred(one, 6, 5, level=7) for one in moving[4:])]
    (finding,) = scenes.found(scenes.written(tmp_path / "data", episodes))
    assert (finding.check, finding.severity, finding.episode) == ("black-bars", "warning", "000004")
    assert "top 6, bottom 5; in 6 of 10 episodes" in finding.message
    assert "37x64" in finding.fix


def test_bars_that_ingestion_added_are_a_note(tmp_path: Path, moving: list[Episode]) -> None:
    padded = {"frames": {"fit": "pad", "size": [48, 64]}}
    episodes = [scenes.edited(barred(one, 6, 6), metadata=padded) for one in moving]
    (finding,) = scenes.found(scenes.written(tmp_path / "data", episodes))
    assert (finding.check, finding.severity) == ("black-bars", "note")


def test_a_picture_that_fades_into_the_dark_has_no_bars(tmp_path: Path, moving: list[Episode]) -> None:
    fade = np.clip(np.abs(np.arange(48) - 23.5) * -0.08 + 1.5, 0, 1)[:, None, None] ** 3
    episodes = [with_frames(one, (one.frames["camera"] * fade).astype(np.uint8)) for one in moving[:3]]
    assert scenes.found(scenes.written(tmp_path / "data", episodes), "black-bars") == []


def test_a_cut_is_found_at_the_first_frame_of_the_new_scene(tmp_path: Path, moving: list[Episode]) -> None:
    pytest.importorskip("scenedetect")
    frames = moving[3].frames["camera"].copy()
    frames[23:] = moving[8].frames["camera"][23:]
    episodes = [*moving[:3], with_frames(moving[3], frames), *moving[4:8]]
    (finding,) = scenes.found(scenes.written(tmp_path / "data", episodes), "scene-cuts")
    assert (finding.severity, finding.episode, finding.frame) == ("warning", "000003", 23)


def test_cuts_near_both_ends_and_near_each_other_are_found(tmp_path: Path) -> None:
    pytest.importorskip("scenedetect")
    parts = [scenes.moving(seed).frames["camera"] for seed in (20, 21, 22, 23)]
    frames = np.concatenate([parts[0][:2], parts[1][:70], parts[2][:5], parts[3][:2]])
    assert len(frames) == 70
    moves = np.random.default_rng(0).integers(0, 5, len(frames) - 1)
    episode = Episode({"camera": frames}, {"move": moves}, scenes.DISCRETE, fps=10.0)
    cuts = scenes.found(scenes.written(tmp_path / "data", [episode]), "scene-cuts")
    assert [finding.frame for finding in cuts] == [2, 63, 68]


def test_a_flash_is_no_cut(tmp_path: Path, moving: list[Episode]) -> None:
    frames = moving[3].frames["camera"].copy()
    frames[23] = 255
    assert scenes.found(scenes.written(tmp_path / "data", [with_frames(moving[3], frames)]), "scene-cuts") == []


def test_without_pyscenedetect_the_report_says_that_cuts_were_not_looked_for(
    tmp_path: Path, moving: list[Episode], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("slowfast.datasets.doctor.cuts.available", lambda: False)
    (finding,) = scenes.found(scenes.written(tmp_path / "data", moving[:2]), "scene-cuts")
    assert finding.severity == "note"
    assert finding.fix == "pip install 'slowfast[eval]'"
