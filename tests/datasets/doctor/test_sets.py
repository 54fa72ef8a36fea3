"""What concerns the set as a whole: rates, sizes, language, copies, splits, files that cannot be read."""

from __future__ import annotations

from pathlib import Path

import doctor_scenes as scenes
import numpy as np
import pytest

from slowfast.actions import ActionSpec, Discrete, Language
from slowfast.datasets.episode import DatasetError, Episode
from slowfast.datasets.store import write_episode


def test_mixed_frame_rates_are_found(tmp_path: Path, moving: list[Episode]) -> None:
    episodes = [*moving[:8], scenes.edited(moving[8], fps=30.0)]
    (finding,) = scenes.found(scenes.written(tmp_path / "data", episodes))
    assert (finding.check, finding.severity, finding.episode) == ("frame-rate", "warning", "000008")
    assert "10 (8 episodes), 30 (1 episodes)" in finding.message


def test_the_resampling_that_ingestion_used_is_told(tmp_path: Path, moving: list[Episode]) -> None:
    policy = {"fps": 10.0, "discrete": "commonest", "continuous": "last", "keyboard": "any"}
    metadata = {"source_fps": 24.0, "frames": policy}
    episodes = [scenes.edited(one, metadata=metadata) for one in moving]
    (finding,) = scenes.found(scenes.written(tmp_path / "data", episodes))
    assert (finding.check, finding.severity) == ("frame-rate", "note")
    assert "10 episodes were resampled from 24 to 10 frames a second" in finding.message
    assert "discrete: commonest" in finding.message
    assert "2 or 3 frames of the recording in turn" in finding.message
    assert "12 frames a second would make steps equal" in finding.fix


@pytest.mark.parametrize(
    ("intervals", "said"), [([0.03, 0.06], "variable frame rate: 0.03 to 0.06 s"), ([0.04, 1.0], "frames are missing")]
)
def test_uneven_frames_of_the_recording_are_told_of_episodes_too(
    tmp_path: Path, moving: list[Episode], intervals: list[float], said: str
) -> None:
    metadata = {"source_fps": 24.0, "source_intervals": intervals}
    episodes = [scenes.edited(one, metadata=metadata) if k == 1 else one for k, one in enumerate(moving)]
    messages = [f.message for f in scenes.found(scenes.written(tmp_path / "data", episodes), "frame-rate")]
    assert any(message.startswith(said) for message in messages)


def test_mixed_sizes_are_an_error(tmp_path: Path, moving: list[Episode]) -> None:
    wide = scenes.moving(50, size=(48, 80))
    (finding,) = scenes.found(scenes.written(tmp_path / "data", [*moving[:8], wide]), "resolution")
    assert (finding.severity, finding.episode) == ("error", "000008")
    assert "camera 48x80 in 1 episodes, camera 48x64 in 8" in finding.message


def test_other_cameras_are_an_error(tmp_path: Path, moving: list[Episode]) -> None:
    other = Episode({"wrist": moving[8].frames["camera"]}, moving[8].actions, scenes.DISCRETE, fps=10.0)
    (finding,) = scenes.found(scenes.written(tmp_path / "data", [*moving[:8], other]), "resolution")
    assert finding.severity == "error"
    assert "--options.cameras" in finding.fix


TASK = ActionSpec((Discrete("move", scenes.MOVES), Language("task")))


def told(episode: Episode, sentence: str) -> Episode:
    column = np.full(len(episode), sentence, object)
    return scenes.edited(episode, spec=TASK, actions={"move": episode.actions["move"], "task": column})


def test_language_that_never_varies_is_noted(tmp_path: Path, moving: list[Episode]) -> None:
    episodes = [told(one, "go there") for one in moving]
    (finding,) = scenes.found(scenes.written(tmp_path / "data", episodes))
    assert (finding.check, finding.severity) == ("language", "note")
    assert "'task' is always 'go there'" in finding.message


