"""The control that every claim about a memory needs: the same dream, reading what another episode left behind."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from slowfast.dream import Dream


@contextmanager
def reading_anothers(dream: Dream) -> Iterator[None]:
    """Within the context every episode of ``dream`` reads the memory of the next one; whatever is done to the dream
    there is undone at its end. Raises ValueError for a single episode: there is no other."""
    if len(dream) < 2:
        raise ValueError("another world's memory needs at least two worlds")
    own = dream.snapshot()
    others = own.part([*range(1, len(dream)), 0])
    memory = {name: tensor for name, tensor in others.tensors.items() if name.startswith("memory.")}
    dream.restore(replace(own, tensors={**own.tensors, **memory}))
    try:
        yield
    finally:
        dream.restore(own)
