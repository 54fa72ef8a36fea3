"""What the single and the vector dream environment share: choices, spaces, a loaded world, frames to start from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gymnasium import spaces

from slowfast.actions import Columns
from slowfast.dream import Actions
from slowfast.fast.choosing import MEMORIES
from slowfast.world_model import WorldModel

OBSERVATIONS = ("frames", "latents")
DEFAULT_FPS = 8.0
"""For showing a world whose time has no unit."""


def check_choices(memory: str, observation: str, has_rule: bool) -> None:
    """Raises ValueError for what is not known, and for a memory rule without a memory."""
    for name, value, known in (("memory", memory, MEMORIES), ("observation", observation, OBSERVATIONS)):
        if value not in known:
            raise ValueError(f"{name}={value!r} is not one of {', '.join(map(repr, known))}")
    if memory == "off" and has_rule:
        raise ValueError("memory_rule and memory_every say how a memory learns: they need one, not memory='off'")


def observation_space(world: WorldModel, observation: str) -> spaces.Box:
    """Of ``frames`` ``uint8 [H, W, 3]``, or of ``latents`` ``float32 [C, h, w]``."""
    if observation == "frames":
        return spaces.Box(0, 255, (*world.config.frame_size, 3), np.uint8)
    return spaces.Box(-np.inf, np.inf, world.latent_shape, np.float32)


def starting_point(
    world: WorldModel, options: Mapping[str, Any], random: np.random.Generator
) -> tuple[np.ndarray, Actions, int]:
    """Frames ``[T, H, W, 3]``, actions ``[1, T - 1]``, and the index of the start or -1, as ``options`` ask for them.

    Raises ValueError for options that make no sense, FileNotFoundError where a world has no starts.
    """
    if set(options) not in (set(), {"start"}, {"frames"}, {"frames", "actions"}):
        raise ValueError(f"reset takes 'start', or 'frames' and 'actions', as options; got {sorted(options)}")
    if "frames" in options:
        frames = np.asarray(options["frames"])
        if frames.ndim != 4 or not len(frames):
            raise ValueError(f"reset option 'frames' has to be uint8 [T, H, W, 3], got {frames.shape}")
        if "actions" not in options and len(frames) > 1:
            raise ValueError(f"{len(frames)} frames need the {len(frames) - 1} actions between them as 'actions'")
        return frames, one_episode(options.get("actions", ())), -1
    starts = world.starts
    chosen = int(options["start"] if "start" in options else random.integers(len(starts)))
    if not 0 <= chosen < len(starts):
        raise ValueError(f"reset option 'start' is 0..{len(starts) - 1}, got {chosen}")
    return starts.frames[chosen], {name: column[chosen, None] for name, column in starts.actions.items()}, chosen


def loaded_world(
    world: str | Path | WorldModel, device: torch.device | str | None, dtype: torch.dtype | str | None, compile: bool
) -> WorldModel:
    """``world`` itself if it is loaded, else by name or folder; ``dtype`` may be the name of a type of torch."""
    if isinstance(world, WorldModel):
        if device is not None or dtype is not None or compile:
            raise ValueError(
                "device, dtype and compile are for a world that is loaded here; this one is loaded already"
            )
        return world
    kind = getattr(torch, dtype, None) if isinstance(dtype, str) else dtype or torch.float32
    if not isinstance(kind, torch.dtype):
        raise ValueError(f"dtype={dtype!r} is not a type of torch, such as 'float32' or 'bfloat16'")
    return WorldModel.from_pretrained(world, device or "cpu", kind, compile)


def one_episode(actions: Sequence[Any] | Columns) -> Actions:
    """A batch of one episode's actions."""
    if isinstance(actions, Mapping):
        return {name: np.asarray(column)[None] for name, column in actions.items()}
    return [list(actions)]
