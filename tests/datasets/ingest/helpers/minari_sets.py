"""Minari data sets of random values, written by minari itself."""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import minari
import numpy as np
from clips import counting
from gymnasium import spaces
from minari.data_collector import EpisodeBuffer

from slowfast.datasets.ingest.formats import SourceOptions, open_source
from slowfast.datasets.ingest.recording import Recording

KINDS = ("hdf5", "arrow", "parquet")
PICTURE = spaces.Box(0, 255, (32, 32, 3), np.uint8)
OBSERVATIONS = spaces.Dict(
    front=PICTURE,
    grey=spaces.Box(0, 255, (40, 36), np.uint8),
    speed=spaces.Box(-1, 1, (2,), np.float32),
    direction=spaces.Discrete(4),
    body=spaces.Tuple((spaces.Box(-1, 1, (2, 2), np.float32), spaces.MultiBinary(3))),
    mission=spaces.Text(20),
)
ACTIONS = spaces.Dict(
    move=spaces.Discrete(3, start=1),
    turn=spaces.Box(-1, 1, (2, 2), np.float32),
    keys=spaces.MultiBinary(2),
    gears=spaces.MultiDiscrete([3, 4]),
    say=spaces.Text(10),
)


def episode(steps: int, first: int, observations: Any = OBSERVATIONS, actions: Any = ACTIONS) -> EpisodeBuffer:
    """Random values of the spaces; the pictures of rank 3 show ``first`` and the numbers after it."""
    rng = np.random.default_rng(first)

    def draw(space: Any, count: int) -> Any:
        if isinstance(space, spaces.Dict):
            return {key: draw(part, count) for key, part in space.spaces.items()}
        if isinstance(space, spaces.Tuple):
            return tuple(draw(part, count) for part in space.spaces)
        if isinstance(space, spaces.Text):
            return ["go there"] * count
        if space == PICTURE:
            return counting(count, 32, first)
        space.seed(int(rng.integers(2**31)))
        return np.stack([space.sample() for _ in range(count)])

    infos = {"pose": rng.normal(size=(steps + 1, 3)), "at": {"room": np.arange(steps + 1)}}
    ends = np.arange(steps) == steps - 1
    return EpisodeBuffer(
        seed=first,
        observations=draw(observations, steps + 1),
        actions=draw(actions, steps),
        rewards=list(rng.normal(size=steps)),
        terminations=list(ends),
        truncations=[False] * steps,
        infos=infos,
    )


def written(
    name: str,
    kind: str = "hdf5",
    steps: Sequence[int] = (6, 9),
    observations: Any = OBSERVATIONS,
    actions: Any = ACTIONS,
    jpeg: bool = True,
    **described: Any,
) -> Any:
    starts = np.cumsum([0, *(count + 1 for count in steps)])
    episodes = [episode(count, int(first), observations, actions) for count, first in zip(steps, starts, strict=False)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of descriptions that are missing
        return minari.create_dataset_from_buffers(
            name,
            episodes,
            observation_space=observations,
            action_space=actions,
            data_format=kind,
            jpeg_encoding=jpeg,
            **described,
        )


def opened(source: Path | str, **options: Any) -> Any:
    return open_source(source, "minari", SourceOptions(**options))[1]


def shown(recording: Recording, camera: str) -> np.ndarray:
    return np.stack(list(recording.frames[camera]()))


def change_metadata(home: Path, name: str, **changes: Any) -> None:
    path = home / name / "data/metadata.json"
    metadata = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps({key: value for key, value in metadata.items() if value is not None}))
