"""Benchmarks are scripts that import each other by file name, as Python does for the folder of a script."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path += [str(ROOT / "benchmarks"), str(ROOT / "tests/docs/helpers")]


@pytest.fixture(scope="session")
def small_world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained world of 16x16 pictures."""
    import small_world

    return small_world.build(tmp_path_factory.mktemp("worlds") / "small", side=16)
