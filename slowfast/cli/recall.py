"""Measure what a world remembers of real tours, beside its controls and its ceiling."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from slowfast import config as configs
from slowfast.cli.progress import Bar

if TYPE_CHECKING:
    import gymnasium

    from slowfast.evaluation.recall.benchmark import Walked
    from slowfast.fast import MemoryRule
    from slowfast.world_model import WorldModel

FORMAT_VERSION = 1
SETTLED: tuple[str, ...] = (
    *("world", "env", "walks", "worlds", "group", "steps", "split"),
    *("memory", "rivals", "rival_worlds", "return_turns", "seed"),
)
"""What the answers in a folder depend on."""


@dataclass(frozen=True)
class Recall:
    """Walk through unseen worlds, teach a memory what was really seen, and ask for views that left the context.

    Writes OUT/recall.json (figures by place, arm and gap, with bootstrap intervals over worlds), OUT/recall.png and
    OUT/parts (every answer as latents), and prints the tables. Can be interrupted: the same command goes on, and on a
    finished folder it only judges and draws again. Needs the extras doom and eval.

    Example:
        slowfast recall --world doom-rooms --worlds 16 --out out/recall
    """

    world: str = "doom-rooms"
    """Name of a world that ships, or a folder."""
    env: str = "slowfast/DoomRooms-v0"
    """Gymnasium id of the real world: DoomRooms, or another id that makes it."""
    out: Path = Path("out/recall")
    """Folder to write to."""
    walks: tuple[str, ...] = ("circle", "out and back", "circle elsewhere")
    """Tours by name, from the shortest gap to the longest."""
    worlds: int = 64
    """Unseen worlds; at least 2."""
    group: int = 16
    """Worlds whose memories are taught in one pass; memory use grows with it."""
    steps: int = 6
    """Steps forward of the tours that walk off."""
    split: str = "test"
    """Which worlds: validation to choose by, test to report, held_out for textures that were never trained on."""
    memory: dict[str, Any] = field(default_factory=dict)
    """The memory rule that gets the controls: a name and settings over the world's own; empty: the memory that the
    world makes by itself."""
    rivals: tuple[str, ...] = ("paper",)
    """Other memory rules measured beside it: by name with their own defaults, a kind of memory, or settings as
    "{name: ..., ...}"."""
    rival_worlds: dict[str, str] = field(default_factory=dict)
    """Other worlds with the same codec that dream without a memory, by their arms: one with a longer context,
    as "{longer context: runs/longer/model}"."""
    return_turns: int = 12
    """Turns of a dream that goes out and comes back by itself (the paper's scene revisit consistency); 0 leaves it
    out."""
    seed: int = 0
    """Of noise and memories."""
    device: str = "cpu"
    """cpu, cuda, cuda:1, ..."""

    def __post_init__(self) -> None:
        for name, least in {"worlds": 2, "group": 2, "steps": 1, "return_turns": 0, "seed": 0}.items():
            if getattr(self, name) < least:
                raise ValueError(f"{name} has to be at least {least}, got {getattr(self, name)}")
        if self.worlds % self.group == 1:
            raise ValueError(
                f"{self.worlds} worlds in groups of {self.group} leave one alone; another's memory is an arm"
            )


def run(config: Recall) -> int:
    from slowfast.evaluation.recall import returning
    from slowfast.evaluation.recall.arms import sources
    from slowfast.evaluation.recall.benchmark import answer, judge
    from slowfast.evaluation.recall.plots import save_plots
    from slowfast.evaluation.recall.summary import summary, tables
    from slowfast.evaluation.report import require_packages
    from slowfast.fast.files import write_text
    from slowfast.world_model import WorldModel

    require_packages()
    refuse_other_settings(config)
    world = WorldModel.from_pretrained(config.world, config.device)
    walks, turn = walk_rooms(config, world)
    own = world.memory_rule(config.memory or None)
    rules = {named(own): own, **dict(rival(world, text) for text in config.rivals)}
    others = {name: WorldModel.from_pretrained(folder, config.device) for name, folder in config.rival_worlds.items()}
    configs.save(config, config.out / "config.yaml")
    with Bar("answers", unit="part") as bar:
        answered = answer(
            world, walks, sources(rules, named(own), others), config.seed, config.group, config.out / "parts", bar
        )
    with Bar("judged", unit="query") as bar:
        judged = judge(world, walks, answered, turn, bar)
    result = {
        **described(config, world, rules, walks),
        "worlds": {name: {"base_hash": one.base_hash, "context": one.config.context} for name, one in others.items()},
        "teaching": answered.facts,
        **summary(judged, config.seed),
        "return": dreamed_returns(config, world, rules) if config.return_turns else None,
    }
    write_text(config.out / "recall.json", json.dumps(result, indent=1, allow_nan=False) + "\n")
    save_plots(result, config.out / "recall.png")
    for name, table in tables(result):
        print(f"\n{name}: {result['places'][name]['frames']:.0f} frames in each of {config.worlds} worlds\n\n{table}")
    if result["return"]:
        print(f"\ndreamed out and back, scene revisit consistency:\n\n{returning.table(result['return'])}")
    print(f"\n{config.out / 'recall.json'}, {config.out / 'recall.png'}")
    return 0


def named(rule: MemoryRule) -> str:
    """The arm of the rule that gets the controls."""
    return f"memory ({rule.name})"


def rival(world: WorldModel, text: str) -> tuple[str, MemoryRule]:
    """An arm's name and its rule, from what was typed."""
    wanted = yaml.safe_load(text)
    if isinstance(wanted, str):
        return text, world.memory_rule(wanted)
    if not isinstance(wanted, dict):
        raise ValueError(f"rival {text!r}: expected the name of a rule, or '{{name: ..., setting: value}}'")
    settings = ", ".join(f"{name} {value}" for name, value in wanted.items() if name != "name")
    return f"{wanted.get('name', 'own')}, {settings}", world.memory_rule(wanted)


def refuse_other_settings(config: Recall) -> None:
    """Raises ValueError when ``config.out`` holds answers to other questions."""
    path = config.out / "config.yaml"
    if not path.exists():
        return
    before = configs.load(Recall, path)
    for name in SETTLED:
        then, now = getattr(before, name), getattr(config, name)
        if then != now:
            raise ValueError(f"{config.out} holds answers with {name} {then}, not {now}: choose another --out")


def real_rooms(config: Recall, world: WorldModel) -> tuple[gymnasium.Env, list[int], float]:
    """The environment of the split, more than enough seeds, and the degrees of a turn."""
    from slowfast.envs.doom_rooms.env import TURN_DEGREES
    from slowfast.envs.doom_rooms.splits import split_env_kwargs, world_seeds
    from slowfast.evaluation.tours import rooms

    known: Mapping[str, Any] = world.config.environment or {}
    arguments = {name: value for name, value in known.get("kwargs", {}).items() if name != "size"}
    arguments |= split_env_kwargs(config.split)
    env = rooms(config.env, world.config.frame_size, world.action_spec, arguments)
    return env, world_seeds(config.split, 20 * config.worlds), float(arguments.get("turn_degrees", TURN_DEGREES))


def walk_rooms(config: Recall, world: WorldModel) -> tuple[list[Walked], float]:
    """All walks through the same real worlds, and the degrees of a turn."""
    from slowfast.evaluation.recall.benchmark import Walked
    from slowfast.evaluation.recall.walks import record_walk, standard_walks

    env, seeds, turn = real_rooms(config, world)
    with closing(env):
        walks = {walk.name: walk for walk in standard_walks(turn, config.steps)}
        for name in config.walks:
            if name not in walks:
                raise ValueError(f"walk {name!r} is not known; choose from {', '.join(walks)}")
        return [Walked(name, record_walk(env, seeds, config.worlds, walks[name])) for name in config.walks], turn


def dreamed_returns(config: Recall, world: WorldModel, rules: Mapping[str, MemoryRule]) -> dict[str, Any]:
    """The second part: tours out and back that are dreamed from their first frames."""
    from slowfast.evaluation.recall import returning
    from slowfast.evaluation.tours import record, turn_and_return

    env, seeds, _ = real_rooms(config, world)
    with closing(env):
        tours = record(env, seeds, config.worlds, turn_and_return(config.return_turns), 0)
    with Bar("out and back", unit="part") as bar:
        frames = returning.dream_returns(world, tours, rules, config.seed, config.group, config.out / "parts", bar)
    with Bar("judged", unit="arm") as bar:
        found = returning.visited(world, frames, bar)
    return {**returning.summary(found, config.seed), "turns": config.return_turns, "seeds": tours.seeds}


def described(
    config: Recall, world: WorldModel, rules: Mapping[str, MemoryRule], walks: list[Walked]
) -> dict[str, Any]:
    """What the figures belong to."""
    import torch

    from slowfast import __version__
    from slowfast.evaluation.recall.scores import EXTRACTOR

    return {
        "format_version": FORMAT_VERSION,
        "world": {"name": world.config.name, "base_hash": world.base_hash, "context": world.config.context},
        "split": config.split,
        "seeds": {walk.name: walk.asked[0].tours.seeds for walk in walks},
        "seen": {walk.name: walk.asked[0].seen for walk in walks},
        "seed": config.seed,
        "rules": {name: rule.settings() for name, rule in rules.items()},
        "extractor": EXTRACTOR,
        "machine": {"device": config.device, "threads": torch.get_num_threads()},
        "versions": {"slowfast": __version__, "torch": str(torch.__version__)},
    }
