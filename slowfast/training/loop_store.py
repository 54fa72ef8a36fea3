"""The inner loop of Algorithm 1(b): pairs of real chunks with the memory of everything before them, on disk.

A round's store is a folder of ``memories-NNNNN.safetensors``, one a group of episodes: ``rows`` ``float16 [n, E, P]``,
each episode's adapter before each of its n updates (so the first has no effect), and in the header what they depend on.
Rows are read one at a time from the mapped file.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from slowfast.actions import Columns
from slowfast.datasets.episode import DatasetError
from slowfast.datasets.files import remove_leftovers, replacing
from slowfast.datasets.sources import EpisodeSource
from slowfast.fast import EpisodicMemory, MemoryRule
from slowfast.fast.generators import episode_generator
from slowfast.slow.windows import Windows
from slowfast.training.loop_config import LoopConfig
from slowfast.training.random import numpy_generator
from slowfast.world_model import WorldModel

HEADER = "slowfast_loop"
EPISODES, PLACES = 40, 41  # streams of random numbers


@dataclass(frozen=True)
class Pair:
    """One entry: the window of ``context + chunk`` frames from ``start`` on in ``episode``, and where its memory is."""

    episode: int
    start: int
    file: int
    update: int
    row: int


class MemoryStore:
    """The adapters of a round's pairs. Raises DatasetError where those in ``folder`` are not of ``identity``."""

    def __init__(self, folder: Path, identity: dict[str, Any]) -> None:
        self._files = []
        for path in sorted(Path(folder).glob("memories-*.safetensors")):
            file = safe_open(path, framework="pt")
            if json.loads(file.metadata()[HEADER]) != identity:
                raise DatasetError(
                    f"{path}: memories of other weights, another rule or other settings; delete {folder}"
                )
            self._files.append(file)
        if not self._files:
            raise DatasetError(f"{folder}: no memories-NNNNN.safetensors; build the store first")

    def rows(self, pairs: Sequence[Pair]) -> torch.Tensor:
        """Their adapters, ``float32 [B, P]``."""
        found = [
            self._files[pair.file].get_slice("rows")[pair.update : pair.update + 1, pair.row : pair.row + 1][0, 0]
            for pair in pairs
        ]
        return torch.stack(found).float()


def last_memories(folder: Path) -> tuple[dict[str, Any], Iterator[torch.Tensor]]:
    """What identifies the store in ``folder``, and group by group the memories of its episodes before their last
    update, ``float32 [E, P]``. Raises DatasetError where there are none, or those of several settings."""
    paths = sorted(Path(folder).glob("memories-*.safetensors"))
    headers = []
    for path in paths:
        with safe_open(path, framework="pt") as file:
            headers.append(json.loads((file.metadata() or {}).get(HEADER, "null")))
    if not paths or None in headers:
        raise DatasetError(f"{folder} is no store of memories: `slowfast loop` writes RUN/round-NN/memories")
    for path, header in zip(paths, headers, strict=True):
        if header != headers[0]:
            raise DatasetError(f"{path}: of other weights, another rule or other settings than {paths[0].name}")

    def read() -> Iterator[torch.Tensor]:
        for path in paths:
            with safe_open(path, framework="pt") as file:
                yield file.get_slice("rows")[-1:][0].float()

    return headers[0], read()


def draw_pairs(world: WorldModel, episodes: np.ndarray, starts: np.ndarray, config: LoopConfig) -> list[Pair]:
    """All pairs of a round, group by group, update by update: a function of the settings, with or without memories."""
    found = []
    for number, first in enumerate(range(0, len(episodes), config.group)):
        part = slice(first, first + config.group)
        found += [
            Pair(int(episode), int(start) + offset, number, update, row)
            for update, offset in enumerate(offsets(world, config))
            for row, (episode, start) in enumerate(zip(episodes[part], starts[part], strict=True))
        ]
    return found


def offsets(world: WorldModel, config: LoopConfig) -> range:
    """Where the windows of an episode begin: a chunk apart."""
    return range(0, config.frames - world.config.context - world.config.chunk + 1, world.config.chunk)


