"""Which settings of the fast learner remember best? One question at a time, on validation worlds.

    python benchmarks/memory_tuning.py --world doom-rooms

A turn around is really seen and taught, and a second one dreamed (the measure of ``benchmarks/revisit.py``): the change
of the squared error of its latents against the same dream without memory, and the same with another world's memory.
With ``--back`` the way back is dreamed as well, turning the other way: what is still in the context, and what left it.
Every question varies one setting of the world's own adapter rule. Test worlds stay out of it: a recipe's ``memory`` is
chosen here and measured there. Writes JSON after every row, with the processor that its seconds are of; the same
command goes on where it was interrupted. First factors are compared where ``--start-world`` names the world with a
learned start (``slowfast train memory-start``); rules whose start the world does not ship are left out.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
import tyro
from memory_tables import tuning_table
from report import RESULTS, machine, read_json, write_json

from slowfast.envs.doom_rooms.env import DoomRoomsEnv
from slowfast.envs.doom_rooms.splits import world_seeds
from slowfast.evaluation.intervals import compare
from slowfast.evaluation.recall.teaching import teach
from slowfast.evaluation.recall.walks import Asked, record_walk, standard_walks
from slowfast.evaluation.revisit import ARMS, encoded, memory_of, seeds
from slowfast.evaluation.tours import known_rooms
from slowfast.fast import EpisodicMemory, MemoryRule, memory_rule
from slowfast.fast.generators import episode_generator
from slowfast.fast.lessons import LESSONS, Learner, ancestor, paper
from slowfast.fast.reading import generate
from slowfast.slow.windows import Windows, apart, select_actions
from slowfast.world_model import WorldModel

QUESTIONS: dict[str, dict[str, dict[str, Any]]] = {
    "kind of memory": {
        "an adapter that learns": {},
        "kept frames": {"memory": "retrieval"},
        "both": {"memory": "hybrid"},
        "both, the adapter of the last layer alone": {"memory": "hybrid", "rule": "readout"},
    },
    "loss": {
        "all frames, no action, no prefix (paper)": {"name": "paper"},
        "all frames, action, no prefix": {"name": "paper with action"},
        "new frames, no action, prefix": {"name": "ancestor without action"},
        "new frames, action, prefix (ancestor)": {"name": "ancestor"},
        "also all frames after the first (episodic)": {},
    },
    "steps a chunk": {str(steps): {"steps": steps} for steps in (1, 4, 12, 24, 48)},
    "learning rate": {f"{rate:g}": {"learning_rate": rate} for rate in (7.5e-4, 1.5e-3, 3e-3, 6e-3, 1.2e-2)},
    "rank": {str(rank): {"rank": rank} for rank in (4, 16, 64)},
    "layers": {
        kind.replace("_", " "): {"layers": kind}
        for kind in ("temporal_attention", "attention", "attention_and_convolutions")
    },
    "noise levels": {
        "as the slow learner was trained": {"levels": "trained"},
        "those that are sampled": {"levels": "sampled"},
        "the first of those": {"levels": "start"},
    },
    "windows kept for replay": {
        "none, the last chunk only": {"replay": 0},
        "4": {"replay": 4},
        "16": {"replay": 16},
        "16, two a step": {"replay": 16, "replay_batch": 2},
    },
    "optimiser": {
        "Adam": {},
        "momentum": {"optimiser": "momentum", "learning_rate": 0.3},
        "momentum, higher rate": {"optimiser": "momentum", "learning_rate": 1.0},
        "preconditioned": {"optimiser": "preconditioned", "learning_rate": 3e-3},
        "preconditioned, higher rate": {"optimiser": "preconditioned", "learning_rate": 1e-2},
    },
    "first factors": {
        "random": {},
        "learned from other episodes": {"start": "learned"},
        "random, 1 step a chunk": {"steps": 1},
        "learned, 1 step a chunk": {"steps": 1, "start": "learned"},
        "random, 4 steps": {"steps": 4},
        "learned, 4 steps": {"steps": 4, "start": "learned"},
    },
    "decay": {
        **{f"{decay:g}": {"weight_decay": decay} for decay in (0.0, 0.3, 1.0, 3.0)},
        "3, to a copy that follows by 0.1": {"weight_decay": 3.0, "consolidate": 0.1},
    },
    "the way back": {
        "not learned": {},
        "learned in two of three steps": {"retrace": True},
        "and twice as many steps": {"retrace": True, "steps": 24},
    },
    "pictures under keys": {
        "as it is (associative)": {"name": "associative"},
        "3 steps": {"name": "associative", "steps": 3},
        "6 steps": {"name": "associative", "steps": 6},
        "without the way back, 4 steps": {"name": "associative", "steps": 4, "retrace": False},
        "the same, added under every key": {"name": "associative", "steps": 4, "retrace": False, "familiar": 0.0},
        "all new frames of a window at once": {"name": "associative, whole"},
        "each new frame by itself": {"name": "associative, apart"},
        "damping 0.03": {"name": "associative", "damping": 0.03},
        "damping 0.3": {"name": "associative", "damping": 0.3},
        "rank 128": {"name": "associative", "rank": 128},
        "random keys": {"name": "associative", "start": "random", "damping": 4.0},
    },
    "many steps": {
        "as it is (imprint)": {"name": "imprint"},
        "and the way back": {"name": "imprint", "retrace": True},
        "a rate that does not fall": {"name": "imprint", "anneal": False},
        "attention and convolutions": {"name": "imprint", "layers": "attention_and_convolutions"},
        "the world's own rule, at a rate that falls": {"anneal": True},
    },
    "the last layer alone": {
        "none of that: all layers, 12 steps of Adam": {},
        "12 steps of Adam": {"layers": "output"},
        "in closed form, 1 step": {"name": "readout", "steps": 1},
        "4 steps": {"name": "readout", "steps": 4},
        "12 steps (readout)": {"name": "readout"},
        "a third of each step, 4 steps": {"name": "readout", "steps": 4, "learning_rate": 0.3},
        "all of it, 1 step": {"name": "readout", "steps": 1, "learning_rate": 1.0},
        "12 steps, damping 10": {"name": "readout", "damping": 10.0},
    },
}
"""What is asked, and what answers it: settings over the world's own adapter rule, another rule or kind of memory."""
BACK = ("kind of memory", "the way back", "pictures under keys", "many steps")
"""Questions that are asked by turning back as well, in results of their own."""
USUAL = tuple(question for question in QUESTIONS if question not in BACK[1:])
DRAWS = 4000
"""Of the bootstrap over worlds."""
OTHERS = {
    "readout": "readout",
    "imprint": "imprint",
    **dict.fromkeys(("associative", "associative, whole", "associative, apart"), "associative"),
}
"""Rules with settings of their own, and the named rule that has them."""


