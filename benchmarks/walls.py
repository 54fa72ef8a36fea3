"""Does a wall stop a step? How far a step forward leads in a dream, at a wall and in the open.

    python benchmarks/walls.py --worlds doom-rooms

In real rooms somebody walks into a wall, and the dream that has seen it walks on, though nothing is free; or he stands
before an open stretch, and the dream walks into it. How far each dreamed step led is read by the world's odometry,
which is asked of the true frames as well: there it must say what the poses say. A policy that learns in the dream is
paid by that, so a dream that lets it through walls teaches it to run into them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
import tyro
from policy_tables import walls_table
from report import RESULTS, called, machine, write_json

from slowfast.dream import Dream
from slowfast.envs.doom_rooms.env import DoomRoomsEnv
from slowfast.envs.doom_rooms.motion import FORWARD, TURN_LEFT
from slowfast.envs.doom_rooms.splits import world_seeds
from slowfast.envs.doom_rooms.tours import clear_steps
from slowfast.envs.policies import make_policy
from slowfast.evaluation.intervals import drawn, mean
from slowfast.evaluation.tours import known_rooms
from slowfast.world_model import WorldModel

BEFORE = 8
"""Moves that a dream is shown; the last two led forward."""
POLICIES = ("explore", "restless", "mixed", "stubborn")
CLIP = 96
"""Steps of an episode of clips."""
PATIENCE = 60
"""Moves after which a room is given up."""


@dataclass(frozen=True)
class Settings:
    """``worlds``: which learned ones, by name or folder, of the same moves and frame size; ``places``: of each kind,
    one a room of ``split``; ``ahead``: steps that are dreamed there; ``episodes``: of each policy that collects clips,
    in training rooms, in which it is counted how many steps forward led nowhere."""

    worlds: tuple[str, ...] = ("doom-rooms",)
    places: int = 48
    episodes: int = 64
    ahead: int = 6
    split: str = "test"
    seed: int = 0
    threads: int = 2
    out: Path = RESULTS / "walls.json"


@dataclass(frozen=True)
class Places:
    """N walks: ``seen`` ``uint8 [N, BEFORE + 1, H, W, 3]`` and the ``moves`` between; ``ahead`` ``uint8 [N, A, H, W,
    3]``, what A steps forward really show; ``paces`` ``float64 [N, A]``, how far each really led, in steps."""

    seen: np.ndarray
    moves: list[list[int]]
    ahead: np.ndarray
    paces: np.ndarray


def main(settings: Settings) -> None:
    torch.set_num_threads(settings.threads)
    loaded = {name: WorldModel.from_pretrained(name) for name in settings.worlds}
    first = next(iter(loaded.values()))
    env = known_rooms(first, settings.split)
    try:
        real, seeds = cast(DoomRoomsEnv, env.unwrapped), world_seeds(settings.split, 20 * settings.places)
        found = {kind: places(real, seeds, settings, kind == "wall") for kind in ("wall", "open")}
        met = {policy: walls_met(real, policy, settings.episodes) for policy in POLICIES}
    finally:
        env.close()
    rows = [row for name, world in loaded.items() for row in measured(called(name), world, found, settings)]
    result = {
        "settings": {name: value for name, value in asdict(settings).items() if name not in ("out", "worlds")},
        "machine": machine(settings.threads),
        "true": {kind: interval_of(own.paces) for kind, own in found.items()},
        "walls_met": met,
        "rows": rows,
    }
    write_json(settings.out, result)
    print(walls_table(result))


def places(env: DoomRoomsEnv, seeds: Iterable[int], settings: Settings, at_wall: bool) -> Places:
    """The first place of each room at which two steps forward led to a wall, or to where ``ahead`` steps are free."""
    found: list[tuple[np.ndarray, list[int], np.ndarray, list[float]]] = []
    for seed in seeds:
        if len(found) == settings.places:
            break
        place = _place(env, seed, settings.ahead, at_wall)
        if place is not None:
            found.append(place)
    if len(found) < settings.places:
        raise ValueError(f"only {len(found)} rooms have such a place, {settings.places} were asked for")
    seen, moves, ahead, paces = zip(*found, strict=True)
    return Places(np.stack(seen), list(moves), np.stack(ahead), np.array(paces))


def _place(
    env: DoomRoomsEnv, seed: int, ahead: int, at_wall: bool
) -> tuple[np.ndarray, list[int], np.ndarray, list[float]] | None:
    frames, moves = [env.reset(seed=seed)[0]], []
    for _ in range(PATIENCE):
        free = clear_steps(env.world, env.motion, env.position, limit=ahead)
        came = len(moves) >= BEFORE and moves[-2:] == [FORWARD, FORWARD]
        if came and (free == ahead if not at_wall else free == 0 and _stands(frames)):
            break
        moves.append(FORWARD if free or not _stands(frames) else TURN_LEFT)
        frames.append(env.step(moves[-1])[0])
    else:
        return None
    seen, told, paces = np.stack(frames[-BEFORE - 1 :]), moves[-BEFORE:], []
    later = []
    for _ in range(ahead):
        before = np.array(env.position[:2])
        later.append(env.step(FORWARD)[0])
        paces.append(float(np.linalg.norm(np.array(env.position[:2]) - before)) / env.motion.step_units)
    return seen, told, np.stack(later), paces


def walls_met(env: DoomRoomsEnv, name: str, episodes: int) -> float:
    """Of the steps forward that a policy takes in ``episodes`` of ``CLIP`` steps, the share that led nowhere."""
    forward = still = 0
    for seed in world_seeds("train", episodes):
        observation, info = env.reset(seed=seed)
        policy = make_policy(name, env, np.random.default_rng(seed))
        policy.reset(info)
        for _ in range(CLIP):
            move, before = int(policy.act(observation, info)), env.position[:2]
            observation, *_, info = env.step(move)
            forward += move == FORWARD
            still += move == FORWARD and env.position[:2] == before
    return still / max(forward, 1)


def _stands(frames: list[np.ndarray]) -> bool:
    """Whether the last move changed nothing: the wall was met, and not only come near."""
    return len(frames) > 1 and np.array_equal(frames[-1], frames[-2])


@torch.no_grad()
def measured(name: str, world: WorldModel, found: dict[str, Places], settings: Settings) -> list[dict[str, Any]]:
    """Two rows a world: at walls and in the open."""
    rows = []
    for kind, own in found.items():
        true = world.encode(np.concatenate([own.seen[:, -1:], own.ahead], 1))
        dream = Dream(world, len(own.seen), None, settings.seed)
        dream.start(own.seen, own.moves)
        made = [dream.latents]
        for _ in range(settings.ahead):
            dream.step([[FORWARD]] * len(own.seen))
            made.append(dream.latents)
        dreamed = torch.stack(made, 1)
        row = {"world": name, "base_hash": world.base_hash, "place": kind}
        row["odometry"] = interval_of(forward(world, true))
        row["dreamed"] = interval_of(forward(world, dreamed))
        row["error"] = float((dreamed[:, 1:] - true[:, 1:]).square().mean())
        row["standing"] = float((true[:, 1:] - true[:, :1]).square().mean())
        rows.append(row)
    return rows


def forward(world: WorldModel, latents: torch.Tensor) -> np.ndarray:
    """How far forward each step of ``latents`` ``[N, A + 1, C, h, w]`` led, ``float64 [N, A]``, by the odometry."""
    if world.odometry is None:
        raise ValueError(f"the world {world.config.name!r} has no odometry: `slowfast train odometry` adds one")
    count, steps = len(latents), latents.shape[1] - 1
    moves = {"move": torch.full((count, steps), FORWARD)}
    vectors = world.slow.action_vectors({**world.slow.null_actions(count, steps), **moves})
    return world.odometry.paces(latents[:, :-1], latents[:, 1:], vectors)[..., 0].double().numpy()


def interval_of(paces: np.ndarray) -> dict[str, float]:
    """The mean over places, with a bootstrap interval over them."""
    return vars(mean(paces.mean(1), drawn(len(paces))))


if __name__ == "__main__":
    main(tyro.cli(Settings, description=__doc__))
