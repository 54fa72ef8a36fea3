"""Record episodes of a Gymnasium environment into a folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from slowfast import config as configs
from slowfast.cli.progress import Bar


@dataclass(frozen=True)
class Collect:
    """Record episodes of a Gymnasium environment into a folder.

    Interrupt it at any moment: finished episodes stay readable, and the same command continues. More episodes can be
    added by running it again with a larger number.

    Example:
        slowfast collect --env slowfast/DoomRooms-v0 --policy explore --split train --episodes 100 --out data/rooms
    """

    out: Path
    """Folder to write to; one that holds episodes of the same settings is continued."""
    env: str = "slowfast/DoomRooms-v0"
    """Gymnasium id; write "module:id" for an environment that a module of yours registers."""
    env_arguments: tuple[str, ...] = ()
    """Arguments of the environment as name=value, the value in YAML: size=[96,64] continuous=true."""
    policy: str = "explore"
    """A name of slowfast.envs.policies (random; explore, restless, mixed in DoomRooms; instructed, distracted on the
    Tabletop), or yours as "module:function", called with (env, rng)."""
    episodes: int = 10
    """How many episodes the folder holds in the end."""
    steps: int = 128
    """Largest number of actions in an episode; it has one frame more."""
    split: str | None = None
    """Take the seeds, and the arguments that belong to them, of this split of the environment (train, test, ...)."""
    first_seed: int = 0
    """Without a split: episode i is reset with seed first_seed + i."""
    workers: int = 1
    """Processes that record, each with its own environment."""
    compression: Literal["auto", "lzf", "gzip", "none", "mp4"] = "auto"
    """Of the frames on disk; "none" reads fastest, "mp4" takes the least room and loses a little. "auto": "none" for
    frames of at most 128x128 pixels, else "lzf"."""
    instruction: str | None = None
    """Language instruction stored with every episode; by default what the environment says in info."""
    source: str | None = None
    """Where the data comes from, stored with every episode."""
    licence: str | None = None
    """Licence of the data, stored with every episode."""

    def __post_init__(self) -> None:
        if self.episodes < 1 or self.steps < 1 or self.workers < 1:
            raise ValueError(f"episodes, steps and workers have to be at least 1, got {self}")
        wrong = [argument for argument in self.env_arguments if not argument.partition("=")[0].isidentifier()]
        if wrong or any("=" not in argument for argument in self.env_arguments):
            raise ValueError(f"env_arguments have the form name=value, got {list(self.env_arguments)}")


def run(config: Collect) -> int:
    from slowfast.datasets.collect import collect

    seeds, arguments = episode_seeds(config)
    metadata = {"instruction": config.instruction, "source": config.source, "licence": config.licence}
    if config.split is not None:
        metadata["split"] = config.split
    with Bar("collect", unit="episode") as bar:
        store = collect(
            config.env,
            config.policy if ":" in config.policy else f"slowfast.envs.policies:make_policy:{config.policy}",
            seeds,
            config.out,
            workers=config.workers,
            steps=config.steps,
            env_kwargs={**arguments, **_parsed(config.env_arguments)},
            metadata={name: value for name, value in metadata.items() if value is not None},
            compression=config.compression,
            progress=bar,
        )
    configs.save(config, config.out / "config.yaml")
    frames = int(store.lengths.sum()) + len(store)
    print(f"{config.out}: {len(store)} episodes, {frames} frames; `slowfast inspect {config.out}` shows them")
    return 0


def episode_seeds(config: Collect) -> tuple[Sequence[int], dict[str, Any]]:
    """The episodes' seeds, and the environment's arguments that belong to the split.

    A split is looked up in the module ``splits`` of the environment's package: ``world_seeds(split, n)`` and, if it
    is there, ``split_env_kwargs(split)``.
    """
    if config.split is None:
        return range(config.first_seed, config.first_seed + config.episodes), {}
    splits = _splits_module(config.env)
    seeds = [int(seed) for seed in splits.world_seeds(config.split, config.episodes)]
    arguments = getattr(splits, "split_env_kwargs", None)
    return seeds, dict(arguments(config.split)) if arguments else {}


def _splits_module(env_id: str) -> Any:
    import importlib

    import gymnasium

    module, _, name = env_id.rpartition(":")
    if module:
        importlib.import_module(module)
    entry_point = gymnasium.spec(name).entry_point
    home = (
        entry_point.partition(":")[0] if isinstance(entry_point, str) else str(getattr(entry_point, "__module__", ""))
    )
    splits = f"{home.rpartition('.')[0] or home}.splits"
    try:
        return importlib.import_module(splits)
    except ModuleNotFoundError as error:
        if error.name != splits:
            raise
        raise ValueError(f"{env_id} has no splits (no module {splits}); use --first-seed instead of --split") from None


def _parsed(arguments: Sequence[str]) -> dict[str, Any]:
    import yaml

    pairs = (argument.partition("=") for argument in arguments)
    return {name: yaml.safe_load(value) for name, _, value in pairs}
