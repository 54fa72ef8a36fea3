"""Rewards and ends of a data set, and batches in which the rare ones are not rare."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from slowfast.datasets import hdf5
from slowfast.datasets.episode import DatasetError
from slowfast.datasets.store import Store
from slowfast.datasets.windows import WindowSampler, WindowShape
from slowfast.training.splits import Subset


@dataclass(frozen=True)
class EpisodeOutcomes:
    """``rewards`` ``float32 [T]`` and ``ends`` ``bool [T]`` of each episode."""

    rewards: Sequence[np.ndarray]
    ends: Sequence[np.ndarray]

    @classmethod
    def of(cls, part: Subset) -> EpisodeOutcomes:
        """Of a part of a folder of episodes. Raises DatasetError where there are none, or a reward is not finite."""
        if not isinstance(part.whole, Store):
            raise DatasetError(
                f"a {type(part.whole).__name__} keeps no rewards; give the folder of episodes that it was made from"
            )
        rewards, ends = [], []
        for i, length in zip(part.episodes, part.lengths, strict=True):
            path = part.whole.path(int(i))
            with hdf5.open_file(path) as file:
                own = {name: file[name][()] for name in ("rewards", "terminations") if name in file}
            for name in ("rewards", "terminations"):
                if name not in own or own[name].shape != (length,):
                    raise DatasetError(f"{path}: key {name!r} has to hold {length} values, one a step")
            if not np.isfinite(own["rewards"]).all():
                step = int(np.flatnonzero(~np.isfinite(own["rewards"]))[0])
                raise DatasetError(f"{path}: rewards[{step}] is {own['rewards'][step]}, expected a finite number")
            rewards.append(own["rewards"].astype(np.float32))
            ends.append(own["terminations"].astype(bool))
        return cls(rewards, ends)

    @property
    def strata(self) -> np.ndarray:
        """Of all steps, one episode after another, ``int8 [N]``: 2 ends the episode, 1 has another reward than the
        commonest, 0 neither."""
        rewards, ends = np.concatenate(self.rewards), np.concatenate(self.ends)
        values, counts = np.unique(rewards, return_counts=True)
        unusual = rewards != values[counts.argmax()]
        return np.where(ends, 2, unusual).astype(np.int8)


class BalancedSampler(WindowSampler):
    """Steps for batches, each rare kind with a share of at least ``rare`` of what is drawn.

    What is drawn too often has to count for less: ``weights`` ``float32 [3]`` by stratum, its share of the data over
    its share of the draws, so that a loss that is weighted so has the expectation that it has over the data.
    """

    def __init__(self, outcomes: EpisodeOutcomes, rare: float, batch_size: int, seed: int) -> None:
        lengths = np.array([len(own) for own in outcomes.rewards], np.int64)
        super().__init__(lengths, [WindowShape(1, 1)], batch_size, seed)
        self._firsts = np.concatenate([[0], np.cumsum(lengths)])
        self.strata = outcomes.strata
        self._steps = [np.flatnonzero(self.strata == stratum) for stratum in range(3)]
        shares = np.array([len(steps) for steps in self._steps]) / len(self.strata)
        self._drawn = lifted(shares, rare)
        ratios = np.divide(shares, self._drawn, out=np.zeros(3), where=self._drawn > 0)
        self.weights = ratios.astype(np.float32)

    def draw(self, step: int) -> tuple[WindowShape, np.ndarray, np.ndarray]:
        """Shape, episodes ``int64 [B]`` and steps ``int64 [B]`` of batch ``step``."""
        rng = np.random.default_rng(np.random.SeedSequence((self.seed, step)))
        chosen = np.empty(self.batch_size, np.int64)
        strata = rng.choice(3, self.batch_size, p=self._drawn)
        for stratum, steps in enumerate(self._steps):
            own = np.equal(strata, stratum)
            if own.any():
                chosen[own] = steps[rng.integers(len(steps), size=int(own.sum()))]
        episodes = np.searchsorted(self._firsts, chosen, side="right") - 1
        return self.shapes[0], episodes, chosen - self._firsts[episodes]

    def weights_of(self, episodes: np.ndarray, steps: np.ndarray) -> np.ndarray:
        """What each drawn step counts for, ``float32 [B]``."""
        return self.weights[self.strata[self._firsts[episodes] + steps]]


def lifted(shares: np.ndarray, least: float) -> np.ndarray:
    """Shares that sum to 1, those that are there but below ``least`` raised to it at the others' cost."""
    low = (shares > 0) & (shares < least)
    if not low.any():
        return shares
    raised = np.where(low, least, shares)
    raised[~low] *= (1 - least * low.sum()) / shares[~low].sum()
    return raised
