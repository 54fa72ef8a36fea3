"""Clips of your own to a world you can step into: ingest, examine, train, dream.

    python examples/bring_your_own_clips.py my_lerobot_set my_videos --out out/mine

Takes any sources that `slowfast ingest` reads and examines each; trains on the first. Each stage is a `slowfast`
command, called from Python; stop it at any moment and run it again: it goes on from there.
"""

from __future__ import annotations

import sys
from pathlib import Path

import gymnasium
import tyro

from slowfast.cli import main as slowfast
from slowfast.datasets.store import Store
from slowfast.video import VideoWriter


def main(
    sources: tyro.conf.Positional[tuple[Path, ...]],
    out: Path = Path("out/mine"),
    size: tuple[int, int] = (64, 64),
    fps: float | None = None,
    codec_steps: int = 600,
    slow_steps: int = 600,
    frames: int = 32,
) -> None:
    policy = ["--policy.size", *map(str, size), *(["--policy.fps", f"{fps:g}"] if fps else [])]
    sets = [out / "data" / source.name for source in sources]
    for source, data in zip(sources, sets, strict=True):
        run("ingest", f"{source}", "--out", f"{data}", *policy)
        run("doctor", f"{data}", "--html", f"{data / 'doctor.html'}")  # ends here if it finds an error
    codec, slow = out / "codec", out / "slow"
    trained = ["--recipe", "tiny-codec", "--data", f"{sets[0]}", "--run", f"{codec}"]
    run("train", "codec", *trained, "--train.steps", f"{codec_steps}")
    trained = ["--recipe", "tiny", "--data", f"{sets[0]}", "--codec", f"{codec / 'model'}", "--run", f"{slow}"]
    run("train", "slow", *trained, "--train.steps", f"{slow_steps}")
    dream(slow / "model", Store(sets[0]), frames, out / "dream.mp4")


def dream(world: Path, store: Store, frames: int, video: Path) -> None:
    """Does what was done in the last episode (which was not trained on), from its first frame."""
    last = len(store) - 1
    count = min(frames, int(store.lengths[last]))
    env = gymnasium.make("slowfast/Dream-v0", world=world)
    seen, _ = env.reset(seed=0, options={"frames": store.frames(last, 0, 1)})
    with VideoWriter(video, fps=store.fps(last), scale=4) as writer:
        writer.write(seen[None])
        for step in range(count):
            seen, *_ = env.unwrapped.step({name: column[step] for name, column in store.actions(last).items()})
            writer.write(seen[None])
    env.close()
    print(f"{video}: {count + 1} frames; {world} is the world")


def run(*arguments: str) -> None:
    print(f"\n$ slowfast {' '.join(arguments)}", flush=True)
    status = slowfast(arguments)
    if status:
        sys.exit(status)


if __name__ == "__main__":
    tyro.cli(main, description=__doc__)
