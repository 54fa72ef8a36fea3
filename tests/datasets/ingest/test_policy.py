from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clips import counted, counting, moving_dot, write_clip, write_timed_clip

from slowfast.actions import ActionSpec, Columns, Continuous, Discrete, Keyboard, Language
from slowfast.datasets.episode import DatasetError, Episode
from slowfast.datasets.ingest import policy as policies
from slowfast.datasets.ingest.policy import FramePolicy, combined, episodes, fitted, kept_frames
from slowfast.datasets.ingest.recording import Recording
from slowfast.datasets.ingest.video import frame_times, read_frames

SPEC = ActionSpec(
    (
        Discrete("move", ("a", "b", "c")),
        Continuous("turn", (-1.0, -1.0), (1.0, 1.0)),
        Keyboard("keys", ("w", "s")),
        Language("text"),
    )
)


def random_actions(rng: np.random.Generator, count: int) -> Columns:
    turn = rng.normal(size=(count, 2)).astype(np.float32)
    turn[rng.random(count) < 0.3] = np.nan
    keys = rng.integers(0, 2, (count, 2))
    keys[rng.random(count) < 0.3] = -1
    words = np.array(["", "go", "stop"], object)[rng.integers(0, 3, count)]
    return {"move": rng.integers(-1, 3, count), "turn": turn, "keys": keys, "text": words}


def recording(times: Any, frames: np.ndarray | None = None, actions: Columns | None = None, **more: Any) -> Recording:
    frames = counting(len(times)) if frames is None else frames
    moves = np.arange(len(times) - 1) % 3
    return Recording(
        "clip",
        np.asarray(times, float),
        {"camera": lambda: iter(frames)},
        SPEC.columns(actions or {"move": moves}),
        SPEC,
        **more,
    )


def shown(made: list[Episode]) -> list[list[int]]:
    return [counted(episode.frames["camera"]) for episode in made]


# --- which frames are kept ---------------------------------------------------------------------------------------


def test_a_steady_recording_keeps_its_frames_and_its_rate() -> None:
    kept, fps = kept_frames(recording(np.arange(10) / 29.97), FramePolicy())
    assert kept.tolist() == list(range(10))
    assert fps == pytest.approx(29.97)
    kept, fps = kept_frames(recording(np.arange(10) / 29.97), FramePolicy(fps=30))
    assert (kept.tolist(), fps) == (list(range(10)), 30)


@pytest.mark.parametrize(
    ("own", "fps", "expected"),
    [(30, 10, [0, 3, 6, 9]), (10, 4, [0, 2, 5, 7]), (10, 9, [0, 1, 2, 3, 4, 5, 6, 7, 8])],
)
def test_a_lower_rate_shows_the_latest_frame_at_each_tick(own: float, fps: float, expected: list[int]) -> None:
    assert kept_frames(recording(np.arange(10) / own), FramePolicy(fps=fps))[0].tolist() == expected
    jittered = np.round(np.arange(10) / own, 3)  # as milliseconds
    assert kept_frames(recording(jittered), FramePolicy(fps=fps))[0].tolist() == expected


def test_an_unsteady_recording_is_brought_to_its_median_rate_with_frames_held() -> None:
    kept, fps = kept_frames(recording([0, 0.1, 0.2, 0.5, 0.6, 0.7]), FramePolicy())
    assert fps == pytest.approx(10)
    assert kept.tolist() == [0, 1, 2, 2, 2, 3, 4, 5]


def test_a_variable_frame_rate_video_is_resampled_by_its_own_times(tmp_path: Path) -> None:
    times = [0, 0.1, 0.2, 0.3, 0.7, 0.75, 0.8, 0.9, 1.0]
    clip = write_timed_clip(tmp_path / "vfr.mp4", counting(9), times)
    np.testing.assert_allclose(frame_times(clip), times)
    held = replace(recording(frame_times(clip)), frames={"camera": partial(read_frames, clip)})
    (episode,) = episodes(held, FramePolicy())
    assert episode.fps == pytest.approx(10)
    assert counted(episode.frames["camera"]) == [0, 1, 2, 3, 3, 3, 3, 4, 6, 7, 8]
    assert episode.actions["move"].tolist() == [0, 1, 2, -1, -1, -1, 0, 2, 0, 1]  # held: null; of 1 and 2 the last
    assert episode.metadata["source_fps"] == pytest.approx(10)
    assert episode.metadata["source_intervals"] == pytest.approx([0.05, 0.4])
    (steady,) = episodes(replace(held, times=np.arange(9) / 10), FramePolicy())
    assert "source_intervals" not in steady.metadata


def test_a_rate_above_the_recordings_is_refused() -> None:
    with pytest.raises(DatasetError, match="clip: has 10 frames a second, 15 would only repeat them"):
        kept_frames(recording(np.arange(10) / 10), FramePolicy(fps=15))


