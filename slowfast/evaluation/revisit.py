"""Does a world remember? Views that were seen once are dreamed again, with and without memory, beside the truth.

Observed recall over unseen worlds, all in one batch and one stacked memory: a real lap is seen and taught, then the
same lap is dreamed from its last f_p true frames, and the memory is only read. All arms start from the same noise, one
generator a world. Errors are averaged before they are divided or turned into decibels.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import numpy as np
import torch

from slowfast.evaluation.intervals import Comparison, compare
from slowfast.evaluation.one_chunk import decibels, squared_errors
from slowfast.evaluation.recall.teaching import Progress, Taught, neighbours, teach
from slowfast.evaluation.tours import Stage, Tours
from slowfast.fast import EpisodicMemory, MemoryRule
from slowfast.fast.generators import episode_generator
from slowfast.slow.windows import ActionTensors, select_actions
from slowfast.world_model import WorldModel

ARMS = ("on", "off", "other")
"""The worlds' own memories, none, and each world with its neighbour's memory."""


@dataclass(frozen=True)
class RevisitConfig:
    """``seed``: of noise and memories. ``rule``: how the memory learns; None as the world says. ``draws``: of the
    bootstrap over worlds."""

    seed: int = 0
    rule: str | MemoryRule | None = None
    draws: int = 4000


@dataclass(frozen=True)
class ArmErrors:
    """Mean squared errors of one arm against the truth: ``latent_*`` of normalised latents (None for the codec, whose
    latents of the truth are the reference), ``pixel_*`` of 8-bit frames. ``*_frames``: a value a dreamed frame,
    averaged over worlds; ``*_worlds``: a value a world, averaged over frames. ``psnr``: dB, of the averaged error."""

    pixel: float
    pixel_frames: list[float]
    pixel_worlds: list[float]
    psnr: float
    psnr_frames: list[float]
    latent: float | None = None
    latent_frames: list[float] | None = None
    latent_worlds: list[float] | None = None


@dataclass(frozen=True)
class Effect:
    """One arm against another in latents and in pixels."""

    latent: Comparison
    pixel: Comparison


@dataclass(frozen=True)
class Recall:
    """Seen, then dreamed.

    ``arms``: ``on``, ``off``, ``other``, ``repeat`` (the last true frame, repeated), ``codec`` (the truth through the
    codec: the ceiling). ``effects``: ``memory`` (on against off), ``other_memory`` (other against off), ``own_memory``
    (on against other). ``since_seen``: for each dreamed frame, the least number of frames, over worlds, since its view
    was last really seen (-1: in no world).
    """

    worlds: int
    seen: int
    dreamed: int
    stages: list[Stage]
    since_seen: list[int]
    arms: dict[str, ArmErrors]
    effects: dict[str, Effect]
    taught: Taught
    dream_seconds: float


Frames = dict[str, np.ndarray]
"""Arm to ``uint8 [W, n, H, W, 3]``; ``truth`` is among them."""


def measure_recall(
    world: WorldModel,
    tours: Tours,
    seen: int,
    stages: list[Stage],
    config: RevisitConfig | None = None,
    progress: Progress | None = None,
) -> tuple[Recall, Frames]:
    """The first ``seen`` actions of the tours are shown and taught, what follows is dreamed; the frames are those.

    Raises ValueError for fewer than two worlds (another world's memory is one of the arms) or a ``seen`` that leaves
    no context or nothing to dream.
    """
    config = config or RevisitConfig()
    total = tours.frames.shape[1] - 1
    if len(tours) < 2:
        raise ValueError("recall needs at least two worlds: each is also dreamed with another one's memory")
    if not world.config.context - 1 <= seen < total:
        raise ValueError(f"of {total} actions {world.config.context - 1} to {total - 1} can be seen, not {seen}")
    latents, actions = encoded(world, tours)
    dream_seed, memory_seed = seeds(config.seed)
    memory = world.new_memory(len(tours), memory_seed, config.rule)
    taught = teach(memory, latents[:, : seen + 1], select_actions(actions, _until(seen + 1)), progress)

    began = time.perf_counter()
    window = (slice(None), slice(seen + 1 - world.config.context, None))
    context, around = latents[:, window[1]][:, : world.config.context], select_actions(actions, window)
    made = {}
    for arm in ARMS:
        generators = [episode_generator(dream_seed, number) for number in range(len(tours))]
        made[arm] = world.imagine_latents(context, around, memory_of(arm, memory), generators)
    seconds = time.perf_counter() - began
    truth = latents[:, seen + 1 :]
    made["repeat"] = latents[:, seen, None].expand_as(truth)

    frames: Frames = {arm: decoded(world, made[arm]) for arm in ARMS}
    frames["truth"] = tours.frames[:, seen + 1 :]
    frames["repeat"] = np.broadcast_to(tours.frames[:, seen, None], frames["truth"].shape)
    frames["codec"] = decoded(world, truth)
    arms = {arm: arm_errors(frames[arm], frames["truth"], made.get(arm), truth) for arm in (*ARMS, "repeat", "codec")}
    since_seen = tours.frames_since_seen(seen)
    return Recall(
        worlds=len(tours),
        seen=seen,
        dreamed=total - seen,
        stages=stages,
        since_seen=since_seen.min(0).tolist(),
        arms=arms,
        effects={
            "memory": effect(arms["on"], arms["off"], config),
            "other_memory": effect(arms["other"], arms["off"], config),
            "own_memory": effect(arms["on"], arms["other"], config),
        },
        taught=taught,
        dream_seconds=seconds,
    ), frames


def seeds(seed: int) -> tuple[int, int]:
    """Seeds of the dreams' noise and of the memories, from one."""
    dream, memory = np.random.SeedSequence(seed).generate_state(2)
    return int(dream), int(memory)


def encoded(world: WorldModel, tours: Tours) -> tuple[torch.Tensor, ActionTensors]:
    """Latents ``[W, T + 1, C, h, w]`` and the action that led into each frame (unknown for the first)."""
    latents = torch.cat([world.encode(frames[None]) for frames in tours.frames])
    spec = world.action_spec
    return latents, world.action_tensors(spec.concat([spec.null((len(tours), 1)), tours.actions], axis=1))


def decoded(world: WorldModel, latents: torch.Tensor) -> np.ndarray:
    """``uint8 [W, n, H, W, 3]``, a world at a time."""
    return np.concatenate([world.decode(part[None]) for part in latents])


def memory_of(arm: str, memory: EpisodicMemory) -> EpisodicMemory | None:
    """The memory that an arm reads: ``memory`` itself, none, or a copy in which every world has its neighbour's."""
    if arm == "off":
        return None
    if arm == "on":
        return memory
    return neighbours(memory)


def dreamed_errors(
    world: WorldModel,
    memory: EpisodicMemory | None,
    latents: torch.Tensor,
    actions: ActionTensors,
    seen: int,
    frames: int,
    seed: int,
) -> np.ndarray:
    """Squared errors of latents ``[W, frames]``: the frames that follow the first ``seen`` true ones of ``latents``
    ``[W, T, C, h, w]``, dreamed from the last of these that the world looks back on."""
    first = seen - world.config.context
    led = select_actions(actions, (slice(None), slice(first, seen + frames)))
    generators = [episode_generator(seed, number) for number in range(len(latents))]
    made = world.imagine_latents(latents[:, first:seen], led, memory, generators)
    return (made - latents[:, seen : seen + frames]).double().square().flatten(2).mean(2).cpu().numpy()


def arm_errors(
    frames: np.ndarray, truth: np.ndarray, latents: torch.Tensor | None, true_latents: torch.Tensor
) -> ArmErrors:
    """Errors of ``frames`` ``uint8 [W, n, H, W, 3]`` and of ``latents`` ``[W, n, C, h, w]``, if it has any."""
    pixel = squared_errors(frames, truth)  # [W, n]
    errors = ArmErrors(
        pixel=float(pixel.mean()),
        pixel_frames=pixel.mean(0).tolist(),
        pixel_worlds=pixel.mean(1).tolist(),
        psnr=decibels(pixel),
        psnr_frames=[decibels(pixel[:, step]) for step in range(pixel.shape[1])],
    )
    if latents is None:
        return errors
    latent = (latents - true_latents).double().square().flatten(2).mean(2).cpu().numpy()
    return replace(
        errors,
        latent=float(latent.mean()),
        latent_frames=latent.mean(0).tolist(),
        latent_worlds=latent.mean(1).tolist(),
    )


def effect(arm: ArmErrors, reference: ArmErrors, config: RevisitConfig) -> Effect:
    """``arm`` against ``reference``, paired by world."""

    def compared(kind: str) -> Comparison:
        one, other = (np.array(getattr(errors, f"{kind}_worlds")) for errors in (arm, reference))
        return compare(one, other, config.draws, config.seed)

    return Effect(compared("latent"), compared("pixel"))


def _until(stop: int) -> tuple[slice, slice]:
    return slice(None), slice(0, stop)
