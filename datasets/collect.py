"""Recording episodes of any Gymnasium environment that shows images, with several workers.

What an episode holds is decided by its seed alone: the seed resets the environment and seeds the policy. So an
interrupted collection that is started again makes the files that were missing, and nothing else.
"""

from __future__ import annotations

import importlib
import json
import multiprocessing
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from multiprocessing.util import Finalize
from pathlib import Path
from typing import Any, Protocol

import gymnasium
import numpy as np

from slowfast.actions import ActionSpec
from slowfast.datasets.columns import fill_descriptions
from slowfast.datasets.episode import DatasetError, Episode
from slowfast.datasets.files import remove_leftovers
from slowfast.datasets.orphans import end_with_parent
from slowfast.datasets.store import Store, episode_path, write_episode

DEFAULT_FPS = 30.0


class Policy(Protocol):
    """What chooses the actions of a collection."""

    def reset(self, info: dict[str, Any]) -> None: ...

    def act(self, observation: Any, info: dict[str, Any]) -> Any: ...


@dataclass(frozen=True)
class Collection:
    """What decides the content of a collected episode, beside its seed.

    ``policy`` is "module:function", called as ``function(env, rng)``, or "module:function:name", called as
    ``function(name, env, rng)``; either returns a :class:`Policy`. ``steps`` is the largest number of actions.
    ``metadata`` is added to every episode's (source, licence, instruction).
    """

    env_id: str
    policy: str
    steps: int = 128
    env_kwargs: Mapping[str, Any] = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def episode_metadata(self, seed: int) -> dict[str, Any]:
        own = {"environment": self.env_id, "environment_arguments": dict(self.env_kwargs), "policy": self.policy}
        return json.loads(json.dumps({**self.metadata, **own, "steps": self.steps, "seed": int(seed)}))


def collect(
    env_id: str,
    policy: str,
    seeds: Sequence[int],
    out: Path | str,
    *,
    workers: int = 1,
    steps: int = 128,
    env_kwargs: Mapping[str, Any] | None = None,
    metadata: Mapping[str, Any] | None = None,
    compression: str = "auto",
    progress: Callable[[int, int], None] | None = None,
) -> Store:
    """Record one episode per seed into ``out`` and return the store; episode ``i`` has ``seeds[i]``.

    Episodes that are there already are kept (and have to come from the same settings, or :class:`DatasetError` is
    raised). ``workers=1`` records in this process; more start that many processes by spawn, each with its own
    environment. ``progress(done, total)`` is called at the start and after every episode.
    """
    collection = Collection(env_id, policy, steps, dict(env_kwargs or {}), dict(metadata or {}))
    if steps < 1 or workers < 1:
        raise DatasetError(f"steps and workers have to be at least 1, got {steps} and {workers}")
    out = Path(out)
    remove_leftovers(out / "episodes")
    _check_existing(out, collection, seeds)
    missing = [(i, int(seed)) for i, seed in enumerate(seeds) if not episode_path(out, i).exists()]
    recorded = _in_workers if workers > 1 and len(missing) > 1 else _in_this_process
    done = len(seeds) - len(missing)
    if progress:
        progress(done, len(seeds))
    for _ in recorded(collection, missing, out, compression, workers):
        done += 1
        if progress:
            progress(done, len(seeds))
    return Store(out)


def record_episode(env: gymnasium.Env, collection: Collection, seed: int) -> Episode:
    """Play one episode of at most ``collection.steps`` actions, until it ends."""
    spec = getattr(env.unwrapped, "action_spec", None) or ActionSpec.from_space(env.action_space)
    env.action_space.seed(seed)
    policy_seed = np.random.SeedSequence(seed).spawn(1)[0]
    policy = _make_policy(collection.policy, env, np.random.default_rng(policy_seed))
    observation, info = env.reset(seed=seed)
    policy.reset(info)
    instruction = {"instruction": info["instruction"]} if isinstance(info.get("instruction"), str) else {}
    seen, infos, actions, outcomes = [observation], [info], [], []
    for _ in range(collection.steps):
        actions.append(policy.act(observation, info))
        observation, reward, terminated, truncated, info = env.step(actions[-1])
        seen.append(observation)
        infos.append(info)
        outcomes.append((float(reward), bool(terminated), bool(truncated)))
        if terminated or truncated:
            break
    frames, states = split_observations(seen)
    rewards, terminations, truncations = zip(*outcomes, strict=True)
    return Episode(
        frames=frames,
        actions=fill_descriptions(spec, spec.columns(actions)),
        spec=spec,
        fps=float(env.metadata.get("render_fps") or DEFAULT_FPS),
        rewards=np.array(rewards, np.float32),
        terminations=np.array(terminations),
        truncations=np.array(truncations),
        states=states,
        infos=numeric_infos(infos),
        metadata={**instruction, **collection.episode_metadata(seed)},
    )


