"""One generator an episode: a pure function of seed and episode, whatever the neighbours do."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch


def episode_generator(seed: int, episode: int, life: int | None = None) -> torch.Generator:
    """The CPU generator of an episode, ``numpy.random.SeedSequence(seed).spawn(E)[episode]``.

    With ``life`` (how many times its memory was reset before) the next spawn of it, ``.spawn(...)[life]``: a memory
    draws from that one, so that it shares nothing with what a dream of the same seed draws. Neither depends on E, on
    the other episodes or on earlier lives.
    """
    sequence = np.random.SeedSequence(seed, spawn_key=(episode,) if life is None else (episode, life))
    return torch.Generator().manual_seed(int(sequence.generate_state(1, np.uint64)[0]))


def states(generators: Sequence[torch.Generator]) -> torch.Tensor:
    """Their states, ``uint8 [E, n]``."""
    return torch.stack([generator.get_state() for generator in generators])


def from_states(rows: torch.Tensor) -> list[torch.Generator]:
    """Generators that go on where :func:`states` (``uint8 [E, n]``) was taken."""
    generators = []
    for row in rows:
        generator = torch.Generator()
        generator.set_state(row.clone())  # set_state reads the start of the storage, wherever a view begins
        generators.append(generator)
    return generators
