"""Step a learned world with random actions, and save what it shows as a GIF.

python examples/step_the_dream.py --steps 60 --out out/dream.gif
"""

from __future__ import annotations

from pathlib import Path

import gymnasium
import tyro
from PIL import Image

import slowfast  # noqa: F401 - registers slowfast/Dream-v0


def main(
    world: str = "doom-rooms",
    memory: str = "temp_lora",
    steps: int = 60,
    seed: int = 0,
    out: Path = Path("out/dream.gif"),
) -> None:
    env = gymnasium.make("slowfast/Dream-v0", world=world, memory=memory)
    env.action_space.seed(seed)
    frame, info = env.reset(seed=seed)
    frames = [frame]
    for _ in range(steps):
        frame, _, terminated, truncated, info = env.step(env.action_space.sample())
        frames.append(frame)
        if terminated or truncated:
            break
    env.close()

    pictures = [Image.fromarray(frame).resize((256, 256), Image.Resampling.NEAREST) for frame in frames]
    out.parent.mkdir(parents=True, exist_ok=True)
    pictures[0].save(out, save_all=True, append_images=pictures[1:], duration=125, loop=0)
    print(f"{out}: {len(frames)} frames, {info['memory_updates']} memory updates")


if __name__ == "__main__":
    tyro.cli(main, description=__doc__)