def test_a_recording_that_is_too_short_or_has_a_hole_is_refused() -> None:
    with pytest.raises(DatasetError, match=r"lasts 0\.2 s, too short for 2 a second"):
        kept_frames(recording([0, 0.1, 0.2]), FramePolicy(fps=2))
    with pytest.raises(DatasetError, match=r"between two of its frames lie 1e\+12 s; its times are damaged"):
        kept_frames(recording([0, 0.1, 0.2, 1e12]), FramePolicy())


# --- what becomes of the actions ---------------------------------------------------------------------------------


def plain(spec: ActionSpec, actions: Columns, kept: np.ndarray, policy: FramePolicy) -> Columns:
    """:func:`combined` as a loop over kept frames, as its documentation says it."""
    out = spec.null((len(kept) - 1,))
    for component in spec.components:
        rows = actions[component.name]
        for i, (first, last) in enumerate(itertools.pairwise(kept.tolist())):
            group = [row for row in rows[first:last] if not _missing(row)]
            if not group:
                continue
            rule = getattr(policy, component.kind, "last")
            if rule == "last":
                made = group[-1]
            elif rule == "commonest":
                counts = Counter(int(row) for row in group)
                made = next(row for row in group[::-1] if counts[int(row)] == max(counts.values()))
            elif rule == "any":
                made = np.max(group, axis=0)
            else:
                made = getattr(np, rule)(np.array(group, np.float64), axis=0)
            out[component.name][i] = made
    return out


def _missing(row: Any) -> bool:
    if isinstance(row, str):
        return row == ""
    return bool(np.isnan(row).all() if np.asarray(row).dtype.kind == "f" else np.all(row == -1))


@pytest.mark.parametrize("continuous", ["last", "mean", "sum"])
@pytest.mark.parametrize("choice", ["commonest", "last"])
def test_combining_equals_a_plain_loop(continuous: Any, choice: Any) -> None:
    keyboard = "any" if choice == "commonest" else "last"
    policy = FramePolicy(continuous=continuous, discrete=choice, keyboard=keyboard)
    for seed in range(25):
        rng = np.random.default_rng(seed)
        count = int(rng.integers(2, 60))
        actions = random_actions(rng, count)
        kept = np.sort(rng.integers(0, count + 1, int(rng.integers(2, count + 2))))
        made, expected = (function(SPEC, actions, kept, policy) for function in (combined, plain))
        for name, column in expected.items():
            assert made[name].dtype == column.dtype
            if column.dtype == np.float32:
                np.testing.assert_allclose(made[name], column, atol=1e-6)
            else:
                np.testing.assert_array_equal(made[name], column)


def test_actions_between_kept_frames_are_combined_as_their_kind_is() -> None:
    actions: Columns = {
        "move": np.array([0, 1, 1, 2, 0, -1]),
        "turn": np.array([[1, 0], [2, 0], [3, 6], [4, 0], [np.nan] * 2, [6, 1]], np.float32),
        "keys": np.array([[1, 0], [0, 0], [0, 1], [-1, -1], [0, 0], [-1, -1]]),
        "text": np.array(["a", "b", "", "", "", ""], object),
    }
    kept = np.array([0, 3, 6])
    made = combined(SPEC, actions, kept, FramePolicy(continuous="mean"))
    assert made["move"].tolist() == [1, 0]  # the commonest; of equally common ones the last
    assert made["turn"].tolist() == [[2, 2], [5, 0.5]]
    assert made["keys"].tolist() == [[1, 1], [0, 0]]
    assert made["text"].tolist() == ["b", ""]
    assert combined(SPEC, actions, kept, FramePolicy(continuous="sum"))["turn"].tolist() == [[6, 6], [10, 1]]
    last = combined(SPEC, actions, kept, FramePolicy(discrete="last", keyboard="last"))
    assert last["move"].tolist() == [1, 0]
    assert last["keys"].tolist() == [[0, 1], [0, 0]]
    assert last["turn"].tolist() == [[3, 6], [6, 1]]


def test_rewards_add_up_and_ends_are_not_lost() -> None:
    given = recording(
        [0, 0.1, 0.2, 0.3, 0.9, 1.0, 1.1],
        rewards=np.array([1, 2, 4, 8, 16, 32.0]),
        terminations=np.array([0, 0, 0, 0, 1, 0], bool),
        truncations=np.array([1, 0, 0, 0, 0, 0], bool),
        states={"x": np.arange(7)[:, None]},
        infos={"room": np.arange(7)},
    )
    (episode,) = episodes(given, FramePolicy(fps=5))
    assert counted(episode.frames["camera"]) == [0, 2, 3, 3, 3, 5]
    assert episode.rewards is not None
    assert episode.terminations is not None
    assert episode.truncations is not None
    assert episode.rewards.tolist() == [3, 4, 0, 0, 24]
    assert episode.terminations.tolist() == [False] * 4 + [True]
    assert episode.truncations.tolist() == [True] + [False] * 4
    assert episode.states["x"][:, 0].tolist() == episode.infos["room"].tolist() == [0, 2, 3, 3, 3, 5]


