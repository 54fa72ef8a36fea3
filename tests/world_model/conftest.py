"""The small world, built once a file."""

from __future__ import annotations

from pathlib import Path

import pytest
from toy_world import build

from slowfast import WorldModel


@pytest.fixture(scope="module")
def world() -> WorldModel:
    return build()


@pytest.fixture(scope="module")
def folder(world: WorldModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("worlds") / "tiny"
    world.save_pretrained(path)
    return path
