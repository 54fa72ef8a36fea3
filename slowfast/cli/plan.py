"""Plan the way back to a first view in a dream, walk it in the real world, and compare with luck and with the truth."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from slowfast import config as configs
from slowfast.cli.progress import Bar
from slowfast.slow.config import SamplingConfig

if TYPE_CHECKING:
    from slowfast.envs.doom_rooms.env import DoomRoomsEnv
    from slowfast.world_model import WorldModel

FORMAT_VERSION = 1
DREAM = "dream, memory "
OF_ANOTHER = " of another world"
MEMORIES = ("temp_lora", "retrieval", "hybrid")
AGENTS = (
    "random",
    *(DREAM + memory for memory in ("off", *MEMORIES)),
    *(DREAM + memory + OF_ANOTHER for memory in MEMORIES),
    "simulator",
)


@dataclass(frozen=True)
class PlanHome:
    """Walk away from the first view in unseen real worlds, then come back: plan in a dream, do the first move for real,
    show the dream what came of it, and plan again.

    Writes OUT/plan.json and prints its table: how often each agent came home, beside random moves and beside the same
    planner in the real simulator, with 95 % bootstrap intervals over worlds. The same command goes on with the next
    agent where it was interrupted (OUT/trips). Needs the extra doom.

    Example:
        slowfast plan --world doom-rooms --worlds 4 --limit 8 --out out/plan
    """

    world: str = "doom-rooms"
    """Name of a world that ships, or a folder."""
    env: str = "slowfast/DoomRooms-v0"
    """Gymnasium id of the real world: DoomRooms, or another id that makes it."""
    out: Path = Path("out/plan")
    """Folder to write to."""
    worlds: int = 50
    """Unseen worlds, all of whose dreams are planned in side by side."""
    away: int = 8
    """Steps of the restless policy that lead away."""
    limit: int = 20
    """Real steps to come home in."""
    planner: str = "icem"
    """random_shooting, cem, icem or mppi."""
    settings: dict[str, Any] = field(default_factory=lambda: {"horizon": 8, "candidates": 32, "iterations": 2})
    """Of the planner."""
    memory: dict[str, Any] = field(default_factory=dict)
    """The memory rule: a name and settings over the world's own; empty: the world's own."""
    split: str = "test"
    """Which worlds: validation to choose by, test to report, held_out for textures that were never trained on."""
    agents: tuple[str, ...] = ("random", "dream, memory off", "dream, memory temp_lora", "simulator")
    """Whom to compare; a dream's memory is off, temp_lora, retrieval or hybrid; with " of another world" after it,
    plans read the memory of the wrong world, a control."""
    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    """How dreams are sampled, where not as the world's own."""
    seed: int = 0
    """Of plans, noise, memories and random moves."""
    device: str = "cpu"
    """cpu, cuda, cuda:1, ..."""

    def __post_init__(self) -> None:
        for name, least in {"worlds": 1, "away": 1, "limit": 1, "seed": 0}.items():
            if getattr(self, name) < least:
                raise ValueError(f"{name} has to be at least {least}, got {getattr(self, name)}")
        if not self.agents:
            raise ValueError("agents: name at least one")
        for name in self.agents:
            if name not in AGENTS:
                raise ValueError(f"agent {name!r} is not known; choose from {', '.join(map(repr, AGENTS))}")


def run(config: PlanHome) -> int:
    from slowfast.envs.doom_rooms.splits import split_env_kwargs, world_seeds
    from slowfast.evaluation.coming_home import records
    from slowfast.evaluation.coming_home.outings import outings
    from slowfast.evaluation.coming_home.trips import come_home, summary, table
    from slowfast.evaluation.tours import rooms
    from slowfast.fast.files import write_text
    from slowfast.world_model import WorldModel

    world = WorldModel.from_pretrained(config.world, config.device)
    world.slow.set_sampling(config.sampling)
    known = (world.config.environment or {}).get("kwargs", {})
    arguments = {name: value for name, value in known.items() if name != "size"} | split_env_kwargs(config.split)
    configs.save(config, config.out / "config.yaml")
    shared = {name: value for name, value in asdict(config).items() if name not in ("out", "world", "agents", "device")}
    shared["base_hash"] = world.base_hash
    trips = {}
    with closing(rooms(config.env, world.config.frame_size, world.action_spec, arguments)) as env:
        real = cast("DoomRoomsEnv", env.unwrapped)
        away = outings(real, world_seeds(config.split, 20 * config.worlds), config.worlds, config.away)
        for name in config.agents:
            asked, path = {"agent": name, **shared}, config.out / "trips" / f"{name}.json"
            done = records.load(asked, path)
            if done is None:
                agent = make_agent(name, config, world, real, away)
                with Bar(name, unit="step") as bar:
                    done = come_home(real, away, agent, config.limit, bar)
                records.save(done, asked, path)
            trips[name] = done
    reference = "dream, memory off" if "dream, memory off" in trips else None
    result = {
        "format_version": FORMAT_VERSION,
        "world": {"name": world.config.name, "base_hash": world.base_hash},
        "seeds": [outing.home.world for outing in away],
        "config": {name: value for name, value in asdict(config).items() if name not in ("out", "world")},
        **summary(trips, reference, config.seed),
    }
    write_text(config.out / "plan.json", json.dumps(result, indent=1, default=str) + "\n")
    print(f"\n{table(result)}\n\n{config.out / 'plan.json'}")
    return 0


def make_agent(name: str, config: PlanHome, world: WorldModel, real: DoomRoomsEnv, away: Any) -> Any:
    """One of :data:`AGENTS`."""
    from slowfast.evaluation.coming_home.agents import Dreamer, Luck, Simulator
    from slowfast.planning import make_planner

    if name == "random":
        return Luck(len(away), config.seed)
    planner = make_planner(config.planner, world.action_spec, **config.settings)
    if name == "simulator":
        return Simulator(world, real, away, planner, config.seed)
    memory = name.removeprefix(DREAM).removesuffix(OF_ANOTHER)
    rule = None if memory == "off" else world.memory_rule(config.memory, memory=memory)
    return Dreamer(world, away, planner, rule, config.seed, name.endswith(OF_ANOTHER))