def build(
    world: WorldModel,
    source: EpisodeSource,
    rule: MemoryRule,
    config: LoopConfig,
    seed: int,
    number: int,
    folder: Path,
    share: tuple[int, int] = (0, 1),
    progress: Callable[..., None] | None = None,
) -> dict[str, Any]:
    """Runs the inner loop of round ``number`` with Φ frozen, group by group; finished groups are kept.

    ``source`` holds latents of ``world.codec``. ``share``: (rank, processes); each builds every ``processes``-th group.
    Returns what identifies the store. Raises ValueError for a rule that learns nothing.
    """
    if not rule.steps:
        raise ValueError(f"memory rule {rule.name!r} learns in 0 steps: there is nothing to store; choose another")
    chosen, starts = draw_episodes(source, config, seed, number)
    folder = Path(folder)
    identity = {
        "base_hash": world.base_hash,
        "rule": rule.settings(),
        "learns": config.learns,
        "episodes": config.episodes,
        "frames": config.frames,
        "group": config.group,
        "seed": [seed, number],
    }
    if rule.start == "learned":
        begun = world.new_memory(1, seed, rule).start
        identity["start"] = begun and begun.digest
    remove_leftovers(folder)
    groups = range(0, len(chosen), config.group)
    for count, first in enumerate(groups):
        path = folder / f"memories-{count:05d}.safetensors"
        if count % share[1] == share[0] and not path.exists():
            part = slice(first, first + config.group)
            memory_seed = int(np.random.SeedSequence((seed, number, count)).generate_state(1)[0])
            memory = world.new_memory(len(chosen[part]), memory_seed, rule)
            rows = inner_loop(world, source, chosen[part], starts[part], memory, config, memory_seed)
            with replacing(path) as temporary:
                save_file({"rows": rows}, temporary, {HEADER: json.dumps(identity)})
        if progress:
            progress(count + 1, len(groups))
    return identity


def draw_episodes(source: EpisodeSource, config: LoopConfig, seed: int, number: int) -> tuple[np.ndarray, np.ndarray]:
    """Episodes ``int64 [N]`` of a round and the frame that each begins at.

    Raises ValueError when there are not enough episodes of ``config.frames`` frames.
    """
    fitting = np.flatnonzero(np.asarray(source.lengths) + 1 >= config.frames)
    if len(fitting) < config.episodes:
        raise ValueError(
            f"{len(fitting)} training episodes have {config.frames} frames, the loop takes {config.episodes}"
        )
    order = numpy_generator(seed, EPISODES).permutation(fitting)
    first = number * config.episodes
    chosen = np.take(order, np.arange(first, first + config.episodes), mode="wrap")
    spare = np.asarray(source.lengths)[chosen] + 1 - config.frames
    return chosen, numpy_generator(seed, PLACES, number).integers(spare + 1)


def inner_loop(
    world: WorldModel,
    source: EpisodeSource,
    episodes: np.ndarray,
    starts: np.ndarray,
    memory: EpisodicMemory,
    config: LoopConfig,
    seed: int,
) -> torch.Tensor:
    """Adapters before each update, ``float16 [n, E, P]``."""
    rows = []
    generators = [episode_generator(seed, row) for row in range(len(episodes))]
    for offset in offsets(world, config):
        rows.append(memory.snapshot().rows.to("cpu", torch.float16))
        windows = read_windows(world, source, episodes, starts + offset)
        if config.learns == "generated":
            windows = generated(world, windows, memory, generators)
        memory.study(windows)
    return torch.stack(rows)


@torch.no_grad()
def generated(
    world: WorldModel, windows: Windows, memory: EpisodicMemory, generators: Sequence[torch.Generator]
) -> Windows:
    """``windows`` with what the model (in eval mode) makes of their prefix in place of the chunk that follows it."""
    prefix = windows.latents[:, : windows.prefix]
    with memory.attached():
        made = world.slow.generate(prefix, windows.actions, windows.latents.shape[1] - windows.prefix, generators)
    return Windows(torch.cat([prefix, made], 1), windows.actions, windows.prefix)


def read_windows(
    world: WorldModel,
    source: EpisodeSource,
    episodes: Sequence[int] | np.ndarray,
    starts: np.ndarray,
    length: int | None = None,
) -> Windows:
    """``length`` frames (default: ``context + chunk``) of each episode from ``starts`` on, on the world's device, with
    their actions."""
    context, length = world.config.context, length or world.config.context + world.config.chunk
    places = [(int(i), int(start), int(start) + length) for i, start in zip(episodes, starts, strict=True)]
    latents = torch.from_numpy(np.stack([source.read(*place) for place in places])).to(world.device)
    columns = [led_in(source, i, start, stop) for i, start, stop in places]
    return Windows(latents, world.action_tensors(source.spec.stack(columns)), context)


def led_in(source: EpisodeSource, episode: int, start: int, stop: int) -> Columns:
    """The action that led into each of the frames ``start .. stop - 1``; null for an episode's first."""
    spec = source.spec
    actions = source.actions(episode)
    if start > 0:
        return spec.select(actions, slice(start - 1, stop - 1))
    return spec.concat([spec.null((1,)), spec.select(actions, slice(0, stop - 1))])
