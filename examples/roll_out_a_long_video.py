"""Dream a long video from a list of actions, chunk by chunk, into an mp4.

    python examples/roll_out_a_long_video.py --frames 500 --out out/long.mp4

Chunks are chained as latents and written as they come, so memory use does not grow with the length.
`slowfast rollout` does the same from the command line.
"""

from __future__ import annotations

from pathlib import Path

import tyro

from slowfast import WorldModel
from slowfast.dream import Dream, repeated
from slowfast.video import VideoWriter

WALK = ["turn left"] * 16 + ["forward"] * 6 + ["turn right"] * 8


def main(
    world: str = "doom-rooms",
    frames: int = 500,
    memory: bool = True,
    start: int = 0,
    seed: int = 0,
    out: Path = Path("out/long.mp4"),
) -> None:
    model = WorldModel.from_pretrained(world)
    dream = Dream(model, memory=model.new_memory(seed=seed + 1) if memory else None, seed=seed)
    starts = model.starts
    dream.start(starts.frames[[start]], {name: column[[start]] for name, column in starts.actions.items()})

    actions = repeated(model.action_spec, [{"move": name} for name in WALK], frames)
    with VideoWriter(out, fps=model.config.fps or 8, scale=6) as video:
        for made in dream.rollout(actions):  # uint8 [1, n, H, W, 3]
            video.write(made[0])
            print(f"\r{video.frames} of {frames} frames", end="")
    print(f": {out}, {int(dream.updates[0])} memory updates")


if __name__ == "__main__":
    tyro.cli(main, description=__doc__)
