"""Recordings are examined as they would be ingested, without being written."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import doctor_scenes as scenes
import numpy as np
import pytest

from slowfast.datasets.doctor.examine import examine
from slowfast.datasets.doctor.finding import Finding
from slowfast.datasets.doctor.recordings import FRAMES_AT_ONCE, RecordedFootage
from slowfast.datasets.episode import DatasetError, Episode
from slowfast.datasets.ingest.policy import FramePolicy
from slowfast.datasets.ingest.recording import Recording


class ListReader:
    """Recordings from memory; an exception in their place is raised when it is read."""

    def __init__(self, recordings: list[Recording | Exception]) -> None:
        self._recordings = recordings
        self.spec = next(r.spec for r in recordings if isinstance(r, Recording))

    def __len__(self) -> int:
        return len(self._recordings)

    def name(self, i: int) -> str:
        return f"clip {i}"

    def read(self, i: int) -> Recording:
        recording = self._recordings[i]
        if isinstance(recording, Exception):
            raise recording
        return recording

    def facts(self) -> dict[str, Any]:
        return {}


def recorded(episode: Episode, number: int, times: np.ndarray | None = None, decodable: int | None = None) -> Recording:
    """``decodable``: frames after which the video breaks off."""
    frames = episode.frames["camera"]
    times = np.arange(len(frames)) / 10 if times is None else times
    return Recording(
        f"clip {number}", times, {"camera": lambda: iter(frames[:decodable])}, episode.actions, episode.spec
    )


def found(recordings: list[Recording | Exception], policy: FramePolicy | None = None) -> list[Finding]:
    return examine({None: RecordedFootage(ListReader(recordings), policy or FramePolicy())}).findings


def test_nothing_is_said_of_clean_recordings(moving: list[Episode]) -> None:
    assert found([recorded(one, k) for k, one in enumerate(moving)]) == []


def test_a_recording_that_breaks_off_is_an_error_and_takes_no_other_with_it(moving: list[Episode]) -> None:
    recordings: list[Recording | Exception] = [recorded(one, k) for k, one in enumerate(moving)]
    recordings[2] = recorded(moving[2], 2, decodable=30)
    recordings[5] = DatasetError("clip 5: cannot be opened as a video")
    cut_off, unopened = found(recordings)
    assert [(one.check, one.severity, one.episode) for one in (cut_off, unopened)] == [
        ("readable", "error", "clip 2"),
        ("readable", "error", "clip 5"),
    ]
    assert "ends after 30 of 61 frames" in cut_off.message


def test_a_long_recording_is_one_clip_whose_frames_are_counted_from_its_start() -> None:
    long = scenes.moving(3, steps=200)
    frames = long.frames["camera"].copy()
    frames[150:153] = 0
    findings = found([recorded(scenes.edited(long, frames=frames), 0)])
    (flat,) = [finding for finding in findings if finding.check == "flat-frames"]
    assert (flat.episode, flat.frame, flat.seconds) == ("clip 0", 150, 15.0)
    assert "3 of 201 frames" in flat.message


def test_frames_are_decoded_a_part_at_a_time() -> None:
    """What was given out is let go: the doctor never holds a recording's frames."""
    held: list[int] = []
    alive = 0

    class Counted(np.ndarray):
        def __del__(self) -> None:
            nonlocal alive
            alive -= 1

    def frames() -> Iterator[np.ndarray]:
        nonlocal alive
        source = scenes.moving(3, steps=400).frames["camera"]
        for frame in source:
            alive += 1
            held.append(alive)
            yield frame.copy().view(Counted)

    actions = {"move": np.random.default_rng(0).integers(0, 5, 400)}
    recording = Recording("clip 0", np.arange(401) / 10, {"camera": frames}, actions, scenes.DISCRETE)
    found([recording])
    assert len(held) == 401
    assert max(held) <= 2 * FRAMES_AT_ONCE + 2


def test_the_policy_applies_and_its_resampling_is_told(moving: list[Episode]) -> None:
    findings = found([recorded(one, k) for k, one in enumerate(moving)], FramePolicy(fps=5.0, size=(24, 32)))
    (note,) = [finding for finding in findings if finding.check == "frame-rate"]
    assert note.severity == "note"
    assert "10 episodes were resampled from 10 to 5 frames a second" in note.message
    assert scenes.alarms(findings) == []


def test_gaps_in_a_recording_are_found(moving: list[Episode]) -> None:
    times = np.arange(61) / 10
    times[30:] += 1.0
    recordings: list[Recording | Exception] = [recorded(one, k) for k, one in enumerate(moving)]
    recordings[4] = recorded(moving[4], 4, times)
    findings = [finding for finding in found(recordings) if finding.check == "frame-rate"]
    assert [(finding.severity, finding.episode) for finding in findings] == [("warning", "clip 4")]
    assert "up to 1.1 s lie between two, usually 0.1 s" in findings[0].message


def test_a_variable_frame_rate_is_noted(moving: list[Episode]) -> None:
    times = np.cumsum(np.r_[0, np.random.default_rng(0).uniform(0.06, 0.14, 60)])
    recordings: list[Recording | Exception] = [
        recorded(one, k, times if k == 1 else None) for k, one in enumerate(moving)
    ]
    notes = [finding for finding in found(recordings) if "variable frame rate" in finding.message]
    assert [(finding.severity, finding.episode) for finding in notes] == [("note", "clip 1")]


def test_pictures_of_recordings_can_be_had_again(moving: list[Episode]) -> None:
    part = RecordedFootage(ListReader([recorded(moving[0], 0), recorded(moving[1], 1, decodable=10)]), FramePolicy())
    pictures = part.pictures(0, "camera", [3, 60, 99])
    assert sorted(pictures) == [3, 60]
    np.testing.assert_array_equal(pictures[60], moving[0].frames["camera"][60])
    assert part.pictures(1, "camera", [3, 40]) == {}


@pytest.mark.parametrize("error", [DatasetError("clip 0: no"), MemoryError()])
def test_a_reader_that_fails_is_reported(error: Exception, moving: list[Episode]) -> None:
    first, *_ = found([error, recorded(moving[1], 1)])
    assert (first.check, first.episode) == ("readable", "clip 0")
    assert first.message
