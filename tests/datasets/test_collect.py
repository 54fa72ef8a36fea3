from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from slowfast.cli.collect import Collect, episode_seeds
from slowfast.datasets.collect import collect, split_observations
from slowfast.datasets.episode import DatasetError
from slowfast.datasets.store import Store

ENV, POLICY = "tiny_worlds:TinyWorlds-v0", "tiny_worlds:make_policy:uniform"
ARGUMENTS = {"delay": 0.01}
EPISODES, STEPS = 12, 20


def command(out: Path, env: str = ENV) -> list[str]:
    options = ["--env", env, "--env-arguments", "delay=0.01", "--policy", POLICY, "--episodes", str(EPISODES)]
    start = [sys.executable, "-m", "slowfast.cli", "collect"]
    return [*start, *options, "--steps", str(STEPS), "--workers", "2", "--out", str(out)]


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((folder / "episodes").glob("*.h5"))}


def test_an_episode_holds_what_happened(tmp_path: Path) -> None:
    store = collect(ENV, POLICY, [7], tmp_path, steps=STEPS, metadata={"licence": "CC0-1.0"})
    episode = store[0]
    assert {name: frames.shape for name, frames in episode.frames.items()} == {
        "front": (STEPS + 1, 12, 20, 3),
        "top": (STEPS + 1, 8, 6, 3),
    }
    moved = np.array([-1, 1, 0])[episode.actions["move"]]
    np.testing.assert_array_equal(np.diff(episode.infos["pose"][:, 0]) % 20, moved % 20)
    np.testing.assert_array_equal(episode.states["speed"][1:, 0], moved)
    np.testing.assert_array_equal(episode.rewards, moved)
    np.testing.assert_array_equal(episode.infos["room"], episode.infos["pose"][:, 0] // 10)
    labels = np.array(["left", "right", "stay"], object)
    np.testing.assert_array_equal(episode.actions["text"], labels[episode.actions["move"]])
    assert episode.fps == 12
    own = {"environment": ENV, "environment_arguments": {}, "policy": POLICY, "seed": 7, "steps": STEPS}
    assert episode.metadata == {**own, "instruction": "move the column", "licence": "CC0-1.0"}


def test_an_episode_ends_where_the_environment_ends_it(tmp_path: Path) -> None:
    store = collect(ENV, POLICY, [0], tmp_path, steps=STEPS, env_kwargs={"episode_length": 5})
    assert store.lengths.tolist() == [5]
    assert store[0].terminations.tolist() == [False] * 4 + [True]


def test_workers_make_the_same_bytes_as_one_process(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    collect(ENV, POLICY, range(4), tmp_path / "one", steps=STEPS)
    collect(ENV, POLICY, range(4), tmp_path / "two", steps=STEPS, workers=2, progress=lambda *n: seen.append(n))
    assert files(tmp_path / "one") == files(tmp_path / "two")
    assert seen == [(done, 4) for done in range(5)]


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGINT])
def test_a_stopped_collection_is_readable_and_resumes_to_the_same_bytes(
    tmp_path: Path, helpers_environment: dict[str, str], end: signal.Signals
) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    collect(ENV, POLICY, range(EPISODES), whole, steps=STEPS, env_kwargs=ARGUMENTS)
    process = subprocess.Popen(command(cut), env=helpers_environment, stderr=subprocess.PIPE, start_new_session=True)
    wait_for(lambda: len(list(cut.glob("episodes/*.h5"))) >= 2)
    workers = children(process.pid)
    assert workers
    os.kill(process.pid, end) if end == signal.SIGKILL else os.killpg(process.pid, end)
    process.communicate(timeout=60)
    assert process.returncode == (-signal.SIGKILL if end == signal.SIGKILL else 130)
    wait_for(lambda: not any(running(worker) for worker in workers))
    finished = files(cut)
    assert 2 <= len(finished) < EPISODES
    store = Store(cut)
    assert [episode.metadata["seed"] for episode in store] == [int(name[:6]) for name in finished]
    assert finished.items() <= files(whole).items()
    (cut / "episodes" / ".000005.h5.999999999.tmp").write_bytes(b"half an episode")
    subprocess.run(command(cut), env=helpers_environment, check=True, capture_output=True, timeout=60)
    assert files(cut) == files(whole)
    assert not list(cut.glob("episodes/.*"))


def wait_for(condition: Any, seconds: float = 120.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def children(process: int) -> list[int]:
    return [int(pid) for pid in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


def running(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_existing_episodes_are_kept_and_more_can_be_added(tmp_path: Path) -> None:
    collect(ENV, POLICY, [3, 4], tmp_path, steps=STEPS)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.glob("episodes/*")}
    store = collect(ENV, POLICY, [3, 4, 9], tmp_path, steps=STEPS)
    assert [store.metadata(i)["seed"] for i in range(3)] == [3, 4, 9]
    assert before.items() <= {path: path.stat().st_mtime_ns for path in tmp_path.glob("episodes/*")}.items()


def test_a_folder_of_other_settings_is_refused(tmp_path: Path) -> None:
    collect(ENV, POLICY, [3], tmp_path, steps=STEPS)
    with pytest.raises(DatasetError, match=r"000000\.h5: comes from another collection \(seed is 3, not 4\)"):
        collect(ENV, POLICY, [4], tmp_path, steps=STEPS)


def test_errors_in_workers_reach_the_caller(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"policy 'tiny_worlds:nothing'.*expected \"module:function\""):
        collect(ENV, "tiny_worlds:nothing", [0, 1], tmp_path, workers=2)


def test_observations_without_an_image_are_refused() -> None:
    with pytest.raises(DatasetError, match=r"images: \[\], not understood: \{'camera': 'float32 \(4, 4, 3\)'\}"):
        split_observations([np.zeros((4, 4, 3), np.float32)] * 2)


def test_a_split_gives_seeds_and_the_arguments_that_belong_to_it(tmp_path: Path) -> None:
    from slowfast.envs.doom_rooms.splits import world_seeds

    seeds, arguments = episode_seeds(Collect(out=tmp_path, split="held_out", episodes=3))
    assert (list(seeds), arguments) == (list(world_seeds("held_out", 3)), {"textures": "held_out"})
    assert list(episode_seeds(Collect(out=tmp_path, first_seed=5, episodes=3))[0]) == [5, 6, 7]
    with pytest.raises(ValueError, match="has no splits"):
        episode_seeds(Collect(out=tmp_path, env=ENV, split="train"))


def test_doom_rooms_are_collected_and_repeat(tmp_path: Path) -> None:
    pytest.importorskip("vizdoom")
    for name in ("first", "second"):
        collect(
            "slowfast/DoomRooms-v0", "slowfast.envs.policies:make_policy:explore", [4, 5], tmp_path / name, steps=12
        )
    assert files(tmp_path / "first") == files(tmp_path / "second")
    episode = Store(tmp_path / "first")[1]
    assert episode.frames["camera"].shape == (13, 64, 64, 3)
    assert episode.infos["pose"].shape == (13, 3)
    assert set(episode.infos["world"].tolist()) == {5}
    assert all(episode.actions["text"])
