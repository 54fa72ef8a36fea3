"""Follow sub-goals in real worlds: imagine their video, read actions from its frames, and carry them out."""

from __future__ import annotations

import json
import os
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from slowfast import config as configs
from slowfast.cli.plan import MEMORIES, OF_ANOTHER
from slowfast.cli.progress import Bar

if TYPE_CHECKING:
    from slowfast.envs.doom_rooms.env import DoomRoomsEnv
    from slowfast.evaluation.acting.coming_home import Outing
    from slowfast.evaluation.follow.followers import Follower
    from slowfast.planning.endpoint import EndpointSubGoals
    from slowfast.planning.subgoals import SubGoals
    from slowfast.world_model import WorldModel

FORMAT_VERSION = 1
PLAN = "video plan, memory "
FOLLOWERS = (
    "random",
    *(PLAN + memory for memory in ("off", *MEMORIES)),
    *(PLAN + memory + OF_ANOTHER for memory in MEMORIES),
    "true video",
    "words",
)


@dataclass(frozen=True)
class Follow:
    """Carry out sub-goals in unseen real worlds the paper's way: imagine a video of each, read the actions from its
    frames with the world's inverse dynamics, execute them, show the dream what came of it, and go on.

    Sub-goals come from --sub-goals, or from a language model behind an OpenAI-compatible --endpoint that splits --task.
    With --retrace the listed ones are walked out first, and the way back is followed by their opposites. Writes
    OUT/follow.json and prints its table: how often what was done was said, and how far from where the words lead each
    follower ended, beside the words themselves, actions read from the true video of them, and random moves, with 95 %
    bootstrap intervals over worlds. Needs the extra doom.

    Example:
        slowfast follow --world runs/reads/model --worlds 4 --sub-goals "turn left" forward --retrace
    """

    world: str = "doom-rooms"
    """A world with inverse dynamics: the name of one that ships, or a folder."""
    env: str = "slowfast/DoomRooms-v0"
    """Gymnasium id of the real world: DoomRooms, or another id that makes it."""
    out: Path = Path("out/follow")
    """Folder to write to."""
    worlds: int = 50
    """Unseen worlds, all of whose dreams are planned in side by side."""
    sub_goals: tuple[str, ...] = ()
    """What is to be done, in words the world knows."""
    steps: int | None = None
    """Moves of one sub-goal (default: a chunk of the world)."""
    execute: int | None = None
    """Moves of a plan that are done before the next one is made (default: all of it)."""
    retrace: bool = False
    """Walk the sub-goals out first, by their words, and follow the opposite ones back."""
    task: str = ""
    """What the endpoint is to split into sub-goals."""
    endpoint: str = ""
    """URL of an OpenAI-compatible endpoint, such as http://localhost:8000/v1."""
    model: str = ""
    """The model that is asked for there."""
    key_from: str = ""
    """NAME of the environment variable that holds the endpoint's key, if it needs one."""
    request: dict[str, Any] = field(default_factory=dict)
    """Further fields of a request to the endpoint, such as {temperature: 0}; null leaves one out."""
    timeout: float = 60.0
    """Seconds that an answer of the endpoint may take."""
    limit: int = 16
    """Sub-goals that the endpoint may give, at most."""
    look: bool = False
    """Ask the endpoint anew after every sub-goal, in every world, and show it the present frame; else it is asked once,
    for all worlds."""
    memory: dict[str, Any] = field(default_factory=dict)
    """The memory rule: a name and settings over the world's own; empty: the world's own."""
    split: str = "test"
    """Which worlds: validation to choose by, test to report, held_out for textures that were never trained on."""
    followers: tuple[str, ...] = (
        "random",
        "video plan, memory off",
        "video plan, memory temp_lora",
        "true video",
        "words",
    )
    """Whom to compare; a video plan's memory is off, temp_lora, retrieval or hybrid; with " of another world" after it,
    plans read the memory of the wrong world, a control."""
    seed: int = 0
    """Of plans, memories and random moves."""
    device: str = "cpu"
    """cpu, cuda, cuda:1, ..."""

    def __post_init__(self) -> None:
        for name, least in {"worlds": 1, "steps": 1, "execute": 1, "limit": 1, "seed": 0}.items():
            if (value := getattr(self, name)) is not None and value < least:
                raise ValueError(f"{name} has to be at least {least}, got {value}")
        if bool(self.sub_goals) == bool(self.endpoint):
            raise ValueError("sub-goals come from --sub-goals or from --endpoint: give one of the two")
        if self.endpoint and not (self.task and self.model):
            raise ValueError("--endpoint needs a --task to split and the --model to ask")
        if self.endpoint and self.retrace:
            raise ValueError("--retrace goes back along listed --sub-goals, not along an endpoint's")
        if self.look and not self.endpoint:
            raise ValueError("--look shows frames to an --endpoint, and there is none")
        if self.key_from and not self.key_from.isidentifier():  # perhaps it is the key itself: it is not repeated
            raise ValueError("--key-from takes the name of an environment variable, not a key")
        if not self.followers:
            raise ValueError(f"--followers needs at least one of {', '.join(map(repr, FOLLOWERS))}")
        for name in self.followers:
            if name not in FOLLOWERS:
                raise ValueError(f"follower {name!r} is not known; choose from {', '.join(map(repr, FOLLOWERS))}")


