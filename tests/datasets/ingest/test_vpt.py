"""Minecraft recordings: keys, mouse, the slips of the published files, and nothing but DatasetError for bad ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clips import counted, counting, cut_off, write_clip
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from slowfast.datasets.episode import DatasetError
from slowfast.datasets.ingest.formats import SourceOptions, detect
from slowfast.datasets.ingest.pipeline import Ingestion, ingest
from slowfast.datasets.ingest.policy import FramePolicy, episodes
from slowfast.datasets.ingest.readers.vpt import KEYS, VptFolder, read_rows
from slowfast.datasets.store import Store

ACTIONS = list(KEYS.values())


def tick(keys: tuple[str, ...] = (), buttons: tuple[int, ...] = (), **changes: Any) -> dict[str, Any]:
    """A row as the recorder writes it; ``changes`` of the mouse are dx, dy and newButtons."""
    mouse = {name: changes.pop(name) for name in ("dx", "dy", "newButtons") if name in changes}
    return {
        "mouse": {"x": 640.0, "y": 360.0, "dx": 0.0, "dy": 0.0, "buttons": list(buttons), "newButtons": [], **mouse},
        "keyboard": {"keys": [f"key.keyboard.{key}" for key in keys], "newKeys": [], "chars": ""},
        "isGuiOpen": False,
        "hotbar": 0,
        "tick": 0,
        "milli": 0,
        **changes,
    }


def write(folder: Path, name: str, rows: list[dict[str, Any]], frames: int | None = None) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    write_clip(folder / f"{name}.mp4", counting(len(rows) if frames is None else frames), fps=20)
    (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def read(tmp_path: Path, rows: list[dict[str, Any]], frames: int | None = None) -> Any:
    return VptFolder(write(tmp_path / "vpt", "a", rows, frames), SourceOptions()).read(0)


def held(recording: Any, action: str) -> list[int]:
    return recording.actions["keys"][:, ACTIONS.index(action)].tolist()


def test_a_folder_is_recognised_and_becomes_episodes_with_their_own_frames_and_keys(tmp_path: Path) -> None:
    walking = [tick(("w",) if t % 2 else ("w", "space"), dx=10.0, dy=-4.0) for t in range(12)]
    write(tmp_path / "vpt" / "8.0", "first", walking)
    write(tmp_path / "vpt", "second", [tick(("s",), (0, 1))] * 6)
    assert detect(tmp_path / "vpt") == "vpt"
    report = ingest(Ingestion(str(tmp_path / "vpt")), tmp_path / "out")
    assert (report.format, report.episodes, report.skipped) == ("vpt", 2, {})
    store = Store(tmp_path / "out")
    first, second = store[0], store[1]
    assert counted(first.frames["screen"]) == list(range(12))
    assert first.fps == pytest.approx(20)
    assert len(first) == 11  # the last row leads to a frame that was not recorded
    keys = first.actions["keys"]
    assert keys[:, ACTIONS.index("forward")].tolist() == [1] * 11
    assert keys[:, ACTIONS.index("jump")].tolist() == [1, 0] * 5 + [1]
    assert keys.sum() == 11 + 6
    np.testing.assert_allclose(first.actions["camera"], [[1.5, -0.6]] * 11, rtol=1e-6)
    assert second.actions["keys"][0].nonzero()[0].tolist() == [ACTIONS.index(a) for a in ("back", "attack", "use")]
    assert store.metadata(0)["recording"] == "8.0/first"


@pytest.mark.parametrize(("rows", "frames"), [(10, 12), (12, 10)])
def test_a_few_rows_too_many_or_too_few_are_cut_off_at_the_end_and_noted(
    tmp_path: Path, rows: int, frames: int
) -> None:
    recording = read(tmp_path, [tick(dx=float(t)) for t in range(rows)], frames)
    assert len(recording.times) == 10
    np.testing.assert_allclose(recording.actions["camera"][:, 0], np.arange(9) * 0.15, rtol=1e-6)
    assert counted(np.stack(list(recording.frames["screen"]()))) == list(range(10))
    assert f"{rows} rows" in recording.metadata["trimmed"]
    assert f"{frames} frames" in recording.metadata["trimmed"]


def test_a_larger_difference_is_refused_with_both_counts(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"10 rows .* 20 frames"):
        read(tmp_path, [tick()] * 10, 20)


def test_attack_stuck_from_the_start_is_released_until_it_is_pressed(tmp_path: Path) -> None:
    rows = [tick((), (0,), newButtons=[0]), *[tick((), (0,))] * 3, tick((), (0,), newButtons=[0]), tick((), (0,))]
    recording = read(tmp_path, [*rows, tick()])
    assert held(recording, "attack") == [0, 0, 0, 0, 1, 1]
    assert recording.metadata["stuck_attack_rows"] == 4


def test_attack_that_is_pressed_later_is_not_taken_for_stuck(tmp_path: Path) -> None:
    recording = read(tmp_path, [tick(), tick((), (0,), newButtons=[0]), tick((), (0,)), tick()])
    assert held(recording, "attack") == [0, 1, 1]
    assert "stuck_attack_rows" not in recording.metadata


def test_a_slot_that_the_wheel_chose_counts_as_its_key(tmp_path: Path) -> None:
    recording = read(tmp_path, [tick(hotbar=slot) for slot in (3, 3, 4, 4, 0, 0)])
    assert held(recording, "hotbar.5") == [0, 0, 1, 0, 0]
    assert held(recording, "hotbar.1") == [0, 0, 0, 0, 1]
    assert recording.actions["keys"].sum() == 2


def test_mouse_ways_beyond_half_a_turn_are_clamped_and_counted(tmp_path: Path) -> None:
    recording = read(tmp_path, [tick(dx=1e6), tick(dy=-1e6), tick(dx=100.0), tick()])
    np.testing.assert_allclose(recording.actions["camera"], [[180, 0], [0, -180], [15, 0]])
    assert recording.metadata["clamped_mouse_rows"] == 2


def test_menus_and_places_are_kept_and_escape_closes_a_menu(tmp_path: Path) -> None:
    place: dict[str, Any] = {"xpos": 1.0, "ypos": 64.0, "zpos": -3.0, "yaw": 90.0, "pitch": -10.0}
    rows = [tick(("escape",), **place), tick(("escape",), isGuiOpen=True, **place), tick(**place)]
    recording = read(tmp_path, rows)
    assert recording.infos["gui_open"].tolist() == [False, True, False]
    assert recording.infos["position"].tolist() == [[1, 64, -3]] * 3
    assert recording.infos["view"].tolist() == [[90, -10]] * 3
    assert held(recording, "inventory") == [0, 1]
    assert recording.metadata["unmapped_keys"] == {"key.keyboard.escape": 1}


def test_keys_that_the_game_has_no_use_for_are_counted(tmp_path: Path) -> None:
    folder = write(tmp_path / "vpt", "a", [tick(("w", "f3")), tick(("f3",)), tick((), (4,))])
    facts = VptFolder(folder, SourceOptions()).facts()
    assert facts["unmapped keys in the first 1"] == "key.keyboard.f3 (2 rows), mouse.4 (1 rows)"


def test_a_truncated_video_and_a_missing_half_are_skipped_and_named_and_the_others_stay(tmp_path: Path) -> None:
    folder = write(tmp_path / "vpt", "good", [tick()] * 8)
    write(folder, "cut", [tick()] * 8)
    cut_off(folder / "cut.mp4", 0.7)
    write(folder, "lonely", [tick()] * 8)
    (folder / "lonely.jsonl").unlink()
    write(folder, "orphan", [tick()] * 8)
    (folder / "orphan.mp4").unlink()
    report = ingest(Ingestion(str(folder)), tmp_path / "out")
    assert report.episodes == 1
    assert set(report.skipped) == {"cut", "lonely", "orphan"}
    assert all(name in reason for name, reason in report.skipped.items())


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"mouse": {"dx": 0, "dy": 0, "buttons": []}}', "keyboard"),
        ('{"keyboard": {"keys": []}, "mouse": {"dx": NaN, "dy": 0, "buttons": []}}', "no number"),
        ('{"keyboard": {"keys": "w"}, "mouse": {"dx": 0, "dy": 0, "buttons": []}}', "no list"),
        ('{"keyboard": {"keys": []}, "mouse": {"dx": 0, "dy": 0, "buttons": []}, "hotbar": 12}', "hotbar"),
        ('{"keyboard": {"keys": ["key.keyb', "no JSON"),
        ("[" * 100_000, "no JSON"),
        ("[1, 2]", "expected a JSON object"),
    ],
)
def test_a_row_of_the_wrong_kind_is_named_by_its_line(tmp_path: Path, line: str, said: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(f"{json.dumps(tick())}\n\n{line}\n")
    with pytest.raises(DatasetError, match=f"line 3.*{said}"):
        read_rows(path)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    data=st.one_of(
        st.binary(max_size=300),
        st.recursive(
            st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(["mouse", "keyboard", "keys", "dx", "dy", "buttons", "hotbar"]), inner
                )
            ),
            max_leaves=12,
        ).map(lambda value: json.dumps([value, value])[1:-1].replace("}, {", "}\n{").encode()),
        st.integers(0, 400).map(lambda end: (json.dumps(tick(("w",))) + "\n").encode()[:end] * 2),
    )
)
def test_any_jsonl_gives_rows_or_a_dataset_error(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.jsonl").write_bytes(data)
    try:
        rows = read_rows(tmp_path / "a.jsonl")
    except DatasetError:
        return
    assert len(rows.keys) == len(rows.camera) >= 2
    assert np.isfinite(rows.camera).all()


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(share=st.floats(0, 1), junk=st.binary(max_size=40))
def test_any_damage_to_the_video_is_a_dataset_error_or_nothing(tmp_path: Path, share: float, junk: bytes) -> None:
    folder = tmp_path / "vpt"
    if not folder.exists():
        write(folder, "a", [tick()] * 8)
    original = tmp_path / "original.mp4"
    if not original.exists():
        original.write_bytes((folder / "a.mp4").read_bytes())
    data = original.read_bytes()
    at = int(share * len(data))
    (folder / "a.mp4").write_bytes(data[:at] + junk + (data[at + len(junk) :] if junk else b""))
    try:
        for episode in episodes(VptFolder(folder, SourceOptions()).read(0), FramePolicy()):
            assert len(episode) >= 1
    except DatasetError:
        return
