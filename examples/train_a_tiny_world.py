"""From nothing to a world you can step into, in minutes on two cores: collect, train a codec and a slow learner, dream.

    python examples/train_a_tiny_world.py --out out/tiny

Each stage is a `slowfast` command, called from Python; stop it at any moment and run it again: it goes on from there.
What comes out is blurred, but it turns when told to.
"""

from __future__ import annotations

import sys
from pathlib import Path

import gymnasium
import tyro

from slowfast.cli import main as slowfast
from slowfast.datasets.store import Store
from slowfast.video import VideoWriter

TURN_AROUND = ["turn left"] * 16 + ["turn right"] * 16
SWAP = "{turn left: turn right, turn right: turn left}"


def main(
    out: Path = Path("out/tiny"),
    episodes: int = 40,
    length: int = 48,
    workers: int = 2,
    codec_steps: int = 600,
    slow_steps: int = 600,
    frames: int = 32,
) -> None:
    data, codec, slow = out / "data", out / "codec", out / "slow"
    collected = ["--episodes", f"{episodes}", "--steps", f"{length}", "--workers", f"{workers}", "--out", f"{data}"]
    run("collect", "--env", "slowfast/DoomRooms-v0", "--policy", "explore", *collected)
    trained = ["--recipe", "tiny-codec", "--data", f"{data}", "--run", f"{codec}"]
    run("train", "codec", *trained, "--train.steps", f"{codec_steps}")
    trained = ["--recipe", "tiny", "--data", f"{data}", "--codec", f"{codec / 'model'}", "--run", f"{slow}"]
    run("train", "slow", *trained, "--train.steps", f"{slow_steps}", "--task.swap", SWAP)
    dream(slow / "model", data, frames, out / "dream.mp4")


def dream(world: Path, data: Path, frames: int, video: Path) -> None:
    """Looks around in the world, from the first frame of the last episode (which was not trained on)."""
    store = Store(data)
    env = gymnasium.make("slowfast/Dream-v0", world=world)
    seen, _ = env.reset(seed=0, options={"frames": store.frames(len(store) - 1, 0, 1)})
    with VideoWriter(video, fps=8, scale=6) as writer:
        writer.write(seen[None])
        for step in range(frames):
            seen, *_ = env.unwrapped.step(TURN_AROUND[step % len(TURN_AROUND)])
            writer.write(seen[None])
    env.close()
    print(f"{video}: {frames + 1} frames; {world} is the world")


def run(*arguments: str) -> None:
    print(f"\n$ slowfast {' '.join(arguments)}", flush=True)
    status = slowfast(arguments)
    if status:
        sys.exit(status)


if __name__ == "__main__":
    tyro.cli(main, description=__doc__)