def split_observations(observations: Sequence[Any]) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Cameras (``uint8 [T+1, H, W, 3]``) and states (``float32 [T+1, d]``) of a sequence of observations.

    An image alone is the camera "camera". Raises :class:`DatasetError` on observations without an image.
    """
    first = observations[0]
    named = first if isinstance(first, Mapping) else {"camera": first}
    stacked = {
        name: np.stack(
            [observation[name] if isinstance(first, Mapping) else observation for observation in observations]
        )
        for name in named
    }
    frames = {name: a for name, a in stacked.items() if a.dtype == np.uint8 and a.ndim == 4 and a.shape[-1] == 3}
    states = {name: a for name, a in stacked.items() if name not in frames and a.ndim <= 2 and a.dtype.kind in "biuf"}
    unknown = {name: f"{a.dtype} {a.shape[1:]}" for name, a in stacked.items() if name not in {**frames, **states}}
    if not frames or unknown:
        raise DatasetError(
            f"observations need uint8 (H, W, 3) images and, beside them, vectors or numbers; "
            f"images: {sorted(frames)}, not understood: {unknown}"
        )
    return frames, {name: array.astype(np.float32) for name, array in states.items()}


def numeric_infos(infos: Sequence[Mapping[str, Any]]) -> dict[str, np.ndarray]:
    """The entries of ``info`` that are numbers of one shape at every step, as ``[T+1, ...]``."""
    found = {}
    for name in infos[0]:
        values = [np.asarray(info[name]) for info in infos if name in info]
        regular = len(values) == len(infos) and len({value.shape for value in values}) == 1
        if regular and "/" not in name and all(value.dtype.kind in "biuf" for value in values):
            found[name] = np.stack(values)
    return found


def _make_policy(reference: str, env: gymnasium.Env, rng: np.random.Generator) -> Policy:
    module, _, rest = reference.partition(":")
    function, _, name = rest.partition(":")
    try:
        factory = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError, ValueError) as error:
        raise DatasetError(
            f'policy {reference!r}: expected "module:function" or "module:function:name" ({error})'
        ) from error
    return factory(name, env, rng) if name else factory(env, rng)


def _check_existing(out: Path, collection: Collection, seeds: Sequence[int]) -> None:
    if not any(out.glob("episodes/*.h5")):
        return
    store = Store(out)
    for i in range(len(store)):
        number = int(store.path(i).stem)
        if number >= len(seeds):
            continue
        own, expected = store.metadata(i), collection.episode_metadata(seeds[number])
        other = {key: (own.get(key), value) for key, value in expected.items() if own.get(key) != value}
        if other:
            said = ", ".join(f"{key} is {a!r}, not {b!r}" for key, (a, b) in other.items())
            raise DatasetError(f"{store.path(i)}: comes from another collection ({said}); choose another --out folder")


def _in_this_process(
    collection: Collection, tasks: Sequence[tuple[int, int]], out: Path, compression: str, workers: int
) -> Iterator[int]:
    if not tasks:
        return
    env = _make_env(collection)
    try:
        for number, seed in tasks:
            write_episode(out, record_episode(env, collection, seed), compression, number, index=False)
            yield number
    finally:
        env.close()


def _in_workers(
    collection: Collection, tasks: Sequence[tuple[int, int]], out: Path, compression: str, workers: int
) -> Iterator[int]:
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(min(workers, len(tasks)), context, _start_worker, (collection, out, compression))
    try:
        for future in as_completed([pool.submit(_work, number, seed) for number, seed in tasks]):
            yield future.result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _make_env(collection: Collection) -> gymnasium.Env:
    return gymnasium.make(collection.env_id, disable_env_checker=True, **collection.env_kwargs)


_worker: dict[str, Any] = {}
_at_work = threading.Lock()


def _start_worker(collection: Collection, out: Path, compression: str) -> None:
    _worker.update(collection=collection, out=out, compression=compression, stopped=False)
    # Ctrl-C reaches the whole group: a worker ends its episode, refuses what is queued, and closes its environment
    signal.signal(signal.SIGINT, lambda *_: _worker.update(stopped=True))
    end_with_parent(_end_episode)


def _end_episode() -> None:
    """The episode in hand is written, and no other is begun."""
    _at_work.acquire()
    _close_env()


def _close_env() -> None:
    if "env" in _worker:
        _worker.pop("env").close()


def _work(number: int, seed: int) -> int:
    with _at_work:
        if _worker["stopped"]:
            raise KeyboardInterrupt
        if "env" not in _worker:  # not in the initialiser, whose errors the pool swallows
            _worker["env"] = _make_env(_worker["collection"])
            Finalize(None, _close_env, exitpriority=0)
        episode = record_episode(_worker["env"], _worker["collection"], seed)
        write_episode(_worker["out"], episode, _worker["compression"], number, index=False)
        return number
