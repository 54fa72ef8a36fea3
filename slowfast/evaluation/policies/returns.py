"""What policies earn in unseen worlds, and how sure that is: over worlds, and over seeds of training."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv

from slowfast.evaluation.intervals import DRAWS, Interval, interval
from slowfast.evaluation.policies.walkers import VectorPolicy


@dataclass(frozen=True)
class Returns:
    """Of W worlds: ``returns`` ``float64 [W]``, the sum of an episode's rewards; ``lengths`` ``int64 [W]`` in steps;
    ``shares`` ``float64 [A]`` of each action in all steps; ``seconds`` for all of them together."""

    worlds: tuple[int, ...]
    returns: np.ndarray
    lengths: np.ndarray
    shares: np.ndarray
    seconds: float


def earned(
    envs: VectorEnv[Any, Any, Any],
    policy: VectorPolicy,
    worlds: Sequence[int],
    progress: Callable[[int, int], None] | None = None,
) -> Returns:
    """One episode of ``policy`` in each of ``worlds``, which are seeds of ``reset``; as many at once as there are
    environments.

    ``envs`` have discrete actions from 0 and end each episode themselves, by a time limit or otherwise.
    Raises ValueError for no worlds, and for environments that have to be reset by hand.
    """
    if not len(worlds):
        raise ValueError("a policy is evaluated in at least one world, got none")
    if AutoresetMode(envs.metadata["autoreset_mode"]) is AutoresetMode.DISABLED:
        raise ValueError("environments that reset by themselves are needed: autoreset_mode 'SameStep' or 'NextStep'")
    began, count = time.perf_counter(), envs.num_envs
    space = cast(spaces.Discrete, envs.single_action_space)
    returns, lengths, taken = np.zeros(len(worlds)), np.zeros(len(worlds), np.int64), np.zeros(int(space.n))
    for first in range(0, len(worlds), count):
        own = list(worlds[first : first + count])
        padded = own + own[-1:] * (count - len(own))  # a last group that is smaller repeats a world, uncounted
        observations, _ = envs.reset(seed=padded)  # type: ignore[arg-type]  # every vector environment takes a list
        policy.begin(envs, padded)
        going, rows = np.arange(count) < len(own), np.arange(first, first + len(own))
        while going.any():
            actions = policy.act(observations)
            observations, rewards, terminated, truncated, _ = envs.step(actions)
            counted = going[: len(own)]
            returns[rows[counted]] += rewards[: len(own)][counted]
            lengths[rows[counted]] += 1
            taken += np.bincount(actions[going], minlength=len(taken))
            going &= ~(terminated | truncated)
        if progress:
            progress(min(first + count, len(worlds)), len(worlds))
    return Returns(tuple(worlds), returns, lengths, taken / taken.sum(), time.perf_counter() - began)


def mean_return(returns: np.ndarray, draws: int = DRAWS, seed: int = 0) -> Interval:
    """Of ``[S, W]``, S trainings that were tried in the same W worlds: the mean, and its interval when trainings and
    worlds are both drawn anew. Raises ValueError for another shape."""
    returns = _checked(returns)
    return interval(float(returns.mean()), *_drawn(draws, seed, returns))


def earned_more(returns: np.ndarray, reference: np.ndarray, draws: int = DRAWS, seed: int = 0) -> Interval:
    """How much more ``[S, W]`` is than ``[S', W]`` in the mean, paired by world. Raises ValueError for other shapes."""
    returns, reference = _checked(returns), _checked(reference)
    if returns.shape[1] != reference.shape[1]:
        raise ValueError(f"both have to be of the same worlds, got {returns.shape[1]} and {reference.shape[1]}")
    own, other = _drawn(draws, seed, returns, reference)
    return interval(float(returns.mean() - reference.mean()), own - other)


def _drawn(draws: int, seed: int, *samples: np.ndarray) -> list[np.ndarray]:
    """Bootstrap means ``[draws]`` of each sample ``[S, W]``, all with the same worlds."""
    random = np.random.default_rng(np.random.SeedSequence(seed))
    worlds = random.integers(samples[0].shape[1], size=(draws, samples[0].shape[1]))
    means = []
    for sample in samples:
        trainings = random.integers(len(sample), size=(draws, len(sample)))
        means.append(sample[trainings[:, :, None], worlds[:, None, :]].mean((1, 2)))
    return means


def _checked(returns: np.ndarray) -> np.ndarray:
    if returns.ndim != 2 or not returns.size:
        raise ValueError(f"returns have to be [trainings, worlds], got {returns.shape}")
    return returns
