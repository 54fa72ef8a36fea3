"""Runs the recall benchmark: walks, teaches, dreams and scores, group after group of worlds, and can be interrupted.

Every answer is kept as latents in ``OUT/parts`` as soon as it is dreamed; what is there is not dreamed again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from slowfast.datasets.files import replacing
from slowfast.evaluation.features import EfficientNetLite0
from slowfast.evaluation.recall.arms import Source, dream, show
from slowfast.evaluation.recall.places import Place
from slowfast.evaluation.recall.scores import FEATURE_SIZE, Judge, Scores
from slowfast.evaluation.recall.teaching import Progress
from slowfast.evaluation.recall.walks import Asked
from slowfast.world_model import WorldModel

REPEAT, CODEC = "last true frame repeated", "the truth through the codec"
HEADER = "slowfast_recall"


@dataclass(frozen=True)
class Walked:
    """A walk through all worlds: its name and its queries, with their truth."""

    name: str
    asked: list[Asked]

    def group(self, rows: slice) -> list[Asked]:
        """The same for some of the worlds."""
        return [Asked(query.name, query.tours.part(rows), query.seen) for query in self.asked]


@dataclass(frozen=True)
class Answered:
    """``latents``: ``{walk: {query: {arm: [W, n, C, h, w]}}}``; ``facts``: ``{walk: {arm: what teaching took}}``."""

    latents: dict[str, dict[str, dict[str, torch.Tensor]]]
    facts: dict[str, dict[str, dict[str, Any]]]


def answer(
    world: WorldModel,
    walks: Sequence[Walked],
    sources: Sequence[Source],
    seed: int,
    group: int,
    parts: Path,
    progress: Progress | None = None,
) -> Answered:
    """Dreams what is not in ``parts`` yet; ``group`` worlds are taught and dreamed at a time."""
    parts.mkdir(parents=True, exist_ok=True)
    latents: dict[str, dict[str, dict[str, list[torch.Tensor]]]] = {}
    facts: dict[str, dict[str, dict[str, Any]]] = {}
    jobs = list(_jobs(walks, sources, group))
    for number, (walk, source, rows) in enumerate(jobs):
        path = parts / f"{_slug(walk.name)}--{_slug(source.arm)}--{rows.start:04d}.safetensors"
        if not path.exists():
            shown = show(world, walk.group(rows), rows.start)
            found, taught = dream(world, shown, source, seed)
            _keep(path, found, {} if taught is None else asdict(taught))
        found, fact = _kept(path)
        for query, arms in found.items():
            for arm, tensor in arms.items():
                latents.setdefault(walk.name, {}).setdefault(query, {}).setdefault(arm, []).append(tensor)
        if fact:
            _add(facts.setdefault(walk.name, {}).setdefault(source.arm, {}), fact)
        if progress:
            progress(number + 1, len(jobs), walk=walk.name, arm=source.arm)
    joined = {
        walk: {query: {arm: torch.cat(tensors) for arm, tensors in arms.items()} for query, arms in queries.items()}
        for walk, queries in latents.items()
    }
    return Answered(joined, facts)


@dataclass(frozen=True)
class Judged:
    """All frames of all queries, walk after walk: ``scores`` by arm, ``gaps`` and ``in_context`` ``[W, n]``, and
    ``chance`` ``[W, n]``, the share of right views by picking at random."""

    scores: dict[str, Scores]
    gaps: np.ndarray
    in_context: np.ndarray
    chance: np.ndarray

    def share(self, place: Place) -> float:
        """Chance of a right view in a place."""
        return float(place.by_world(self.chance).mean())


def judge(
    world: WorldModel,
    walks: Sequence[Walked],
    answered: Answered,
    turn_degrees: float,
    progress: Progress | None = None,
) -> Judged:
    """Scores every arm, the last true frame repeated and the codec's ceiling."""
    network = EfficientNetLite0.from_package(FEATURE_SIZE)
    queries = [(walk.name, asked) for walk in walks for asked in walk.asked]
    scores: dict[str, list[Scores]] = {}
    gaps, held, chance = [], [], []
    for number, (walk, asked) in enumerate(queries):
        judged = Judge(asked, network, turn_degrees)
        truth = torch.cat([world.encode(frames[None]) for frames in asked.truth])
        last = torch.cat([world.encode(frames[None, asked.seen : asked.seen + 1]) for frames in asked.tours.frames])
        repeated = np.broadcast_to(asked.tours.frames[:, asked.seen, None], asked.truth.shape)
        scores.setdefault(CODEC, []).append(judged.scores(_decoded(world, truth), None, truth))
        scores.setdefault(REPEAT, []).append(judged.scores(repeated, last.expand_as(truth), truth))
        for arm, latents in answered.latents[walk][asked.name].items():
            scores.setdefault(arm, []).append(judged.scores(_decoded(world, latents), latents, truth))
        gaps.append(asked.gaps)
        held.append(asked.in_context(world.config.context, world.config.chunk))
        chance.append(np.full(asked.gaps.shape, judged.chance))
        if progress:
            progress(number + 1, len(queries), walk=walk)
    return Judged(
        {arm: Scores.concatenated(parts) for arm, parts in scores.items()},
        np.concatenate(gaps, 1),
        np.concatenate(held, 1),
        np.concatenate(chance, 1),
    )


def _jobs(walks: Sequence[Walked], sources: Sequence[Source], group: int) -> Iterator[tuple[Walked, Source, slice]]:
    for walk in walks:
        worlds = len(walk.asked[0].tours)
        for source in sources:
            for first in range(0, worlds, group):
                yield walk, source, slice(first, min(first + group, worlds))


def _decoded(world: WorldModel, latents: torch.Tensor) -> np.ndarray:
    return np.concatenate([world.decode(part[None]) for part in latents.float()])


def _add(total: dict[str, Any], fact: dict[str, Any]) -> None:
    """Seconds add up over groups; what is said of one world is that of the first group."""
    seconds = total.get("seconds", 0.0) + fact["seconds"]
    total.update({**fact, **total, "seconds": seconds})


def _slug(name: str) -> str:
    return "".join(character if character.isalnum() else "-" for character in name)


def _keep(path: Path, found: dict[str, dict[str, torch.Tensor]], facts: dict[str, Any]) -> None:
    tensors = {
        f"{query}/{arm}": tensor.to("cpu", torch.float32).contiguous()
        for query, arms in found.items()
        for arm, tensor in arms.items()
    }
    header = {"facts": facts, "answers": list(tensors)}  # safetensors itself keeps no order
    with replacing(path) as temporary:
        save_file(tensors, temporary, {HEADER: json.dumps(header)})


def _kept(path: Path) -> tuple[dict[str, dict[str, torch.Tensor]], dict[str, Any]]:
    found: dict[str, dict[str, torch.Tensor]] = {}
    with safe_open(path, framework="pt") as file:
        header = json.loads(file.metadata()[HEADER])
        for key in header["answers"]:
            query, _, arm = key.partition("/")
            found.setdefault(query, {})[arm] = file.get_tensor(key)
    return found, header["facts"]
