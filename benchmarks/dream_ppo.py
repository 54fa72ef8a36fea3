"""Can a policy be learned in a dream? PPO that was trained in one, tried in real rooms that nobody has seen.

    python benchmarks/dream_ppo.py --world doom-rooms

The task is to cover ground: a step pays how far it led forward, so a wall has to be seen to be avoided. In the dream
the world's odometry says how far that was, in the real rooms the pose does. The same PPO learns from dreamed frames,
from as many real frames, and from only as many real frames as the dream began with; beside them stand luck, a walker
that sees nothing, and one that has a map. All are tried in the same test worlds.

Every training is written to ``--run`` when it is done, and a later call with the same settings goes on from there.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import tyro
from dream_ppo_agent import Learning, learn
from gymnasium.vector import VectorEnv
from policy_tables import ARMS, policies_table
from report import RESULTS, machine, read_json, write_json
from safetensors.torch import save_model

from slowfast.envs.doom_rooms.motion import MOVES
from slowfast.envs.doom_rooms.splits import world_seeds
from slowfast.evaluation.policies.ground import WALK, dreamed_ground, real_ground
from slowfast.evaluation.policies.learned import Learned
from slowfast.evaluation.policies.returns import earned, earned_more, mean_return
from slowfast.evaluation.policies.walkers import Luck, Rhythm, VectorPolicy, WallKnower
from slowfast.model_folder import weights_hash
from slowfast.slow.config import SamplingConfig
from slowfast.world_model import WorldModel

Envs = VectorEnv[Any, Any, Any]
UNTRAINED: dict[str, type[Luck] | type[Rhythm] | type[WallKnower]] = {
    "luck": Luck,
    "rhythm": Rhythm,
    "map": WallKnower,
}
PAIRS = (("dream", "luck"), ("dream", "rhythm"), ("dream", "few"), ("dream", "real"), ("real", "luck"), ("few", "luck"))
"""Which arm is compared with which."""


@dataclass(frozen=True)
class Settings:
    """``frames``: that PPO learns from, dreamed or real; ``environments``: at once; ``episode``: steps; ``trainings``:
    of each arm that learns, from different seeds; ``worlds``: of ``split``, in which all are tried; ``memory``: of the
    dream, ``sampling``: how, where not as the world's own; ``arms``: which are measured; ``run``: where finished
    trainings are kept."""

    world: str = "doom-rooms"
    frames: int = 24576
    environments: int = 16
    episode: int = 32
    trainings: int = 3
    worlds: int = 64
    split: str = "test"
    memory: str = "off"
    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    learning: Learning = field(default_factory=Learning)
    arms: tuple[str, ...] = tuple(ARMS)
    threads: int = 2
    run: Path = Path("runs/dream_ppo")
    out: Path = RESULTS / "dream_ppo.json"


def main(settings: Settings) -> None:
    if settings.split == "train":
        raise SystemExit("--split train: policies learn in these worlds; try them in 'test', 'validation', 'held_out'")
    if unknown := set(settings.arms) - set(ARMS):
        raise SystemExit(f"--arms: there are no {sorted(unknown)}, there are {', '.join(ARMS)}")
    torch.set_num_threads(settings.threads)
    world = WorldModel.from_pretrained(settings.world)
    world.slow.set_sampling(settings.sampling)
    rows = []
    tried = real_ground(world, settings.split, min(settings.environments, settings.worlds), settings.episode)
    try:
        for arm, number in planned(settings):
            path = settings.run / f"{arm}-{number}.json"
            row, identity = read_json(path), identified(settings, world, arm)
            if row is None or row["identity"] != identity:
                row = {"identity": identity, **measured(settings, world, tried, arm, number)}
                write_json(path, row)
            rows.append(row)
            print(f"{ARMS[arm]}, training {number}: {np.mean(row['returns']):.2f} an episode", flush=True)
    finally:
        tried.close()
    result = summary(settings, world, rows)
    write_json(settings.out, result)
    print(policies_table(result))


def planned(settings: Settings) -> Iterator[tuple[str, int]]:
    """Each arm and the number of its training, what takes longest last. What does not draw at all is tried once."""
    for arm in ("rhythm", "map", "luck", "few", "real", "dream"):
        if arm in settings.arms:
            for number in range(1 if arm in ("rhythm", "map") else settings.trainings):
                yield arm, number


def identified(settings: Settings, world: WorldModel, arm: str) -> dict[str, Any]:
    """What a finished training has to have in common with the present settings to be taken over. Of real frames it does
    not matter which world would have dreamed."""
    changeable = {"world", "arms", "threads", "trainings", "run", "out"}
    if arm != "dream":
        changeable |= {"memory", "sampling"}
    chosen = {name: value for name, value in asdict(settings).items() if name not in changeable}
    if arm == "few":
        chosen["first_frames"] = first_frames(world)
    if arm == "dream":
        odometry = None if world.odometry is None else weights_hash(world.odometry.state_dict())
        chosen |= {"base_hash": world.base_hash, "odometry_hash": odometry}
    return chosen


def measured(settings: Settings, world: WorldModel, tried: Envs, arm: str, number: int) -> dict[str, Any]:
    """One training, if the arm learns, and what its policy earns in the worlds that it is tried in."""
    began = time.perf_counter()
    frames, curve = 0, []
    policy: VectorPolicy
    if arm in UNTRAINED:
        policy = Luck(number) if arm == "luck" else UNTRAINED[arm]()
    else:
        envs = arena(settings, world, arm)
        allowed = first_frames(world) if arm == "few" else settings.frames
        try:
            agent, curve = learn(envs, settings.learning, allowed, number)
        finally:
            envs.close()
        frames, policy = agent.num_timesteps, Learned(agent.policy, number)
        settings.run.mkdir(parents=True, exist_ok=True)
        save_model(agent.policy, str(settings.run / f"{arm}-{number}.safetensors"))
    learned = time.perf_counter() - began
    found = earned(tried, policy, world_seeds(settings.split, settings.worlds))
    return {
        "arm": arm,
        "training": number,
        "frames": frames,
        "curve": curve,
        "learning_seconds": learned,
        "trying_seconds": found.seconds,
        "shares": found.shares.tolist(),
        "returns": found.returns.tolist(),
    }


def arena(settings: Settings, world: WorldModel, arm: str) -> Envs:
    """Where an arm learns."""
    if arm == "dream":
        return dreamed_ground(world, settings.environments, settings.episode, settings.memory)
    return real_ground(world, "train", settings.environments, settings.episode)


def first_frames(world: WorldModel) -> int:
    """Real frames that dreams begin with: all that a policy sees of the real world before it is tried there."""
    return int(np.prod(world.starts.frames.shape[:2]))


def summary(settings: Settings, world: WorldModel, rows: list[dict[str, Any]]) -> dict[str, Any]:
    returns = {arm: np.array([row["returns"] for row in rows if row["arm"] == arm]) for arm in settings.arms}
    arms = {}
    for arm, own in returns.items():
        mine = [row for row in rows if row["arm"] == arm]
        arms[arm] = {
            "trainings": len(mine),
            "frames": mine[0]["frames"],
            "return": vars(mean_return(own)),
            "each_training": own.mean(1).tolist(),
            "shares": np.mean([row["shares"] for row in mine], 0).tolist(),
            "learning_seconds": float(np.mean([row["learning_seconds"] for row in mine])),
        }
    return {
        "world": world.config.name,
        "base_hash": world.base_hash,
        "world_frames": world_frames(world.config.name),
        "first_frames": first_frames(world),
        "settings": {name: value for name, value in asdict(settings).items() if name not in ("run", "out")},
        "seeds": world_seeds(settings.split, settings.worlds),
        "moves": [MOVES[move] for move in WALK],
        "machine": machine(settings.threads),
        "arms": arms,
        "more": [
            {"arm": arm, "than": other, **vars(earned_more(returns[arm], returns[other]))}
            for arm, other in PAIRS
            if {arm, other} <= set(settings.arms)
        ],
        "rows": [{name: value for name, value in row.items() if name != "identity"} for row in rows],
    }


def world_frames(name: str) -> int | None:
    """Real frames that the world itself was trained on, or None where that is not known."""
    known = read_json(RESULTS / "training.json")
    if known is None or known["world"] != name:
        return None
    return sum(split["train"]["frames"] for split in known["data"].values())


if __name__ == "__main__":
    main(tyro.cli(Settings, description=__doc__))
