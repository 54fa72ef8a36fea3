"""How far may a kept frame be trusted? Chosen on validation worlds, for a memory that finds frames by pose.

    python benchmarks/trust_tuning.py --world doom-rooms

A memory's ``trust`` is the share of a kept frame in the noise that a new one is made from, where it was seen from the
very pose, ``same`` how many steps off that share is gone, and ``doubt`` how unlike the present frame what is kept from
there may be. Asked are the views of a circle once more, from exactly where they were seen; the same with another
world's memory, which should do no harm; and to go on wandering after an exploring walk, where kept frames are near now
and then and seldom from the very pose. Errors are squared errors of latents, beside those without a memory. Prints the
table and writes JSON after every row, so that it may be interrupted.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
import tyro
from memory_tables import trust_table
from report import RESULTS, machine, write_json

from slowfast.cli.recall import Recall, walk_rooms
from slowfast.datasets.collect import collect
from slowfast.datasets.store import Store
from slowfast.envs.doom_rooms.splits import split_env_kwargs, world_seeds
from slowfast.evaluation.recall.arms import Source, dream, show
from slowfast.evaluation.recall.teaching import teach
from slowfast.fast import MemoryRule
from slowfast.fast.generators import episode_generator
from slowfast.slow.windows import select_actions
from slowfast.world_model import WorldModel

CHOSEN = ("trust", "same", "doubt")
POLICY = "slowfast.envs.policies:make_policy:explore"


@dataclass(frozen=True)
class Settings:
    """``worlds``: validation worlds of each walk; ``seen`` and ``dreamed``: actions of a wandering walk that are
    taught, and that are dreamed after it; ``trusts`` and ``sames``: every pair is measured with the memory's own
    ``doubt``, and all ``doubts`` with its own pair."""

    world: str = "doom-rooms"
    worlds: int = 12
    trusts: tuple[float, ...] = (0.0, 0.15, 0.3, 0.5)
    sames: tuple[float, ...] = (0.5, 1.0)
    doubts: tuple[float, ...] = (-1.0, 0.3, 0.6)
    seen: int = 64
    dreamed: int = 32
    seed: int = 0
    threads: int = 2
    out: Path = RESULTS / "trust_tuning.json"


Errors = Callable[[MemoryRule | None], dict[str, torch.Tensor]]
"""Squared latent errors ``[W, n]`` by what was asked, of what is dreamed with a rule, or without a memory."""


def main(settings: Settings) -> None:
    torch.set_num_threads(settings.threads)
    world = WorldModel.from_pretrained(settings.world)
    rows: list[dict[str, Any]] = []
    with wandering(settings) as walks:
        asked = (circle(world, settings), wander(world, walks, settings))
        for rule in [None, *rules(settings, world.memory_rule("retrieval"))]:
            row = {name: rule and getattr(rule, name) for name in CHOSEN}
            for errors in asked:
                row |= {name: float(found.mean()) for name, found in errors(rule).items()}
            rows.append(row)
            print(row, flush=True)
            facts = {"base_hash": world.base_hash, "worlds": settings.worlds, "machine": machine(settings.threads)}
            write_json(settings.out, {**facts, "rows": rows})
    print(trust_table({**facts, "rows": rows}))


def rules(settings: Settings, own: MemoryRule) -> Iterator[MemoryRule]:
    """Each once; without trust ``same`` says nothing."""
    for trust, same in product(settings.trusts, settings.sames):
        if trust or same == settings.sames[0]:
            yield replace(own, trust=trust, same=same)
    for doubt in settings.doubts:
        yield replace(own, doubt=doubt)


def circle(world: WorldModel, settings: Settings) -> Errors:
    """Of a second turn around after a first that was seen, with a world's own memory and with another's."""
    recall = Recall(split="validation", worlds=settings.worlds, group=settings.worlds, walks=("circle",))
    walks, _ = walk_rooms(recall, world)
    asked = [query for query in walks[0].asked if query.name == "turn on"]
    shown = show(world, asked, 0)
    truth = torch.cat([world.encode(frames[None]) for frames in asked[0].truth])

    def errors(rule: MemoryRule | None) -> dict[str, torch.Tensor]:
        answers, _ = dream(world, shown, Source("circle", rule, exchanged=True), settings.seed)
        return {arm: (made - truth).square().flatten(2).mean(2) for arm, made in answers["turn on"].items()}

    return errors


@contextmanager
def wandering(settings: Settings) -> Iterator[Store]:
    """Walks of the exploring policy through validation worlds."""
    steps = settings.seen + settings.dreamed
    with tempfile.TemporaryDirectory() as folder:
        seeds, arguments = world_seeds("validation", settings.worlds), split_env_kwargs("validation")
        yield collect("slowfast/DoomRooms-v0", POLICY, seeds, folder, steps=steps, env_kwargs=arguments)


def wander(world: WorldModel, walks: Store, settings: Settings) -> Errors:
    """Of the dream that goes on where what was seen of a walk ends."""
    seen, last = settings.seen + 1, settings.seen + settings.dreamed + 1
    whole = [i for i in range(len(walks)) if walks.lengths[i] >= last - 1]
    latents = torch.cat([world.encode(walks.frames(i, 0, last)[None]) for i in whole])
    spec = world.action_spec
    made = {name: np.stack([walks.actions(i)[name][: last - 1] for i in whole]) for name in walks.actions(whole[0])}
    actions = world.action_tensors(spec.concat([spec.null((len(whole), 1)), made], axis=1))
    before = slice(seen - world.config.context, seen)

    def errors(rule: MemoryRule | None) -> dict[str, torch.Tensor]:
        memory = None if rule is None else world.new_memory(len(whole), settings.seed, rule)
        if memory is not None:
            teach(memory, latents[:, :seen], select_actions(actions, (slice(None), slice(0, seen))))
        generators = [episode_generator(settings.seed, row) for row in range(len(whole))]
        led = select_actions(actions, (slice(None), slice(before.start, last)))
        made = world.imagine_latents(latents[:, before], led, memory, generators)
        return {"wandering": (made - latents[:, seen:]).square().flatten(2).mean(2)}

    return errors


if __name__ == "__main__":
    main(tyro.cli(Settings, description=__doc__))
