"""What holds across engines and processes: the same bytes, independence, and nothing left behind."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from slowfast.envs.doom_rooms.env import DoomRoomsEnv
from slowfast.envs.doom_rooms.splits import world_seeds

ACTIONS = [int(action) for action in np.random.default_rng(0).integers(0, 7, 25)]

EPISODES = """
import hashlib, json, sys
from slowfast.envs.doom_rooms.env import DoomRoomsEnv
seeds, actions, end = json.loads(sys.argv[1])
env = DoomRoomsEnv()
for seed in seeds:
    digest = hashlib.sha256(env.reset(seed=seed)[0].tobytes())
    for action in actions:
        digest.update(env.step(action)[0].tobytes())
    print(digest.hexdigest(), flush=True)
if end == "close":
    env.close()
if end == "wait":
    import time
    time.sleep(60)
"""


def _start(folder: Path, seeds: list[int], end: str) -> subprocess.Popen[str]:
    arguments = json.dumps([seeds, ACTIONS, end])
    temporary = folder / "temporary"
    temporary.mkdir()
    environment = {**os.environ, "TMPDIR": str(temporary)}
    command = [sys.executable, "-c", EPISODES, arguments]
    return subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True)


def _left_behind(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.name != "temporary")


def test_two_processes_and_a_reused_engine_give_the_same_bytes(tmp_path: Path) -> None:
    """The other process plays the worlds in another order, so each world follows upon a different one in the engine."""
    seeds = [*world_seeds("train", 4), *world_seeds("test", 2)]
    process = _start(tmp_path, seeds[::-1], "exit")
    env = DoomRoomsEnv()
    ours = []
    for seed in seeds:
        digest = hashlib.sha256(env.reset(seed=seed)[0].tobytes())
        for action in ACTIONS:
            digest.update(env.step(action)[0].tobytes())
        ours.append(digest.hexdigest())
    env.close()
    theirs, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert theirs.split() == ours[::-1]
    assert len(set(ours)) == len(ours)
    assert _left_behind(tmp_path) == []


def test_a_killed_process_leaves_no_engine_and_no_files(tmp_path: Path) -> None:
    process = _start(tmp_path, [0], "wait")
    assert process.stdout is not None
    process.stdout.readline()
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").parent.parent
    engines = [int(pid) for task in children.iterdir() for pid in (task / "children").read_text().split()]
    assert engines
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=10)
    deadline = time.monotonic() + 10
    while any(_is_running(engine) for engine in engines) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(_is_running(engine) for engine in engines)
    assert _left_behind(tmp_path) == []


def _is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_environments_side_by_side_do_not_disturb_each_other() -> None:
    alone = DoomRoomsEnv()
    expected = [alone.reset(seed=1)[0], *(alone.step(action)[0] for action in ACTIONS)]
    other = DoomRoomsEnv(size=(32, 48), textures="held_out")
    other.reset(seed=2)
    seen = [alone.reset(seed=1)[0]]
    for action in ACTIONS:
        other.step(0)
        seen.append(alone.step(action)[0])
    alone.close()
    other.step(2)
    other.close()
    assert all(np.array_equal(*pair) for pair in zip(expected, seen, strict=True))


def test_a_closed_environment_can_be_reset_again() -> None:
    env = DoomRoomsEnv()
    first, _ = env.reset(seed=3)
    env.close()
    env.close()
    again, _ = env.reset(seed=3)
    env.close()
    assert np.array_equal(first, again)
