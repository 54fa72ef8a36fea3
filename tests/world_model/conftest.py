"""The small world, built once a file."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from slowfast import WorldModel

sys.path.append(str(Path(__file__).parent / "helpers"))


@pytest.fixture(scope="module")
def world() -> WorldModel:
    from toy_world import build

    return build()


@pytest.fixture(scope="module")
def folder(world: WorldModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("worlds") / "tiny"
    world.save_pretrained(path)
    return path