# --- several episodes --------------------------------------------------------------------------------------------


def test_a_long_recording_becomes_parts_that_share_a_frame() -> None:
    made = list(episodes(recording(np.arange(10) / 10), FramePolicy(max_frames=4)))
    assert shown(made) == [[0, 1, 2, 3], [3, 4, 5, 6], [6, 7, 8, 9]]
    assert [episode.actions["move"].tolist() for episode in made] == [[0, 1, 2]] * 3
    assert [(episode.metadata["part"], episode.metadata["parts"]) for episode in made] == [(0, 3), (1, 3), (2, 3)]
    shorter = list(episodes(recording(np.arange(9) / 10), FramePolicy(max_frames=4)))
    assert shown(shorter)[-1] == [6, 7, 8]
    assert "part" not in next(episodes(recording(np.arange(4) / 10), FramePolicy(max_frames=4))).metadata


def test_parts_hold_no_more_than_the_memory_set_aside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policies, "EPISODE_BYTES", 3 * 32 * 32 * 3)
    made = episodes(recording(np.arange(10) / 10), FramePolicy())
    assert shown(list(made)) == [[0, 1, 2], [2, 3, 4], [4, 5, 6], [6, 7, 8], [8, 9]]


def test_frames_are_decoded_only_as_parts_are_asked_for() -> None:
    asked = []

    def frames() -> Iterator[np.ndarray]:
        for frame in counting(100):
            asked.append(frame)
            yield frame

    given = replace(recording(np.arange(100) / 10), frames={"camera": frames})
    next(episodes(given, FramePolicy(max_frames=5)))
    assert len(asked) == 5


def test_a_camera_that_ends_early_is_refused() -> None:
    with pytest.raises(DatasetError, match="clip: camera 'camera' ends after 7 of 10 frames; it is cut off"):
        list(episodes(recording(np.arange(10) / 10, counting(7)), FramePolicy()))


def test_a_camera_that_changes_its_size_is_refused_unless_a_size_is_given() -> None:
    mixed = [*counting(3), *counting(3, size=16)]
    given = replace(recording(np.arange(6) / 10), frames={"camera": lambda: iter(mixed)})
    with pytest.raises(DatasetError, match=r"changes from 32x32 to 16x16 pixels .*--policy\.size"):
        list(episodes(given, FramePolicy()))
    (episode,) = episodes(given, FramePolicy(size=(16, 16)))
    assert counted(episode.frames["camera"][:3]) == [0, 1, 2]


# --- the size ----------------------------------------------------------------------------------------------------


def test_pictures_are_brought_to_size_by_averaging() -> None:
    frame = np.zeros((4, 8, 3), np.uint8)
    frame[:, 2:6] = np.array([[0, 255], [255, 0]] * 2).repeat(2, 1)[..., None]
    assert fitted(frame, (4, 8), "crop") is frame
    assert fitted(frame, None, "pad") is frame
    cropped = fitted(frame, (2, 2), "crop")  # the middle 4x4, 2x2 pixels averaged
    assert cropped[..., 0].tolist() == [[128, 128], [128, 128]]
    padded = fitted(frame, (4, 4), "pad")
    assert padded[..., 0].tolist() == [[0] * 4, [0, 128, 128, 0], [0, 128, 128, 0], [0] * 4]
    assert fitted(frame, (2, 8), "stretch").shape == (2, 8, 3)


@pytest.mark.parametrize("fit", ["crop", "pad", "stretch"])
@pytest.mark.parametrize("size", [(7, 3), (64, 48), (1, 1), (33, 500)])
def test_every_picture_gets_the_size_that_was_asked_for(fit: Any, size: tuple[int, int]) -> None:
    for shape in ((48, 64), (1, 300), (301, 2)):
        assert fitted(np.zeros((*shape, 3), np.uint8), size, fit).shape == (*size, 3)


def test_what_the_policy_was_is_kept_with_every_episode(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mp4", moving_dot(20, 64), 20)
    given = replace(recording(frame_times(clip)), frames={"camera": partial(read_frames, clip)})
    (episode,) = episodes(given, FramePolicy(fps=5, size=(16, 24), fit="pad"))
    assert episode.frames["camera"].shape == (5, 16, 24, 3)
    assert episode.fps == 5
    assert episode.metadata["recording"] == "clip"
    assert episode.metadata["frames"]["fit"] == "pad"
    assert tuple(episode.metadata["frames"]["size"]) == (16, 24)


@pytest.mark.parametrize(
    "wrong", [{"fps": 0}, {"fps": float("nan")}, {"size": (0, 4)}, {"size": (4, 10_000)}, {"max_frames": 1}]
)
def test_policies_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(DatasetError, match=f"^{next(iter(wrong))} "):
        FramePolicy(**wrong)
