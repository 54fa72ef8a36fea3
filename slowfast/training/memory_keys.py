"""An associative memory's first factors, learned from how a world sees the same frames again and again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch

from slowfast.datasets.sources import EpisodeSource
from slowfast.fast import MemoryRule
from slowfast.fast.adapters import AdapterLayout
from slowfast.fast.discriminant import discriminant
from slowfast.fast.generators import episode_generator
from slowfast.fast.retracing import WAYS, reader_for, retraced
from slowfast.fast.start import MemoryStart
from slowfast.heads.inverse_dynamics import InverseDynamics
from slowfast.slow.windows import ActionTensors, Windows, apart, concat_actions, select_actions
from slowfast.training.loop_store import read_windows
from slowfast.training.random import numpy_generator
from slowfast.world_model import WorldModel

STRETCHES = 42  # a stream of random numbers
LOOKS = 2
"""Of each kind: at a window's new frames together, and at each by itself; after true frames and half dreamed ones."""


@dataclass(frozen=True)
class KeyData:
    """``stretches`` of ``source``, latents of the world's codec, ``group`` of them at a time."""

    source: EpisodeSource
    stretches: int
    group: int
    seed: int


def learned_keys(
    world: WorldModel, rule: MemoryRule, data: KeyData, progress: Callable[..., None] | None = None
) -> tuple[MemoryStart, float, float]:
    """The start for an associative ``rule``, and what share of variance is between frames: of keys, and of the features
    that they are made of."""
    names = world.memory_layers(rule.layers)
    layout = AdapterLayout.of(world.slow.unet, names, rule.rank, rule.scaled_by)
    (layer,) = layout.layers
    inverse = reader_for(rule, world.inverse_dynamics)
    keys = discriminant(looks(world, layer.name, data, inverse, progress), layer.rank)
    start = MemoryStart({layer.name: keys.down}, rule.layers, rule.rank, world.base_hash)
    return start, keys.held, keys.held_before


@torch.no_grad()
def looks(
    world: WorldModel,
    layer: str,
    data: KeyData,
    inverse: InverseDynamics | None = None,
    progress: Callable[..., None] | None = None,
) -> Iterator[torch.Tensor]:
    """What reaches ``layer`` when the same frames are asked for in many ways, ``[frames, looks, in]`` a group.

    A stretch is a prefix, a chunk that is a prefix in turn, and the chunk that is asked for. The middle chunk is shown
    as it was, and mixed with what the world dreams of it, at a share that is drawn a look.
    """
    context, chunk = world.config.context, world.config.chunk
    for first, windows in enumerate(stretches(world, data)):
        generators = [episode_generator(data.seed, first, row) for row in range(len(windows.latents))]
        if inverse is not None:
            windows = _retraced(windows, first, world, inverse)
        true, whole = windows.latents, windows.actions
        made = world.imagine_latents(true[:, :context], whole, None, generators)
        dreamed = torch.cat([true[:, :context], made], 1)
        found = []
        for _ in range(LOOKS):
            shares = torch.stack([torch.rand((), generator=generator) for generator in generators])
            mixed = torch.lerp(true, dreamed, shares.to(true)[:, None, None, None, None])
            for shown in (true, mixed):
                found += _asked(world, layer, _last(shown, true, whole, context, chunk), generators)
        yield torch.stack(found, 1)
        if progress:
            progress(first + 1, -(-data.stretches // data.group))


def stretches(world: WorldModel, data: KeyData) -> Iterator[Windows]:
    """Windows of a context and two chunks (or as much as makes a second context) from random places of random episodes.

    Raises ValueError when no episode is so long, or its latents are not of the size of the world's.
    """
    context = world.config.context
    length = context + max(context, world.config.chunk) + world.config.chunk
    frames = np.asarray(data.source.lengths) + 1
    fitting = np.flatnonzero(frames >= length)
    if not len(fitting):
        raise ValueError(f"no training episode has the {length} frames that keys are learned from")
    drawn = numpy_generator(data.seed, STRETCHES)
    for first in range(0, data.stretches, data.group):
        chosen = drawn.choice(fitting, min(data.group, data.stretches - first))
        starts = drawn.integers(frames[chosen] - length + 1)
        windows = read_windows(world, data.source, chosen, starts, length)
        found, own = tuple(windows.latents.shape[2:]), world.latent_shape
        if found != own:
            raise ValueError(f"keys are learned from frames of the world's size, latents of {own}; these are {found}")
        yield windows


def _retraced(stretch: Windows, way: int, world: WorldModel, inverse: InverseDynamics) -> Windows:
    """As :func:`~slowfast.fast.retracing.retraced`; what turns round does so where the last chunk would begin."""
    if way % WAYS < WAYS - 1:
        return retraced(stretch, way, world.slow, inverse)
    chunk, length = world.config.chunk, stretch.latents.shape[1]
    seen = (slice(None), slice(0, length - chunk))
    turned = retraced(
        Windows(stretch.latents[seen], select_actions(stretch.actions, seen), length - 2 * chunk),
        way,
        world.slow,
        inverse,
    )
    before = (slice(None), slice(0, chunk))
    return Windows(
        torch.cat([stretch.latents[before], turned.latents], 1),
        concat_actions([select_actions(stretch.actions, before), turned.actions]),
        stretch.prefix,
    )


def _last(shown: torch.Tensor, true: torch.Tensor, actions: ActionTensors, context: int, chunk: int) -> Windows:
    """The last window, its prefix as ``shown``; new frames are the true ones."""
    latents = torch.cat([shown[:, -context - chunk : -chunk], true[:, -chunk:]], 1)
    return Windows(latents, select_actions(actions, (slice(None), slice(-context - chunk, None))), context)


def _asked(world: WorldModel, layer: str, windows: Windows, generators: list[torch.Generator]) -> list[torch.Tensor]:
    """Features ``[frames, in]`` of the windows' new frames: asked for together, and each by itself."""
    found: list[torch.Tensor] = []

    def hook(module: torch.nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        found.append(inputs[0])

    handle = world.slow.unet.get_submodule(layer).register_forward_hook(hook)
    features = []
    try:
        for asked in (windows, apart(windows)):
            world.slow.loss(asked, generators, levels="start")
            by_window = found.pop().unflatten(0, asked.latents.shape[:2])
            features.append(by_window[:, asked.prefix :].flatten(0, 1))
    finally:
        handle.remove()
    return features
