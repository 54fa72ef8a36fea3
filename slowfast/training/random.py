"""Random state: generators that are a pure function of a key, and the global state as tensors and JSON."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch


def torch_generator(*key: int) -> torch.Generator:
    """A CPU generator seeded by the integers of ``key`` (seed, stream, index, ...), each at least 0."""
    state = np.random.SeedSequence(key).generate_state(1, np.uint64)
    return torch.Generator().manual_seed(int(state[0]) & (2**63 - 1))


def numpy_generator(*key: int) -> np.random.Generator:
    """A numpy generator seeded by the integers of ``key``, each at least 0."""
    return np.random.default_rng(np.random.SeedSequence(key))


def global_state() -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """The state of python's, numpy's and torch's global generators: tensors for safetensors, the rest for JSON."""
    version, words, gauss = random.getstate()
    name, keys, position, has_gauss, cached = np.random.get_state()  # noqa: NPY002 - the global state is what we keep
    tensors = {"torch": torch.get_rng_state()}
    if torch.cuda.is_available():
        tensors |= {f"cuda.{i}": state for i, state in enumerate(torch.cuda.get_rng_state_all())}
    rest = {
        "python": [version, list(words), gauss],
        "numpy": [str(name), np.asarray(keys).tolist(), int(position), int(has_gauss), float(cached)],
    }
    return tensors, rest


def set_global_state(tensors: dict[str, torch.Tensor], rest: dict[str, Any]) -> None:
    """Puts back what :func:`global_state` gave. States of CUDA devices that are not there are left out."""
    version, words, gauss = rest["python"]
    random.setstate((version, tuple(words), gauss))
    name, keys, position, has_gauss, cached = rest["numpy"]
    np.random.set_state((name, np.asarray(keys, np.uint32), position, has_gauss, cached))  # noqa: NPY002 - as above
    torch.set_rng_state(tensors["torch"])
    for index in range(torch.cuda.device_count()):
        if f"cuda.{index}" in tensors:
            torch.cuda.set_rng_state(tensors[f"cuda.{index}"], index)


@contextmanager
def untouched_global_state() -> Iterator[None]:
    """Whatever draws inside, the global generators go on afterwards as if nothing had happened."""
    state = global_state()
    try:
        yield
    finally:
        set_global_state(*state)
