"""What a dream reads while it answers: nothing, a memory of what was seen, or one that cannot know the answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import nn

from slowfast.codecs.identity import codec_hash
from slowfast.evaluation.recall.teaching import Progress, Taught, neighbours, shuffled, teach
from slowfast.evaluation.recall.walks import Asked
from slowfast.fast import EpisodicMemory, MemoryRule
from slowfast.fast.generators import episode_generator
from slowfast.slow.windows import ActionTensors, concat_actions, select_actions
from slowfast.world_model import WorldModel

NONE = "no memory"
OTHER, RESET, SHUFFLED = "another world's memory", "memory reset every chunk", "memory of shuffled frames"
CONTROLS = (OTHER, RESET, SHUFFLED)
"""Each has to lose what its memory brings, if that is memory."""


@dataclass(frozen=True)
class Source:
    """Where the memory of one arm comes from. ``rule``: None for no memory; ``control``: one of RESET and SHUFFLED, or
    None for the tour as it was; ``exchanged``: also dream with the neighbour's memory, as the arm ``OTHER``;
    ``world``: another world that dreams this arm, with the same codec and actions."""

    arm: str
    rule: MemoryRule | None = None
    control: str | None = None
    exchanged: bool = False
    world: WorldModel | None = None


def sources(
    rules: dict[str, MemoryRule], controlled: str | None, worlds: Mapping[str, WorldModel] | None = None
) -> list[Source]:
    """No memory, other ``worlds`` without one, each rule by its name, and the controls of the rule ``controlled``."""
    found = [Source(NONE), *(Source(name, world=world) for name, world in (worlds or {}).items())]
    for name, rule in rules.items():
        found.append(Source(name, rule, exchanged=name == controlled))
    if controlled is not None:
        found += [Source(control, rules[controlled], control) for control in (RESET, SHUFFLED)]
    return found


@dataclass(frozen=True)
class Shown:
    """A walk in a group of worlds, encoded: ``latents`` ``[W, seen + 1, C, h, w]`` with the actions that led into them,
    and for each query the actions ``[W, n]`` that are asked. ``first``: number of the group's first world."""

    first: int
    latents: torch.Tensor
    actions: ActionTensors
    queries: dict[str, ActionTensors]


def show(world: WorldModel, asked: Sequence[Asked], first: int) -> Shown:
    """Encodes what all of ``asked`` (queries of one walk) have seen before."""
    tours, seen, spec = asked[0].tours, asked[0].seen, world.action_spec
    latents = torch.cat([world.encode(frames[None, : seen + 1]) for frames in tours.frames])
    before = spec.select(tours.actions, (slice(None), slice(0, seen)))
    led = world.action_tensors(spec.concat([spec.null((len(tours), 1)), before], axis=1))
    queries = {
        query.name: world.action_tensors(spec.select(query.tours.actions, (slice(None), slice(seen, None))))
        for query in asked
    }
    return Shown(first, latents, led, queries)


def dream(
    world: WorldModel, shown: Shown, source: Source, seed: int, progress: Progress | None = None
) -> tuple[dict[str, dict[str, torch.Tensor]], Taught | None]:
    """Answers ``{query: {arm: latents [W, n, C, h, w]}}`` of one source, and what teaching it took.

    All sources start from the same noise, a generator for each (seed, world). Raises ValueError where the source's own
    world has another codec or other actions.
    """
    if source.world is not None:
        check_same_latents(world, source.world, source.arm)
        world = source.world
    if source.rule is None:
        return _answers(world, shown, {source.arm: None}, seed), None
    memory = world.new_memory(len(shown.latents), seed + shown.first, source.rule)
    latents = shuffled(shown.latents, seed) if source.control == SHUFFLED else shown.latents
    taught = teach(memory, latents, shown.actions, progress, forget=source.control == RESET)
    memories: dict[str, EpisodicMemory | None] = {source.arm: memory}
    if source.exchanged:
        memories[OTHER] = neighbours(memory)
    return _answers(world, shown, memories, seed), taught


def check_same_latents(world: WorldModel, other: WorldModel, arm: str) -> None:
    """Raises ValueError unless the two worlds' latents and actions mean the same."""
    codecs = [codec_hash(cast(nn.Module, one.codec)) for one in (world, other)]
    if codecs[0] != codecs[1]:
        raise ValueError(f"{arm}: its world has another codec, so latents cannot be compared; give one that keeps it")
    if world.action_spec != other.action_spec:
        raise ValueError(f"{arm}: its world takes other actions: {other.action_spec}")


def _answers(
    world: WorldModel, shown: Shown, memories: dict[str, EpisodicMemory | None], seed: int
) -> dict[str, dict[str, torch.Tensor]]:
    context = shown.latents[:, -world.config.context :]
    around = select_actions(shown.actions, (slice(None), slice(-context.shape[1], None)))
    found: dict[str, dict[str, torch.Tensor]] = {}
    for query, actions in shown.queries.items():
        joined = concat_actions([around, actions])
        found[query] = {}
        for arm, memory in memories.items():
            generators = [episode_generator(seed, shown.first + row) for row in range(len(context))]
            found[query][arm] = world.imagine_latents(context, joined, memory, generators)
    return found