def test_language_that_never_varies_and_is_all_there_is_is_a_warning(tmp_path: Path, moving: list[Episode]) -> None:
    spec = ActionSpec((Language("task"),))
    same = [scenes.edited(one, spec=spec, actions={"task": np.full(60, "go", object)}) for one in moving[:3]]
    (finding,) = scenes.alarms(scenes.found(scenes.written(tmp_path / "data", same)))
    assert (finding.check, finding.severity) == ("language", "warning")


def test_an_episode_without_its_sentence_is_found(tmp_path: Path, moving: list[Episode]) -> None:
    episodes = [told(one, f"go to {k}" if k != 4 else "") for k, one in enumerate(moving)]
    (finding,) = scenes.alarms(scenes.found(scenes.written(tmp_path / "data", episodes)))
    assert (finding.check, finding.severity, finding.episode) == ("language", "warning", "000004")


def test_empty_instructions_are_found(tmp_path: Path, moving: list[Episode]) -> None:
    said = ["go left", "go right", "  ", "go up"]
    episodes = [scenes.edited(one, metadata={"instruction": text}) for one, text in zip(moving, said, strict=False)]
    (finding,) = scenes.alarms(scenes.found(scenes.written(tmp_path / "data", episodes)))
    assert (finding.check, finding.episode) == ("language", "000002")
    assert "instruction is empty in 1 of 4 episodes" in finding.message


def compressed(episode: Episode) -> Episode:
    """As another encoder would have left it: noise, a little darker."""
    noise = np.random.default_rng(0).normal(0, 4, episode.frames["camera"].shape)
    frames = np.clip(episode.frames["camera"] * 0.95 + noise, 0, 255).astype(np.uint8)
    return scenes.edited(episode, frames=frames)


def cut_off(episode: Episode, first: int) -> Episode:
    frames = episode.frames["camera"][first:]
    return scenes.edited(episode, frames=frames, actions={"move": episode.actions["move"][first:]})


def test_a_leak_between_splits_is_an_error_that_names_both(tmp_path: Path, moving: list[Episode]) -> None:
    """The copy was encoded anew and begins 17 frames later."""
    scenes.written(tmp_path / "data/train", moving[:8])
    scenes.written(tmp_path / "data/validation", [moving[8], cut_off(compressed(moving[5]), 17), moving[9]])
    (finding,) = scenes.alarms(scenes.found(tmp_path / "data"))
    assert (finding.check, finding.severity) == ("copies", "error")
    assert (finding.split, finding.episode, finding.frame) == ("validation", "000001", 0)
    assert "frames 0 to 43 are those from 17 on of episode 000005 of train" in finding.message


def test_a_clip_that_is_twice_in_a_split_is_a_warning(tmp_path: Path, moving: list[Episode]) -> None:
    (finding,) = scenes.found(scenes.written(tmp_path / "data", [*moving[:9], compressed(moving[2])]))
    assert (finding.check, finding.severity, finding.episode) == ("copies", "warning", "000009")
    assert "of episode 000002" in finding.message


def test_clips_that_share_only_their_beginning_are_no_copies(tmp_path: Path, moving: list[Episode]) -> None:
    """As where every episode of a game begins in the same place."""
    frames = np.concatenate([moving[0].frames["camera"][:12], moving[9].frames["camera"][12:]])
    same_start = scenes.edited(moving[9], frames=frames)
    assert scenes.found(scenes.written(tmp_path / "data", [*moving[:9], same_start]), "copies") == []


def test_clips_that_overlap_a_little_are_no_copies(tmp_path: Path, moving: list[Episode]) -> None:
    """As where a long recording was cut into clips that share some frames."""
    frames = np.concatenate([moving[0].frames["camera"][-14:], moving[9].frames["camera"][14:]])
    next_clip = scenes.edited(moving[9], frames=frames)
    assert scenes.found(scenes.written(tmp_path / "data", [*moving[:9], next_clip]), "copies") == []


