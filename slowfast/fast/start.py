"""Down factors that a world's memories begin with, learned from the memories of many episodes.

A fresh memory has no effect whatever its down factors are, because its up factors are zero; but they decide which
inputs of a layer the first steps can tell apart. Random ones span any directions. These span the directions in which
the updates of other episodes lay, so that one step goes further.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from slowfast.fast.adapters import AdapterLayout
from slowfast.fast.files import read_tensors, write_tensors

if TYPE_CHECKING:
    from slowfast.fast.rules import MemoryRule

FILE = "memory_start.safetensors"
"""Its name in a world's folder."""
HEADER = "slowfast_memory_start"
FORMAT_VERSION = 1


@dataclass(frozen=True)
class MemoryStart:
    """``down``: by adapted layer, ``float32 [in, r]``, the most useful direction first; ``layers`` of the rules that it
    is for, and ``rank``, the highest of these; ``base_hash``: the weights that it belongs to."""

    down: dict[str, torch.Tensor]
    layers: str
    rank: int
    base_hash: str

    def check(self, rule: MemoryRule, base_hash: str) -> None:
        """Raises ValueError unless it is for memories of ``rule`` on these weights."""
        if not self.serves(rule):
            raise ValueError(
                f"this world's learned start is for layers {self.layers!r} up to rank {self.rank}, memory rule "
                f"{rule.name!r} adapts {rule.layers!r} at rank {rule.rank}: choose those, or start: random"
            )
        if self.base_hash != base_hash:
            raise ValueError(
                f"this world's learned start belongs to other weights (base {self.base_hash}, this world is "
                f"{base_hash}): make another with `slowfast train memory-start`, or choose start: random"
            )

    def serves(self, rule: MemoryRule) -> bool:
        """Whether memories of ``rule`` adapt the same layers, at no higher rank."""
        return self.layers == rule.layers and self.rank >= rule.rank

    def narrowed(self, rank: int) -> MemoryStart:
        """The first ``rank`` directions of each layer."""
        down = {name: factor[:, :rank].contiguous() for name, factor in self.down.items()}
        return replace(self, down=down, rank=min(rank, self.rank))

    def into(self, layout: AdapterLayout, rows: torch.Tensor) -> torch.Tensor:
        """``rows`` ``[E, P]`` with these down factors in place of their own, as a new tensor."""
        pieces = []
        for name, (down, up) in layout.factors(rows).items():
            pieces += [self.down[name].to(rows).flatten().expand(len(rows), down[0].numel()), up.flatten(1)]
        return torch.cat(pieces, 1)

    @property
    def digest(self) -> str:
        """SHA-256 of the factors."""
        sums = hashlib.sha256()
        for name, factor in sorted(self.down.items()):
            sums.update(name.encode() + factor.float().cpu().contiguous().numpy().tobytes())
        return sums.hexdigest()

    def save(self, path: str | Path) -> None:
        """One safetensors file that appears whole or not at all."""
        header = {"format_version": FORMAT_VERSION, "layers": self.layers, "rank": self.rank}
        write_tensors(Path(path), self.down, {HEADER: json.dumps({**header, "base_hash": self.base_hash})})

    @classmethod
    def load(cls, path: str | Path) -> MemoryStart:
        """What :meth:`save` wrote. Raises FileNotFoundError, and ValueError for another kind of file or format."""
        if not Path(path).is_file():
            raise FileNotFoundError(f"{path}: no learned start; `slowfast train memory-start` makes one")
        down, metadata = read_tensors(Path(path))
        header = json.loads(metadata.get(HEADER, "{}"))
        if header.get("format_version") != FORMAT_VERSION:
            raise ValueError(
                f"{path} is not a learned start of format {FORMAT_VERSION} (it says {header.get('format_version')!r})"
            )
        return cls(down, header["layers"], header["rank"], header["base_hash"])


def first_rows(layout: AdapterLayout, generators: Sequence[torch.Generator], start: MemoryStart | None) -> torch.Tensor:
    """Rows without effect, ``float32 [E, P]`` on the CPU, with random down factors or those of ``start``.

    As much is drawn either way: what an episode draws next does not depend on how it begins.
    """
    rows = layout.fresh(generators)
    return rows if start is None else start.into(layout, rows)


def chosen_start(rule: MemoryRule, start: MemoryStart | None, base_hash: str) -> MemoryStart | None:
    """``start`` if ``rule`` asks for a learned one, else None. Raises ValueError where there is none that fits."""
    if rule.start != "learned":
        return None
    if start is None:
        raise ValueError(
            f"memory rule {rule.name!r} begins with learned factors and this world ships none: "
            "`slowfast train memory-start --world WORLD --data DATA` makes them, or choose start: random"
        )
    start.check(rule, base_hash)
    return start.narrowed(rule.rank)


def learned_start(
    layout: AdapterLayout, memories: Iterable[torch.Tensor], rule: MemoryRule, base_hash: str
) -> tuple[MemoryStart, dict[str, float]]:
    """The start that holds most of ``memories``, rows ``[E, P]`` at a time, in closed form.

    Of each layer the ``r`` orthogonal directions of its input that hold most of the squared norm of all updates
    ``down up`` (their leading left singular subspace, by the Gram matrix ``[in, in]`` in float64), at the mean norm
    that random factors have. Returns the share of the squared norm that they hold beside it; of random factors that
    share is r / in. Raises ValueError when no memory has an effect on some layer.
    """
    grams: dict[str, torch.Tensor] = {}
    for rows in memories:
        for name, (down, up) in layout.factors(rows.double()).items():
            lifted = torch.bmm(down, torch.bmm(up, up.mT))  # [E, in, r]
            gram = torch.einsum("eir,ejr->ij", lifted, down)
            grams[name] = grams[name] + gram if name in grams else gram
    if not grams:
        raise ValueError("a start is learned from memories, none were given")
    chosen, shares = {}, {}
    for layer in layout.layers:
        values, vectors = torch.linalg.eigh(grams[layer.name])  # ascending
        if not float(values[-1]) > 0:
            raise ValueError(f"no memory has an effect on {layer.name!r}: they have to have learned from some windows")
        leading = vectors[:, -layer.rank :].flip(1)
        # A singular vector's sign is the library's choice; this one is the same everywhere.
        strongest = leading.gather(0, leading.abs().argmax(0, keepdim=True))
        chosen[layer.name] = (leading * strongest.sign() / math.sqrt(3)).float().contiguous()
        shares[layer.name] = float(values[-layer.rank :].sum() / values.clamp(min=0).sum())
    return MemoryStart(chosen, rule.layers, rule.rank, base_hash), shares