def run(config: Follow) -> int:
    from slowfast.evaluation.follow.summary import summary, table
    from slowfast.evaluation.follow.walks import follow
    from slowfast.evaluation.tours import known_rooms
    from slowfast.fast.files import write_text
    from slowfast.world_model import WorldModel

    world = WorldModel.from_pretrained(config.world, config.device)
    if world.inverse_dynamics is None:
        raise ValueError(f"{world.config.name!r} has no inverse dynamics: `slowfast train inverse-dynamics` adds it")
    steps = config.steps or world.config.chunk
    configs.save(config, config.out / "config.yaml")
    walks = {}
    with closing(known_rooms(world, config.split, config.env)) as env:
        real = cast("DoomRoomsEnv", env.unwrapped)
        source, listed = sub_goals(config, real, steps)
        begun = begin(config, real, listed, steps)
        for name in config.followers:
            follower = make_follower(name, config, world, real, begun)
            with Bar(name, unit="sub-goal") as bar:
                walks[name] = follow(real, begun, follower, source, steps, config.task, bar)
    reference = PLAN + "off" if PLAN + "off" in walks else None
    result = {
        "format_version": FORMAT_VERSION,
        "world": {"name": world.config.name, "base_hash": world.base_hash},
        "seeds": [start.home.world for start in begun],
        "config": {name: value for name, value in asdict(config).items() if name not in ("out", "world")},
        "steps": steps,
        "sub_goals": {name: [list(walk.subgoals) for walk in own.walks] for name, own in walks.items()}
        if config.look
        else list(walks[config.followers[0]].walks[0].subgoals),
        **summary(walks, reference, config.seed),
    }
    write_text(config.out / "follow.json", json.dumps(result, indent=1, default=str) + "\n")
    print(f"\n{table(result)}\n\n{config.out / 'follow.json'}")
    return 0


def sub_goals(config: Follow, real: DoomRoomsEnv, steps: int) -> tuple[SubGoals, tuple[str, ...] | None]:
    """Where sub-goals come from, and which they are if that is known beforehand."""
    from slowfast.evaluation.follow.starts import moves_said, way_back
    from slowfast.planning.subgoals import ListedSubGoals

    if config.endpoint:
        asked = from_endpoint(config, real, steps)
        if config.look:
            return asked, None
        listed = asked.split(config.task)
        if not listed:
            raise ValueError(f"{config.model!r} finds nothing to do in the task {config.task!r}")
    else:
        listed = config.sub_goals
        moves_said(listed)
        if config.retrace:
            listed = way_back(listed)
    return ListedSubGoals(listed), listed


def from_endpoint(config: Follow, real: DoomRoomsEnv, steps: int) -> EndpointSubGoals:
    """Asks with the key in the environment variable that the config names."""
    from slowfast.planning.chat import ChatEndpoint
    from slowfast.planning.endpoint import EndpointSubGoals
    from slowfast.planning.subgoals import known_words

    key = os.environ.get(config.key_from, "").strip() if config.key_from else None
    if key == "":
        raise ValueError(f"the environment variable {config.key_from} that should hold the endpoint's key is not set")
    chat = ChatEndpoint(config.endpoint, config.model, key, config.timeout, settings=config.request)
    about = (
        f"Each sub-goal is carried out {steps} times in a row; one turn is {real.motion.turn_degrees:g} degrees, "
        f"one step {real.motion.step_units:g} map units, and the agent sees 90 degrees and is stopped by walls."
    )
    return EndpointSubGoals(chat, known_words(real.action_spec), config.limit, about)


def begin(config: Follow, real: DoomRoomsEnv, listed: tuple[str, ...] | None, steps: int) -> list[Outing]:
    """The worlds, with room for the way if it is known; on a way back, after the way out."""
    from slowfast.envs.doom_rooms.splits import world_seeds
    from slowfast.evaluation.follow.starts import moves_said, starts

    way = config.sub_goals if config.retrace else listed or ()
    moves = [move for move in moves_said(way) for _ in range(steps)]
    return starts(real, world_seeds(config.split, 20 * config.worlds), config.worlds, moves, config.retrace)


def make_follower(name: str, config: Follow, world: WorldModel, real: DoomRoomsEnv, begun: list[Outing]) -> Follower:
    """One of :data:`FOLLOWERS`."""
    from slowfast.evaluation.follow.followers import Chance, Dreamt, Told, TrueVideo

    if name == "random":
        return Chance(len(begun), config.seed)
    if name == "words":
        return Told()
    if name == "true video":
        return TrueVideo(world, real)
    memory = name.removeprefix(PLAN).removesuffix(OF_ANOTHER)
    rule = None if memory == "off" else world.memory_rule(config.memory, memory=memory)
    return Dreamt(world, begun, rule, config.execute, config.seed, name.endswith(OF_ANOTHER))
