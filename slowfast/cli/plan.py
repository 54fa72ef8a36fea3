"""Plan in a dream, act in the real world, and compare with luck and with the truth."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slowfast import config as configs
from slowfast.cli.progress import Bar
from slowfast.slow.config import SamplingConfig

if TYPE_CHECKING:
    from slowfast.evaluation.acting.agents import Agent
    from slowfast.evaluation.acting.task import Task
    from slowfast.world_model import WorldModel

FORMAT_VERSION = 1
DREAM = "dream, memory "
OF_ANOTHER = " of another world"
SCRIPTED = "instructed"
MEMORIES = ("temp_lora", "retrieval", "hybrid")
AGENTS = (
    "random",
    *(DREAM + memory for memory in ("off", *MEMORIES)),
    *(DREAM + memory + OF_ANOTHER for memory in MEMORIES),
    "simulator",
    SCRIPTED,
)


@dataclass(frozen=True)
class Plan:
    """In unseen real worlds, plan in a dream, do the first move for real, show the dream what came of it, plan again.

    In DoomRooms somebody walked away from the first view and has to come back to it, which is the planner's picture
    goal. On the Tabletop an instruction has to be followed, by what the world's instruction head says of imagined
    frames (`slowfast train instruction`). Writes OUT/plan.json and prints its table: how often each agent succeeded,
    beside random moves and beside the same planner in the real simulator, with 95 % bootstrap intervals over worlds.
    The same command goes on with the next agent where it was interrupted (OUT/trips). Needs the extra doom or mujoco.

    Example:
        slowfast plan --world doom-rooms --worlds 4 --limit 8 --out out/plan
    """

    world: str = "doom-rooms"
    """Name of a world that ships, or a folder."""
    env: str | None = None
    """Gymnasium id of the real world: DoomRooms or Tabletop, or another id that makes one; default: the world's own."""
    out: Path = Path("out/plan")
    """Folder to write to."""
    worlds: int = 50
    """Unseen worlds, all of whose dreams are planned in side by side."""
    away: int = 8
    """Steps from done: of the restless policy that led away from home, or that the policy that does as it is told
    would still take on a table (0: all, from the beginning)."""
    limit: int = 20
    """Real steps to succeed in."""
    planner: str = "icem"
    """random_shooting, cem, icem or mppi."""
    settings: dict[str, Any] = field(default_factory=lambda: {"horizon": 8, "candidates": 32, "iterations": 2})
    """Of the planner."""
    goal: dict[str, Any] = field(default_factory=dict)
    """Of the objective: discount, last, and in words log."""
    memory: dict[str, Any] = field(default_factory=dict)
    """The memory rule: a name and settings over the world's own; empty: the world's own."""
    split: str = "test"
    """Which worlds: validation to choose by, test to report, held_out for textures that were never trained on."""
    agents: tuple[str, ...] = ("random", "dream, memory off", "dream, memory temp_lora", "simulator")
    """Whom to compare; a dream's memory is off, temp_lora, retrieval or hybrid; with " of another world" after it,
    plans read the memory of the wrong world, a control. On a table also "instructed", which looks at the simulator."""
    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    """How dreams are sampled, where not as the world's own."""
    seed: int = 0
    """Of plans, noise, memories and random moves."""
    device: str = "cpu"
    """cpu, cuda, cuda:1, ..."""

    def __post_init__(self) -> None:
        for name, least in {"worlds": 1, "away": 0, "limit": 1, "seed": 0}.items():
            if getattr(self, name) < least:
                raise ValueError(f"{name} has to be at least {least}, got {getattr(self, name)}")
        if not self.agents:
            raise ValueError("agents: name at least one")
        for name in self.agents:
            if name not in AGENTS:
                raise ValueError(f"agent {name!r} is not known; choose from {', '.join(map(repr, AGENTS))}")


def run(config: Plan) -> int:
    from slowfast.evaluation.acting import records
    from slowfast.evaluation.acting.tasks import make_task
    from slowfast.evaluation.acting.trips import act_out, summary, table
    from slowfast.fast.files import write_text
    from slowfast.world_model import WorldModel

    world = WorldModel.from_pretrained(config.world, config.device)
    world.slow.set_sampling(config.sampling)
    env = config.env or (world.config.environment or {}).get("id")
    if env is None:
        raise ValueError(
            f"the world {world.config.name!r} does not say which environment it was trained on: give --env"
        )
    configs.save(config, config.out / "config.yaml")
    shared = {name: value for name, value in asdict(config).items() if name not in ("out", "world", "agents", "device")}
    shared |= {"env": env, "base_hash": world.base_hash}
    trips = {}
    with make_task(env, world, config.split, config.worlds, config.away, config.goal) as task:
        for name in config.agents:
            asked, path = {"agent": name, **shared}, config.out / "trips" / f"{name}.json"
            done = records.load(asked, path)
            if done is None:
                agent = make_agent(name, config, world, task)
                with Bar(name, unit="step") as bar:
                    done = act_out(task, agent, config.limit, bar)
                records.save(done, asked, path)
            trips[name] = done
        reference = DREAM + "off" if DREAM + "off" in trips else None
        result = {
            "format_version": FORMAT_VERSION,
            "world": {"name": world.config.name, "base_hash": world.base_hash},
            "seeds": list(task.worlds),
            "config": {
                **{name: value for name, value in asdict(config).items() if name not in ("out", "world")},
                "env": env,
            },
            **summary(task, trips, reference, config.seed),
        }
    write_text(config.out / "plan.json", json.dumps(result, indent=1, default=str) + "\n")
    print(f"\n{table(result)}\n\n{config.out / 'plan.json'}")
    return 0


def make_agent(name: str, config: Plan, world: WorldModel, task: Task) -> Agent:
    """One of :data:`AGENTS`."""
    from slowfast.evaluation.acting.agents import Dreamer, Luck, Scripted, Simulator
    from slowfast.planning import make_planner

    if name == "random":
        return Luck(world, task, config.seed)
    if name == SCRIPTED:
        try:
            return Scripted(task, SCRIPTED, config.seed)
        except TypeError as error:
            raise ValueError(f"agent {name!r}: {error}") from error
    planner = make_planner(config.planner, world.action_spec, **config.settings)
    if name == "simulator":
        return Simulator(world, task, planner, config.seed)
    memory = name.removeprefix(DREAM).removesuffix(OF_ANOTHER)
    rule = None if memory == "off" else world.memory_rule(config.memory, memory=memory)
    return Dreamer(world, task, planner, rule, config.seed, name.endswith(OF_ANOTHER))
