"""What the tests of the doctor share."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent / "helpers"))

import doctor_scenes as scenes

from slowfast.datasets.episode import Episode


@pytest.fixture(scope="session")
def moving() -> list[Episode]:
    """Ten clean episodes with discrete moves. Do not change them."""
    return [scenes.moving(seed) for seed in range(10)]


@pytest.fixture(scope="session")
def panning() -> list[Episode]:
    """Ten clean episodes with continuous actions. Do not change them."""
    return [scenes.panning(seed) for seed in range(10)]