@dataclass(frozen=True)
class Settings:
    """``worlds``: validation worlds; ``questions``: which of them (default: those of ``back``, or all others);
    ``chunk``: frames that are dreamed at a time (default: the world's own); ``back``: ask by turning back as well."""

    world: str = "doom-rooms"
    worlds: int = 12
    questions: tuple[str, ...] = ()
    start_world: str | None = None
    chunk: int | None = None
    back: bool = False
    seed: int = 0
    threads: int = 2
    out: Path = RESULTS / "memory_tuning.json"


def main(settings: Settings) -> None:
    torch.set_num_threads(settings.threads)
    world = WorldModel.from_pretrained(settings.start_world or settings.world)
    facts = {"base_hash": world.base_hash, "worlds": settings.worlds, "seed": settings.seed}
    facts |= {} if settings.chunk is None else {"chunk": settings.chunk}
    facts |= {"back": True} if settings.back else {}
    before = read_json(settings.out) or {}
    rows = before.get("rows", []) if all(before.get(name) == value for name, value in facts.items()) else []
    measure, here = measured(world, settings), machine(settings.threads)
    for row in rows:
        row.setdefault("machine", before["machine"])
    for question, answer, rule in asked(world, settings.questions or (BACK if settings.back else USUAL)):
        same = [row for row in rows if row["rule"] == rule.settings()]
        if any((row["question"], row["answer"]) == (question, answer) for row in same):
            continue
        of_here = [row for row in same if row["machine"] == here]
        row = of_here[0] if of_here else {**measure(rule), "machine": here}
        rows = [old for old in rows if (old["question"], old["answer"]) != (question, answer)]  # of another rule
        rows.append({**row, "question": question, "answer": answer, "rule": rule.settings()})
        rows.sort(key=lambda row: list(QUESTIONS).index(row["question"]))
        write_json(settings.out, {**facts, "machine": rows[0]["machine"], "rows": rows})
        print(f"{question}: {answer}: {row['own']['value']:+.3f}, {row['seconds']:.0f} s", flush=True)
    print(tuning_table(read_json(settings.out)))


def asked(world: WorldModel, questions: tuple[str, ...]) -> Iterator[tuple[str, str, MemoryRule]]:
    """Question, answer, and the rule that stands for it."""
    own = replace(world.memory_rule("temp_lora"), start="random")
    for question in questions:
        for answer, change in QUESTIONS[question].items():
            rule = varied(world, own, change)
            if rule.start != "learned" or (world.memory_start and world.memory_start.serves(rule)):
                yield question, answer, rule


