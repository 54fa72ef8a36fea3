"""How long one call of a world's parts takes: the denoiser beside diffusers' own network, and a whole dreamed frame."""

from __future__ import annotations

import inspect
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from diffusers import UNet3DConditionModel

from slowfast.dream import Dream, latent_shape
from slowfast.slow.windows import select_actions
from slowfast.world_model import WorldModel

DENOISER_FRAMES = 5


@torch.inference_mode()
def denoiser_ms(world: WorldModel, repeats: int) -> tuple[float, float]:
    """Median milliseconds of one call of the network on one window of five frames, in float32; and of diffusers' own
    ``UNet3DConditionModel`` of the same size, called in turn with it, which says how fast the machine was meanwhile."""
    inputs = _denoiser_inputs(world)
    known = inspect.signature(UNet3DConditionModel.__init__).parameters
    config = {name: value for name, value in world.slow.unet.config.items() if name in known}
    stock = UNet3DConditionModel(**config).eval()
    text = torch.randn(1, 1, stock.config["cross_attention_dim"])
    sample = inputs[0].transpose(1, 2)
    own, other = _median_ms([lambda: world.slow.predict(*inputs), lambda: stock(sample, 500, text)], repeats)
    return own, other


@torch.inference_mode()
def compiled_ms(name: str, repeats: int) -> float:
    """Median milliseconds of the same call as of :func:`denoiser_ms`, compiled."""
    world = WorldModel.from_pretrained(name, compile=True)
    inputs = _denoiser_inputs(world)
    return _median_ms([lambda: world.slow.predict(*inputs)], repeats)[0]


def step_ms(world: WorldModel, repeats: int) -> float:
    """Median milliseconds from one action to its frame, without a memory: all sampling steps and the decoder."""
    frames = np.zeros((1, world.config.context, *world.config.frame_size, 3), np.uint8)
    dream = Dream(world)
    dream.start(frames, world.action_spec.null((1, world.config.context - 1)))
    action = select_actions(world.slow.null_actions(1, 1), (slice(None), slice(0, 1)))
    return _median_ms([lambda: world.decode(dream.step(action))], repeats)[0]


def _denoiser_inputs(world: WorldModel) -> tuple[Any, ...]:
    """Latents, noise levels and actions of one window."""
    latents = torch.randn(1, DENOISER_FRAMES, *latent_shape(world))
    return latents, torch.full((1, DENOISER_FRAMES), 500.0), world.slow.null_actions(1, DENOISER_FRAMES)


def _median_ms(calls: Sequence[Callable[[], Any]], repeats: int) -> list[float]:
    """Of each call, taken in turns, after a tenth as many rounds that do not count."""
    times: list[list[float]] = [[] for _ in calls]
    for turn in range(repeats + max(repeats // 10, 1)):
        for call, found in zip(calls, times, strict=True):
            start = time.perf_counter()
            call()
            if turn >= max(repeats // 10, 1):
                found.append(1000 * (time.perf_counter() - start))
    return [statistics.median(found) for found in times]
