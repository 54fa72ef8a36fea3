"""Learn the factors that a world's memories begin with."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from slowfast.datasets.sources import EpisodeSource
    from slowfast.fast.start import MemoryStart
    from slowfast.world_model import WorldModel


@dataclass(frozen=True)
class TrainMemoryStart:
    """Learn the factors that a world's memories begin with, so that their first steps go further.

    Memories learn many training episodes from random first factors; the start is, layer by layer, what holds most of
    all that they learned, in closed form. Of a rule that solves for pictures under keys (`associative`) it is what
    makes the keys, those that tell frames apart best; --episodes then counts stretches of clips. Writes RUN/model (the
    world with memory_start.safetensors; its own rule says `start: learned` from then on), and with --data RUN/latents
    and RUN/memories.

    Example:
        slowfast train memory-start --world doom-rooms --data data/doom-rooms
    """

    world: str
    """A world, by name or folder; its weights stay as they are."""
    data: Path | None = None
    """Folder of episodes to learn from, or one with the folders train, validation and perhaps held_out."""
    memories: Path | None = None
    """In place of --data: memories that `slowfast loop` stored (RUN/round-NN/memories), of a round that began with this
    world."""
    run: Path = Path("runs/memory-start")
    """Folder to write to."""
    latents: Path | None = None
    """With --data: where encoded clips are kept (default: RUN/latents)."""
    memory: dict[str, Any] = field(default_factory=dict)
    """With --data: the memory rule, a name and settings over the world's own; empty: the world's own."""
    episodes: int = 64
    """With --data: episodes to learn from."""
    frames: int = 65
    """With --data: frames of each, from a random place on; shorter episodes are left out."""
    group: int = 16
    """With --data: episodes whose memories learn in one pass."""
    validation_episodes: int = 64
    """With --data that is a single data set: its last episodes, at most half of all, that are left out."""
    seed: int = 0
    """With --data: of the episodes, the places in them and what the memories draw."""

    def __post_init__(self) -> None:
        if (self.data is None) == (self.memories is None):
            raise ValueError("give either --data, episodes to learn from, or --memories, what a loop stored of them")


def run(config: TrainMemoryStart) -> int:
    from slowfast.fast.rules import RECURSIVE
    from slowfast.training.loop_store import last_memories
    from slowfast.training.memory_start import start_of, write_world
    from slowfast.training.processes import processes
    from slowfast.world_model import WorldModel

    world = WorldModel.from_pretrained(config.world, processes().device)
    if config.memories is None and world.memory_rule(asked(config)).optimiser == RECURSIVE:
        start, held, before = keys_of(config, world)
        said = f"of the variance of keys {held:.0%} is between frames (of features before: {before:.0%})"
    else:
        folder = config.memories or learned_memories(config, world)
        start, shares = start_of(world, *last_memories(folder))
        held = sum(shares.values()) / len(shares)
        chance = sum(factor.shape[1] / factor.shape[0] for factor in start.down.values()) / len(start.down)
        said = (
            f"of what these memories learned the start holds {held:.0%} (mean of layers; random factors: {chance:.0%})"
        )
    fits = write_world(config.world, start, config.run / "model")
    print(said)
    print(f"model: {config.run / 'model'}")
    if not fits:
        print(
            f"its own rule adapts other layers or another rank: ask for "
            f"{{layers: {start.layers}, rank: {start.rank}, start: learned}}"
        )
    return 0


def learned_memories(config: TrainMemoryStart, world: WorldModel) -> Path:
    """RUN/memories: those of training episodes, each begun with random factors. Finished groups are kept."""
    from slowfast.cli.progress import Bar
    from slowfast.training.loop_config import LoopConfig
    from slowfast.training.loop_store import MemoryStore, build

    rule = world.memory_rule(asked(config))
    loop = LoopConfig(rounds=1, episodes=config.episodes, frames=config.frames, group=config.group)
    latents = encoded(config, world)
    with Bar("memories", unit="group") as bar:
        identity = build(world, latents, rule, loop, config.seed, 0, config.run / "memories", progress=bar)
    MemoryStore(config.run / "memories", identity)  # refuses those of an earlier call with other settings
    return config.run / "memories"


def keys_of(config: TrainMemoryStart, world: WorldModel) -> tuple[MemoryStart, float, float]:
    """What makes the keys of an associative memory, and the shares of variance between frames, of keys and before."""
    from slowfast.cli.progress import Bar
    from slowfast.training.memory_keys import KeyData, learned_keys

    data = KeyData(encoded(config, world), config.episodes, config.group, config.seed)
    with Bar("keys", unit="group") as bar:
        return learned_keys(world, world.memory_rule(asked(config)), data, bar)


def asked(config: TrainMemoryStart) -> dict[str, Any]:
    """The rule that a start is learned for, as it begins without one."""
    return {**config.memory, "start": "random"}


def encoded(config: TrainMemoryStart, world: WorldModel) -> EpisodeSource:
    """Training clips as latents."""
    from slowfast.cli.progress import Bar
    from slowfast.training.latents import latents_of
    from slowfast.training.splits import open_splits

    assert config.data is not None
    train = open_splits(config.data, config.validation_episodes).train
    with Bar("latents", unit="episode") as bar:
        return latents_of(train, world.codec, config.latents or config.run / "latents", world.device, bar)
