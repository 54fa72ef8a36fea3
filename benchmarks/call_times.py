"""How long one call of a world's parts takes: the denoiser beside diffusers' own network, and a whole dreamed frame."""

from __future__ import annotations

import inspect
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from diffusers import UNet3DConditionModel

from slowfast.dream import Dream
from slowfast.slow.compiled import RARE
from slowfast.slow.windows import select_actions
from slowfast.world_model import WorldModel

DENOISER_FRAMES = 5
BLOCKS = 10


@dataclass(frozen=True)
class CallTime:
    """Milliseconds of one call, in ``BLOCKS`` blocks of calls one after the other: the median block, and the quietest.

    A network is called again and again while a frame is sampled, so its weights are where the last call left them;
    between two calls of another network they would not be. What else runs on a machine can only make a block slower.
    """

    median: float
    quietest: float


def denoiser_ms(name: str, repeats: int, compiled: bool) -> dict[str, CallTime]:
    """One call of the world's network on one window of five frames, in float32; of diffusers' own
    ``UNet3DConditionModel`` of the same size, which says how fast the machine was meanwhile; and, if it is asked for,
    of the compiled network, which has to answer the same. ``repeats``: calls of each."""
    world = WorldModel.from_pretrained(name)
    quick = WorldModel.from_pretrained(name, compile=True) if compiled else None
    inputs = _denoiser_inputs(world)
    known = inspect.signature(UNet3DConditionModel.__init__).parameters
    config = {name: value for name, value in world.slow.unet.config.items() if name in known}
    stock = UNet3DConditionModel(**config).eval()
    text = torch.randn(1, 1, stock.config["cross_attention_dim"])
    sample = inputs[0].transpose(1, 2)
    calls = {"own": lambda: world.slow.predict(*inputs), "stock": lambda: stock(sample, 500, text)}
    if quick is not None:
        calls["compiled"] = lambda: quick.slow.predict(*inputs)
    with torch.inference_mode():
        if quick is not None:
            for _ in range(RARE + 1):  # the last of them is compiled
                answer = calls["compiled"]()
            torch.testing.assert_close(answer, calls["own"](), rtol=1e-4, atol=1e-4)
        return dict(zip(calls, _call_times(list(calls.values()), repeats), strict=True))


def step_ms(world: WorldModel, repeats: int) -> float:
    """Median milliseconds from one action to its frame, without a memory: all sampling steps and the decoder."""
    frames = np.zeros((1, world.config.context, *world.config.frame_size, 3), np.uint8)
    dream = Dream(world)
    dream.start(frames, world.action_spec.null((1, world.config.context - 1)))
    action = select_actions(world.slow.null_actions(1, 1), (slice(None), slice(0, 1)))
    return _median_ms(lambda: world.decode(dream.step(action)), repeats)


def _denoiser_inputs(world: WorldModel) -> tuple[Any, ...]:
    """Latents, noise levels and actions of one window."""
    latents = torch.randn(1, DENOISER_FRAMES, *world.latent_shape)
    return latents, torch.full((1, DENOISER_FRAMES), 500.0), world.slow.null_actions(1, DENOISER_FRAMES)


def _call_times(calls: Sequence[Callable[[], Any]], repeats: int) -> list[CallTime]:
    """Of each call, after some that do not count; blocks of different calls take turns."""
    blocks: list[list[float]] = [[] for _ in calls]
    for _ in range(BLOCKS):
        for call, found in zip(calls, blocks, strict=True):
            found.append(_median_ms(call, max(repeats // BLOCKS, 1)))
    return [CallTime(statistics.median(found), min(found)) for found in blocks]


def _median_ms(call: Callable[[], Any], repeats: int) -> float:
    """The median of ``repeats`` calls, after a tenth as many that do not count (one at least)."""
    times = []
    for turn in range(repeats + max(repeats // 10, 1)):
        start = time.perf_counter()
        call()
        if turn >= max(repeats // 10, 1):
            times.append(1000 * (time.perf_counter() - start))
    return statistics.median(times)
