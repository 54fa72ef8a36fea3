"""A world with the first factors of its memories: learned from the memories of many training episodes."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from slowfast.fast import MemoryRule, memory_rule
from slowfast.fast.adapters import AdapterLayout
from slowfast.fast.start import FILE, MemoryStart, learned_start
from slowfast.world_folder import WorldConfig, find_world, read_config, write_config
from slowfast.world_model import WorldModel


def start_of(
    world: WorldModel, identity: dict[str, Any], memories: Iterable[torch.Tensor]
) -> tuple[MemoryStart, dict[str, float]]:
    """What :func:`~slowfast.fast.start.learned_start` makes of a store's ``memories``, rows ``[E, P]`` at a time.

    ``identity`` is the store's. Raises ValueError when it is of other weights than ``world``.
    """
    if identity["base_hash"] != world.base_hash:
        raise ValueError(
            f"these memories were learned on other weights (base {identity['base_hash']}, {world.config.name!r} is "
            f"{world.base_hash}): give the world that the round began with, or --data to learn new ones"
        )
    rule = MemoryRule(**identity["rule"])
    layout = AdapterLayout.of(world.slow.unet, world.memory_layers(rule.layers), rule.rank, rule.scaled_by)
    return learned_start(layout, memories, rule, world.base_hash)


def write_world(world: str | Path, start: MemoryStart, folder: Path) -> bool:
    """Writes ``world`` (name or folder) with ``start`` to ``folder``, weights byte for byte as they are.

    Its own rule begins with them from then on where it adapts the same layers at the same rank; returns whether it
    does. ``folder`` is exchanged as a whole.
    """
    folder = Path(folder)
    new, old = (folder.with_name(f".{folder.name}.{part}") for part in ("new", "old"))
    for leftover in (new, old):
        shutil.rmtree(leftover, ignore_errors=True)
    shutil.copytree(find_world(world), new)
    start.save(new / FILE)
    config = read_config(new)
    own = memory_rule(**{**config.memory, "start": "random"})
    fits = (own.layers, own.rank) == (start.layers, start.rank)
    if fits:
        write_config(new, replace(config, memory={**config.memory, "start": "learned"}))
    if folder.exists():
        os.rename(folder, old)
    os.rename(new, folder)
    shutil.rmtree(old, ignore_errors=True)
    return fits


def without_start(config: WorldConfig) -> WorldConfig:
    """``config`` of a world whose weights are about to change: a learned start would no longer belong to them."""
    return replace(config, memory={name: value for name, value in config.memory.items() if name != "start"})
