"""Which settings of the fast learner remember best? One question at a time, on validation worlds.

    python benchmarks/memory_tuning.py --world doom-rooms

A turn around is really seen and taught, and a second one dreamed (the measure of ``benchmarks/revisit.py``): the change
of the squared error of its latents against the same dream without memory, and the same with another world's memory.
Every question varies one setting of the world's own adapter rule. Test worlds stay out of it: a recipe's ``memory`` is
chosen here and measured there. Writes JSON after every row, with the processor that its seconds are of; the same
command goes on where it was interrupted. First factors are compared where ``--start-world`` names the world with a
learned start (``slowfast train memory-start``); rules whose start the world does not ship are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
import tyro
from memory_tables import tuning_table
from report import RESULTS, machine, read_json, write_json
from revisit import Settings as Tour
from revisit import walk

from slowfast.evaluation.revisit import ARMS, RevisitConfig, measure_recall
from slowfast.fast import MemoryRule, memory_rule
from slowfast.fast.rules import RULES, Learner, ancestor, paper
from slowfast.slow.windows import Windows, apart
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
    "pictures under keys": {
        "as it is (associative)": {"name": "associative"},
        "1 step": {"name": "associative", "steps": 1},
        "4 steps": {"name": "associative", "steps": 4},
        "all new frames of a window at once": {"name": "associative, whole"},
        "each new frame by itself": {"name": "associative, apart"},
        "damping 0.03": {"name": "associative", "damping": 0.03},
        "damping 0.3": {"name": "associative", "damping": 0.3},
        "random keys": {"name": "associative", "start": "random", "damping": 4.0},
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
OTHERS = {
    "readout": "readout",
    **dict.fromkeys(("associative", "associative, whole", "associative, apart"), "associative"),
}
"""Rules with settings of their own, and the named rule that has them."""


@dataclass(frozen=True)
class Settings:
    """``worlds``: validation worlds; ``questions``: which of them (default: all); ``chunk``: frames that are dreamed at
    a time (default: the world's own)."""

    world: str = "doom-rooms"
    worlds: int = 12
    questions: tuple[str, ...] = tuple(QUESTIONS)
    start_world: str | None = None
    chunk: int | None = None
    seed: int = 0
    threads: int = 2
    out: Path = RESULTS / "memory_tuning.json"


def main(settings: Settings) -> None:
    torch.set_num_threads(settings.threads)
    world = WorldModel.from_pretrained(settings.start_world or settings.world)
    facts = {"base_hash": world.base_hash, "worlds": settings.worlds, "seed": settings.seed}
    facts |= {} if settings.chunk is None else {"chunk": settings.chunk}
    before = read_json(settings.out) or {}
    rows = before.get("rows", []) if all(before.get(name) == value for name, value in facts.items()) else []
    measure, here = measured(world, settings), machine(settings.threads)
    for row in rows:
        row.setdefault("machine", before["machine"])
    for question, answer, rule in asked(world, settings.questions):
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
            if rule.start != "learned" or has_start_for(world, rule):
                yield question, answer, rule


def has_start_for(world: WorldModel, rule: MemoryRule) -> bool:
    """Whether the world ships first factors for memories of ``rule``."""
    start = world.memory_start
    return start is not None and (start.layers, start.rank) == (rule.layers, rule.rank)


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
    tours, stages = walk(world, Tour(settings.world, "validation", settings.worlds))
    seen = tours.frames.shape[1] // 2

    def measure(rule: MemoryRule) -> dict[str, Any]:
        recall, _ = measure_recall(world, tours, seen, stages, RevisitConfig(settings.seed, rule, chunk=settings.chunk))
        own, other = (asdict(recall.effects[name].latent.reduction) for name in ("memory", "other_memory"))
        dreaming = recall.dream_seconds / len(ARMS)
        return {"own": own, "other": other, "seconds": recall.taught.seconds, "dream_seconds": dreaming}

    return measure


def paper_with_action(windows: Windows, slow: Learner, step: int) -> Windows:
    """Noise and loss on every frame, as the paper's rule, with the actions left in."""
    return replace(windows, prefix=0)


def ancestor_without_action(windows: Windows, slow: Learner, step: int) -> Windows:
    """A clean prefix and loss on the new frames, as the ancestor's, with the actions taken out."""
    return replace(paper(windows, slow, step), prefix=ancestor(windows, slow, step).prefix)


def each_apart(windows: Windows, slow: Learner, step: int) -> Windows:
    """Each new frame by itself, after the frames before it."""
    return apart(windows)


RULES |= {"paper with action": paper_with_action, "ancestor without action": ancestor_without_action}
RULES |= {"associative, whole": ancestor, "associative, apart": each_apart}


if __name__ == "__main__":
    main(tyro.cli(Settings, description=__doc__))
