"""The world that a slow learner's training starts from: a codec, and a network that is new or was trained before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from slowfast.codecs import Codec, load_codec
from slowfast.datasets.sources import EpisodeSource
from slowfast.slow.build import SchedulerConfig, UNetConfig, create, with_actions
from slowfast.slow.masked_diffusion import MaskedDiffusionConfig
from slowfast.world_folder import WorldConfig
from slowfast.world_model import WorldModel

Phrases = Mapping[str, Sequence[str]]


def world_config(
    source: EpisodeSource,
    name: str,
    context: int,
    chunk: int,
    memory: dict[str, Any],
    memory_kind: str | None = None,
) -> WorldConfig:
    """Settings of a world like the one that ``source`` (frames) was recorded in."""
    if source.key != "frames":
        raise ValueError(f"the validation data set holds {source.key}; it has to hold frames")
    metadata = source.metadata(0)
    environment = None
    if metadata.get("environment"):
        environment = {"id": metadata["environment"], "kwargs": metadata.get("environment_arguments", {})}
    height, width = source.shape(0)[:2]
    fit = metadata.get("frames", {}).get("fit")  # said by ingestion
    return WorldConfig(name, (height, width), context, chunk, _fps(source), memory, environment, memory_kind, fit)


def new_world(
    config: WorldConfig,
    source: EpisodeSource,
    codec: Path,
    parts: tuple[UNetConfig, SchedulerConfig, MaskedDiffusionConfig],
    phrases: Phrases,
    seed: int,
) -> WorldModel:
    """A world with random weights for the actions of ``source``; the codec is kept as it is."""
    loaded = _frozen(load_codec(codec))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        slow = create(source.spec, loaded.latent_channels, *parts, phrases)
    return WorldModel(config, loaded, slow)


def world_from(
    config: WorldConfig, source: EpisodeSource, trained: str, codec: Path | None, phrases: Phrases, seed: int
) -> WorldModel:
    """The network of the world ``trained`` (name or folder), with an action encoder for the actions of ``source``.

    Raises ValueError when ``codec`` makes latents of another size than the network takes.
    """
    old = WorldModel.from_pretrained(trained)
    loaded = _frozen(load_codec(codec)) if codec else old.codec
    channels = int(old.slow.unet.config["in_channels"])
    if loaded.latent_channels != channels:
        raise ValueError(
            f"{codec} has {loaded.latent_channels} latent channels, the network of {trained} takes {channels}"
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        slow = with_actions(old.slow, source.spec, phrases)
    slow.requires_grad_(True)
    if slow.actions.text.frozen:
        slow.actions.text.requires_grad_(False)
    return WorldModel(config, loaded, slow)


def _frozen(codec: Codec) -> Codec:
    assert isinstance(codec, nn.Module)
    return codec.requires_grad_(False).eval()


def _fps(source: EpisodeSource) -> float | None:
    whole = getattr(source, "whole", source)
    return float(whole.fps(0)) if hasattr(whole, "fps") else None
