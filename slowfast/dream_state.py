"""A moment of E dreams as a value: plain tensors that nobody writes into, so that taking and forking copy nothing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch

from slowfast.fast import MemoryRule
from slowfast.fast.files import read_tensors, write_tensors
from slowfast.fast.generators import episode_generator, states
from slowfast.rolling import NAMES

HEADER = "slowfast_dream"
FORMAT_VERSION = 1


@dataclass(frozen=True)
class DreamState:
    """``tensors``: each ``[E, ...]``, by name: ``context.*`` (latents, actions, counts), ``random`` (the generators of
    noise), ``updates``, ``rolling.*`` (what layers keep of the contexts, where they do), ``memory.*`` (adapters,
    optimiser, frames, replayed windows, kept frames, generators) and, of an environment, ``env.*``. ``base_hash`` names
    the weights, ``rule`` how the memory learns (None: no memory)."""

    tensors: dict[str, torch.Tensor]
    base_hash: str
    rule: MemoryRule | None

    def __len__(self) -> int:
        return len(self.tensors["random"])

    @property
    def nbytes(self) -> int:
        """Bytes of all tensors."""
        return sum(tensor.numel() * tensor.element_size() for tensor in self.tensors.values())

    def part(self, episodes: Sequence[int]) -> DreamState:
        """Some of the episodes, in that order; they may be named more than once."""
        index = torch.as_tensor(list(episodes), dtype=torch.int64)
        return replace(self, tensors={name: own[index.to(own.device)] for name, own in self.tensors.items()})

    def fork(self, n: int, seed: int | None = None) -> list[DreamState]:
        """``n`` snapshots that share their tensors. They go on alike; with a ``seed`` each has noise of its own."""
        if seed is None:
            return [self] * n
        forks = []
        for number in range(n):
            own = states([episode_generator(seed, number * len(self) + row) for row in range(len(self))])
            forks.append(replace(self, tensors={**self.tensors, "random": own}))
        return forks

    @staticmethod
    def joined(parts: Sequence[DreamState]) -> DreamState:
        """The episodes of several snapshots as one. Raises ValueError when they do not belong together."""
        first, whole = parts[0], [_with_rolling(part.tensors, parts) for part in parts]
        for other, tensors in zip(parts[1:], whole[1:], strict=True):
            other.check_fits(first.base_hash, first.rule)
            if tensors.keys() != whole[0].keys():
                differ = sorted(tensors.keys() ^ whole[0].keys())
                raise ValueError(f"snapshots of different kinds do not join: {differ[0]!r} is in one of them alone")
        return replace(first, tensors={name: torch.cat([own[name] for own in whole]) for name in whole[0]})

    def check_fits(self, base_hash: str, rule: MemoryRule | None) -> None:
        """Raises ValueError unless it belongs to these weights and this rule."""
        if self.base_hash != base_hash:
            raise ValueError(
                f"the snapshot is of other weights (base {self.base_hash}, this world is {base_hash}): "
                "restore it into the world that it was taken from"
            )
        if self.rule != rule:
            raise ValueError(f"the snapshot's memory learns by {self.rule}, this one by {rule}")

    def save(self, path: str | Path) -> None:
        """One safetensors file that appears whole or not at all."""
        header = {
            "format_version": FORMAT_VERSION,
            "base_hash": self.base_hash,
            "rule": None if self.rule is None else asdict(self.rule),
        }
        write_tensors(Path(path), self.tensors, {HEADER: json.dumps(header)})

    @classmethod
    def load(cls, path: str | Path, device: torch.device | str = "cpu") -> DreamState:
        """What :meth:`save` wrote. Raises ValueError for another kind of file or a newer format."""
        tensors, metadata = read_tensors(Path(path))
        if HEADER not in metadata:
            raise ValueError(f"{path}: no {HEADER!r} in the header; this is no snapshot of a dream")
        header = json.loads(metadata[HEADER])
        if header["format_version"] != FORMAT_VERSION:
            raise ValueError(
                f"{path} has format version {header['format_version']}, this version reads {FORMAT_VERSION}"
            )
        rule = None if header["rule"] is None else MemoryRule(**header["rule"])
        on_device = {name: own.to(device) if _travels(name) else own for name, own in tensors.items()}
        return cls(on_device, header["base_hash"], rule)


def _with_rolling(tensors: dict[str, torch.Tensor], others: Sequence[DreamState]) -> dict[str, torch.Tensor]:
    """``tensors`` of a snapshot in which nothing is kept of contexts, with zeros like the ones that others keep."""
    count = len(tensors["random"])
    empty = {
        name: own.new_zeros(count, *own.shape[1:])
        for other in others
        for name, own in other.tensors.items()
        if name.startswith(NAMES)
    }
    return {**empty, **tensors}


def _travels(name: str) -> bool:
    """Whether a tensor lives on the world's device: latents, actions, adapters; counts and generators do not."""
    last = name.rpartition(".")[2]
    return name.startswith(("context.", "memory.", NAMES)) and last not in (
        "entered",
        "frames",
        "offered",
        "kept",
        "steps",
        "lives",
        "random",
    )


def random_words(generators: Sequence[np.random.Generator]) -> torch.Tensor:
    """States of PCG64 generators (Gymnasium's), ``int64 [E, 6]``."""
    rows = []
    for generator in generators:
        state = generator.bit_generator.state
        low = (1 << 64) - 1
        words = [state["state"][name] >> shift & low for name in ("state", "inc") for shift in (0, 64)]
        rows.append([*words, state["has_uint32"], state["uinteger"]])
    return torch.from_numpy(np.array(rows, np.uint64).astype(np.int64))


def from_random_words(words: torch.Tensor) -> list[np.random.Generator]:
    """Generators that go on where :func:`random_words` was taken."""
    generators = []
    for row in words.numpy().astype(np.uint64).tolist():
        bits = np.random.PCG64()
        state, increment = row[0] | row[1] << 64, row[2] | row[3] << 64
        bits.state = {
            "bit_generator": "PCG64",
            "state": {"state": state, "inc": increment},
            "has_uint32": row[4],
            "uinteger": row[5],
        }
        generators.append(np.random.Generator(bits))
    return generators
