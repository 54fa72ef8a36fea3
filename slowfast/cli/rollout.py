"""Let a learned world dream a long video."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from slowfast import config as configs
from slowfast.cli.progress import Bar
from slowfast.slow.config import SamplingConfig

if TYPE_CHECKING:
    import numpy as np

    from slowfast.actions import ActionSpec, Columns
    from slowfast.world_model import WorldModel

WATCHABLE_SIDE = 384
DEFAULT_FPS = 8.0


@dataclass(frozen=True)
class Rollout:
    """Let a learned world dream a long video and write it as an mp4, chunk by chunk: memory use does not grow.

    Example:
        slowfast rollout --actions "turn left*16, forward*4" --frames 500 --memory temp_lora --out out/rollout.mp4
    """

    out: Path
    """The mp4 to write; it appears when it is complete, with the settings in a .yaml of the same name."""
    world: str = "doom-rooms"
    """Name of a world that ships, or a folder."""
    actions: str = "random"
    """Names or indices, with commas between and *n for n times, over and over; a .json or .txt file; or random."""
    frames: int = 500
    """How many frames are dreamed."""
    memory: Literal["off", "temp_lora", "retrieval", "hybrid"] = "off"
    """temp_lora learns the video while it is made, retrieval shows its earlier frames again, hybrid does both."""
    memory_rule: str | None = None
    """How the memory learns (paper, ancestor, episodic, readout, imprint, associative); else as the world says."""
    memory_every: int | None = None
    """New frames between two memory updates; by default one chunk."""
    start: int | None = None
    """Which of the world's starts to begin at; by default the seed picks one."""
    frames_from: Path | None = None
    """Begin elsewhere: at a picture, or at the end of an episode (.h5), which the memory is taught as a whole."""
    seed: int = 0
    """Of the start, the random actions, the noise and the memory."""
    chunk: int | None = None
    """Frames made at once; by default as many as the world can."""
    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    """How frames are sampled, where not as the world's own: with 8 steps and shift 1 long videos stay sharper."""
    fps: float | None = None
    """Of the video; by default the world's own."""
    scale: int | None = None
    """Whole number by which the picture is enlarged; by default to at least 384 pixels."""
    device: str = "cpu"
    """cpu, cuda, cuda:1, ..."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Of the weights."""
    compile: bool = False
    """Compile the network first; pays for long videos."""

    def __post_init__(self) -> None:
        for name in ("frames", "chunk", "scale", "memory_every"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} has to be at least 1, got {value}")
        if self.seed < 0:
            raise ValueError(f"seed has to be at least 0, got {self.seed}")
        if self.start is not None and self.frames_from is not None:
            raise ValueError("start and frames_from both say where to begin: give one")
        if self.memory == "off" and (self.memory_rule is not None or self.memory_every is not None):
            raise ValueError("memory_rule and memory_every need a memory")


def run(config: Rollout) -> int:
    import numpy as np
    import torch

    from slowfast.dream import Dream, repeated
    from slowfast.video import VideoWriter
    from slowfast.world_model import WorldModel

    world = WorldModel.from_pretrained(config.world, config.device, getattr(torch, config.dtype), config.compile)
    world.slow.set_sampling(config.sampling)
    random = np.random.default_rng(config.seed)
    dream_seed, memory_seed, action_seed = (int(number) for number in random.integers(2**31, size=3))
    actions = repeated(world.action_spec, parse_actions(config, world.action_spec, action_seed), config.frames)
    memory = None
    if config.memory != "off":
        rule = world.memory_rule(config.memory_rule, config.memory_every, config.memory)
        memory = world.new_memory(1, memory_seed, rule)
    dream = Dream(world, 1, memory, dream_seed)
    dream.start(*starting_point(config, world, random))

    fps = config.fps or world.config.fps or DEFAULT_FPS
    scale = config.scale or max(1, -(-WATCHABLE_SIDE // min(world.config.frame_size)))
    began = time.perf_counter()
    with VideoWriter(config.out, fps, scale) as video, Bar("rollout", unit="frame") as bar:
        bar(0, config.frames)
        for made in dream.rollout(actions, config.chunk):
            video.write(made[0])
            bar(video.frames, config.frames, updates=int(dream.updates[0]))
    configs.save(config, config.out.with_suffix(".yaml"))
    rate = config.frames / (time.perf_counter() - began)
    print(f"{config.out}: {config.frames} frames, {rate:.1f} frames/s, {int(dream.updates[0])} memory updates")
    return 0


def starting_point(config: Rollout, world: WorldModel, random: np.random.Generator) -> tuple[np.ndarray, Columns]:
    """Frames ``uint8 [1, T, H, W, 3]`` to begin from and the actions ``[1, T - 1]`` between them."""
    import numpy as np

    if config.frames_from is None:
        starts = world.starts
        chosen = int(random.integers(len(starts))) if config.start is None else config.start
        if not 0 <= chosen < len(starts):
            raise ValueError(f"start is 0..{len(starts) - 1} for the world {world.config.name!r}, got {chosen}")
        return starts.frames[chosen, None], {name: column[chosen, None] for name, column in starts.actions.items()}
    if config.frames_from.suffix == ".h5":
        from slowfast.datasets.hdf5 import open_file, read_episode

        with open_file(config.frames_from) as file:
            episode = read_episode(file)
        if episode.spec != world.action_spec:
            raise ValueError(f"{config.frames_from}: its actions are not those of the world {world.config.name!r}")
        frames = episode.frames[sorted(episode.frames)[0]]
        return frames[None], {name: column[None] for name, column in episode.actions.items()}
    from PIL import Image

    height, width = world.config.frame_size
    with Image.open(config.frames_from) as picture:
        small = picture.convert("RGB").resize((width, height), Image.Resampling.BOX)
    return np.array(small)[None, None], world.action_spec.null((1, 0))


def parse_actions(config: Rollout, spec: ActionSpec, seed: int) -> list[Any]:
    """The actions to repeat. Raises ValueError for what is no action of the world."""
    if config.actions == "random":
        space = spec.to_space()
        space.seed(seed)
        return [space.sample() for _ in range(config.frames)]
    text = config.actions
    if Path(text).suffix in (".json", ".txt"):
        text = Path(text).read_text(encoding="utf-8")
        if config.actions.endswith(".json"):
            import json

            listed = json.loads(text)
            if not isinstance(listed, list) or not listed:
                raise ValueError(f"{config.actions}: expected a JSON list of actions")
            return [_named(item, spec) if isinstance(item, str) else item for item in listed]
    return parse_pattern(text, spec)


def parse_pattern(text: str, spec: ActionSpec) -> list[Any]:
    """``"turn left*16, 2*4"`` as a list of actions; commas and line breaks separate."""
    actions: list[Any] = []
    for item in text.replace("\n", ",").split(","):
        if not item.strip():
            continue
        name, _, times = (part.strip() for part in item.partition("*"))
        if not name or ("*" in item and not times.isdigit()):
            raise ValueError(f"actions: {item.strip()!r} is not a name, an index, or one of them *times")
        actions += [int(name) if name.isdigit() else _named(name, spec)] * int(times or 1)
    if not actions:
        raise ValueError(f"actions: no action in {text!r}")
    return actions


def _named(name: str, spec: ActionSpec) -> Any:
    """A label of a discrete component if the world has one, so that a misspelt name is an error; else language."""
    from slowfast.actions import Discrete

    discrete = [component for component in spec.components if isinstance(component, Discrete)]
    return {discrete[0].name: discrete[0].parse(name)} if discrete else name
