"""Does the dream pay what reality pays? What policies earn in real rooms, and in dreams that begin there.

    python benchmarks/dream_returns.py --worlds doom-rooms --learned runs/dream_ppo/real-0.safetensors

A policy that learns in a dream finds what pays there. So the dream has to pay the better policy more, for as long as an
episode lasts. The task is that of ``dream_ppo.py``; each dream begins with the first frame of a real episode, and has
seen nothing else. Beside walkers that see nothing stand policies that ``dream_ppo.py`` left in its run folder. Prints a
table and writes ``benchmarks/results/dream_returns.json``.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import tyro
from dream_ppo_agent import Learning, untrained
from gymnasium.vector import VectorEnv
from policy_tables import returns_table
from report import RESULTS, called, machine, write_json
from safetensors.torch import load_model
from tqdm import tqdm

from slowfast.envs.doom_rooms.splits import world_seeds
from slowfast.evaluation.intervals import drawn, mean
from slowfast.evaluation.policies.ground import dreamed_ground, real_ground
from slowfast.evaluation.policies.learned import Learned
from slowfast.evaluation.policies.walkers import Luck, Rhythm, VectorPolicy
from slowfast.slow.config import SamplingConfig
from slowfast.world_model import WorldModel

Envs = VectorEnv[Any, Any, Any]


@dataclass(frozen=True)
class Settings:
    """``worlds``: which learned ones, by name or folder, of the same moves and frame size; ``learned``: policies of
    ``dream_ppo.py`` with these settings of ``learning``; ``places``: real rooms of ``split``, ``environments`` at once;
    ``episode``: steps; ``parts``: of an episode that are told apart; ``sampling``: of dreams, where not as the world's
    own."""

    worlds: tuple[str, ...] = ("doom-rooms",)
    learned: tuple[Path, ...] = ()
    learning: Learning = field(default_factory=Learning)
    places: int = 64
    environments: int = 16
    episode: int = 32
    parts: int = 4
    split: str = "test"
    memory: str = "off"
    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    seed: int = 0
    threads: int = 2
    out: Path = RESULTS / "dream_returns.json"


def main(settings: Settings) -> None:
    if settings.episode % settings.parts or settings.places % settings.environments:
        raise SystemExit("--episode has to divide by --parts, and --places by --environments")
    torch.set_num_threads(settings.threads)
    loaded = {name: WorldModel.from_pretrained(name) for name in settings.worlds}
    first = next(iter(loaded.values()))
    seeds = np.array(world_seeds(settings.split, settings.places)).reshape(-1, settings.environments)
    real = real_ground(first, settings.split, settings.environments, settings.episode)
    try:
        policies = {"forward": Rhythm((0,)), "rhythm": Rhythm(), "luck": Luck(settings.seed)}
        policies |= {path.stem: learned(real, path, settings) for path in settings.learned}
        rows = [told(name, "real", paid(real, policy, seeds), settings) for name, policy in policies.items()]
        starts = [real.reset(seed=own.tolist())[0][:, -1] for own in seeds]
    finally:
        real.close()
    for folder, world in loaded.items():
        world.slow.set_sampling(settings.sampling)
        dreams = dreamed_ground(world, settings.environments, settings.episode, settings.memory)
        for name, policy in policies.items():
            rewards = paid(dreams, policy, seeds, starts)
            rows.append(told(name, called(folder), rewards, settings) | {"base_hash": world.base_hash})
        dreams.close()
    result = {
        "settings": {
            name: value for name, value in asdict(settings).items() if name not in ("worlds", "learned", "out")
        },
        "machine": machine(settings.threads),
        "rows": rows,
    }
    write_json(settings.out, result)
    print(returns_table(result))


def learned(envs: Envs, path: Path, settings: Settings) -> Learned:
    """The policy in ``path``."""
    policy = untrained(envs, settings.learning, settings.episode, settings.seed).policy
    load_model(policy, str(path))
    return Learned(policy, settings.seed)


def paid(envs: Envs, policy: VectorPolicy, seeds: np.ndarray, starts: list[np.ndarray] | None = None) -> np.ndarray:
    """Rewards ``[worlds, steps]`` of one episode in each; ``starts``: frames ``[E, H, W, 3]`` that episodes begin with
    in place of what the environment has for a seed."""
    found = []
    for number, own in enumerate(tqdm(seeds, leave=False)):
        options = None
        if starts is not None:
            options = {"frames": starts[number][:, None], "actions": [[]] * len(own)}
        observations, _ = envs.reset(seed=own.tolist(), options=options)
        policy.begin(envs, own.tolist())
        rows, over = [], np.zeros(len(own), bool)
        while not over.all():
            observations, rewards, _, over, _ = envs.step(policy.act(observations))
            rows.append(rewards)
        found.append(np.stack(rows, 1))
    return np.concatenate(found)


def told(policy: str, where: str, rewards: np.ndarray, settings: Settings) -> dict[str, Any]:
    """What an episode paid, with its interval over rooms, and what a step of each part of it did."""
    parts = rewards.reshape(len(rewards), settings.parts, -1).mean((0, 2))
    whole = vars(mean(rewards.sum(1), drawn(len(rewards), seed=settings.seed)))
    return {"policy": policy, "where": where, "return": whole, "parts": parts.tolist()}


if __name__ == "__main__":
    main(tyro.cli(Settings, description=__doc__))