def varied(world: WorldModel, own: MemoryRule, change: Mapping[str, Any]) -> MemoryRule:
    """The rule that a change of settings stands for: of another kind of memory, with a name of :data:`OTHERS`, or
    ``own`` with them."""
    if "memory" in change:
        return replace(world.memory_rule(**change), start="random")
    if change.get("name") in OTHERS:
        return replace(memory_rule(**{**change, "name": OTHERS[change["name"]]}), name=change["name"])
    return replace(own, **change)


def measured(world: WorldModel, settings: Settings) -> Callable[[MemoryRule], dict[str, Any]]:
    """Effects of a rule: what its memory changes of the error without one, and what another world's does."""
    turns, queries = recorded(world, settings.worlds)
    back, on = (Dream(world, asked, settings) for asked in queries)
    dream_seed, memory_seed = seeds(settings.seed)
    seen = on.latents[:, : turns + 1], select_actions(on.actions, (slice(None), slice(0, turns + 1)))

    def measure(rule: MemoryRule) -> dict[str, Any]:
        memory = world.new_memory(settings.worlds, memory_seed, rule)
        taught, began = teach(memory, *seen), time.perf_counter()
        errors = {arm: on.errors(memory_of(arm, memory), dream_seed) for arm in ARMS}
        row = {"seconds": taught.seconds, "dream_seconds": (time.perf_counter() - began) / len(ARMS)}
        row |= {name: change(errors[arm], errors["off"]) for name, arm in (("own", "on"), ("other", "other"))}
        if settings.back:
            ways = [back.errors(which, dream_seed) for which in (memory, None)]
            row["back_in"], row["back_beyond"] = (
                change(*(way[:, part] for way in ways)) for part in (back.held, ~back.held)
            )
        return row

    def change(errors: np.ndarray, without: np.ndarray) -> dict[str, float]:
        return asdict(compare(errors.mean(1), without.mean(1), DRAWS, settings.seed).reduction)

    return measure


def recorded(world: WorldModel, worlds: int) -> tuple[int, list[Asked]]:
    """A turn around in validation worlds: how many actions it has, and what is asked after it: turning back, and on."""
    env = known_rooms(world, "validation")
    try:
        circle, *_ = standard_walks(cast(DoomRoomsEnv, env.unwrapped).motion.turn_degrees)
        return len(circle.seen), record_walk(env, world_seeds("validation", 20 * worlds), worlds, circle)
    finally:
        env.close()


class Dream:
    """What is asked after a tour, dreamed."""

    def __init__(self, world: WorldModel, asked: Asked, settings: Settings) -> None:
        self.world, self.asked = world, asked
        self.chunk, self.longest = settings.chunk or world.config.chunk, world.config.context
        self.latents, self.actions = encoded(world, asked.tours)
        self.held = asked.in_context(self.longest, self.chunk)[0]
        """``bool [n]``: the frames that are still in the context."""

    def errors(self, memory: EpisodicMemory | None, seed: int) -> np.ndarray:
        """Squared errors of the latents, ``[W, n]``."""
        first = self.asked.seen + 1
        shown = (slice(None), slice(first - self.longest, None))
        generators = [episode_generator(seed, number) for number in range(len(self.latents))]
        context, led = self.latents[:, first - self.longest : first], select_actions(self.actions, shown)
        made = generate(
            self.world.slow,
            memory,
            context,
            led,
            self.asked.frames,
            generators,
            chunk=self.chunk,
            longest=self.longest,
        )
        return (made - self.latents[:, first:]).double().square().flatten(2).mean(2).cpu().numpy()


def paper_with_action(windows: Windows, slow: Learner, step: int) -> Windows:
    """Noise and loss on every frame, as the paper's rule, with the actions left in."""
    return replace(windows, prefix=0)


def ancestor_without_action(windows: Windows, slow: Learner, step: int) -> Windows:
    """A clean prefix and loss on the new frames, as the ancestor's, with the actions taken out."""
    return replace(paper(windows, slow, step), prefix=ancestor(windows, slow, step).prefix)


def each_apart(windows: Windows, slow: Learner, step: int) -> Windows:
    """Each new frame by itself, after the frames before it."""
    return apart(windows)


LESSONS |= {"paper with action": paper_with_action, "ancestor without action": ancestor_without_action}
LESSONS |= {"associative, whole": ancestor, "associative, apart": each_apart}


if __name__ == "__main__":
    main(tyro.cli(Settings, description=__doc__))
