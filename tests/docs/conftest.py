"""Where the blocks of the documentation run: a folder with the data and the worlds that the pages speak of."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent / "helpers"))


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``data/rooms`` with four episodes; a small untrained world ``runs/tiny/model``."""
    import small_world

    import slowfast  # noqa: F401 - registers the environment
    from slowfast.datasets.collect import collect

    folder = tmp_path_factory.mktemp("prepared")
    policy = "slowfast.envs.policies:make_policy:explore"
    collect("slowfast/DoomRooms-v0", policy, range(4), folder / "data/rooms", steps=8)
    small_world.build(folder / "runs/tiny/model")
    return folder


@pytest.fixture
def playground(prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it as the working directory."""
    folder = tmp_path / "playground"
    shutil.copytree(prepared, folder)
    monkeypatch.chdir(folder)
    return folder