def test_splits_with_other_actions_or_sizes_do_not_fit(tmp_path: Path, moving: list[Episode]) -> None:
    spec = ActionSpec((Discrete("move", (*scenes.MOVES, "jump")),))
    scenes.written(tmp_path / "data/train", moving[:2])
    other = scenes.moving(60, size=(32, 64), fps=20.0)
    scenes.written(tmp_path / "data/validation", [scenes.edited(other, spec=spec, actions=other.actions)])
    findings = scenes.found(tmp_path / "data", "splits-agree")
    assert [finding.severity for finding in findings] == ["error", "error", "warning"]
    assert {finding.split for finding in findings} == {"validation"}


def test_a_damaged_file_is_an_error_and_takes_no_other_with_it(tmp_path: Path, moving: list[Episode]) -> None:
    folder = scenes.written(tmp_path / "data", moving)
    damaged = folder / "episodes/000003.h5"
    damaged.write_bytes(damaged.read_bytes()[:5000])
    examination = scenes.examined(folder)
    (finding,) = scenes.alarms(examination.findings)
    assert (finding.check, finding.severity, finding.episode) == ("readable", "error", "000003")
    assert "000003.h5" in finding.message
    assert examination.summary["splits"][""]["unreadable"] == 1
    assert examination.summary["splits"][""]["frames"] == 9 * 61


def test_frames_that_are_damaged_inside_the_file_are_an_error(tmp_path: Path, moving: list[Episode]) -> None:
    import h5py

    folder = scenes.written(tmp_path / "data", moving[:6])
    path = write_episode(folder, moving[2], "lzf", 2, index=False)
    with h5py.File(path) as file:
        place = file["frames/camera"].id.get_chunk_info(2)
    data = bytearray(path.read_bytes())
    data[place.byte_offset : place.byte_offset + place.size] = b"\xff" * place.size
    path.write_bytes(data)
    (finding,) = scenes.alarms(scenes.found(folder))
    assert (finding.check, finding.episode) == ("readable", "000002")
    assert "cannot be read" in finding.message


def test_an_episode_with_other_actions_than_the_rest_is_an_error(
    tmp_path: Path, moving: list[Episode], panning: list[Episode]
) -> None:
    folder = scenes.written(tmp_path / "data", [*moving[:6], panning[0]])
    (finding,) = scenes.alarms(scenes.found(folder))
    assert (finding.check, finding.episode) == ("readable", "000006")
    assert "'action_spec'" in finding.message


def test_rows_that_do_not_go_with_the_frames_are_an_error(tmp_path: Path, moving: list[Episode]) -> None:
    import h5py

    folder = scenes.written(tmp_path / "data", moving[:6])
    with h5py.File(folder / "episodes/000004.h5", "a") as file:
        extra = np.append(file["actions/move"][()], 0)
        del file["actions/move"]
        file["actions/move"] = extra
    (finding,) = scenes.alarms(scenes.found(folder))
    assert (finding.check, finding.episode) == ("readable", "000004")
    assert "61 rows, expected 60" in finding.message


def test_a_folder_of_nothing_readable_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data/episodes").mkdir(parents=True)
    (tmp_path / "data/episodes/000000.h5").write_bytes(b"no")
    with pytest.raises(DatasetError, match=r"000000\.h5"):
        scenes.found(tmp_path / "data")


def test_limit_takes_the_first_of_each_split(tmp_path: Path, moving: list[Episode]) -> None:
    scenes.written(tmp_path / "data/train", moving[:5])
    scenes.written(tmp_path / "data/test", moving[5:])
    seen: list[tuple[int, int]] = []
    summary = scenes.examined(
        tmp_path / "data", limit=2, progress=lambda done, total, **_: seen.append((done, total))
    ).summary
    assert {name: split["episodes"] for name, split in summary["splits"].items()} == {"test": 2, "train": 2}
    assert seen == [(done, 4) for done in range(5)]
