"""The repository as the tests of the house see it, and fresh interpreters to look at it from outside."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Python = Callable[..., str]


@pytest.fixture(scope="session")
def root() -> Path:
    return Path(__file__).parents[2]


@pytest.fixture(scope="session")
def python() -> Python:
    """Run code in a fresh interpreter and return what it printed."""

    def run(code: str, cwd: Path, executable: str | Path = sys.executable, flags: tuple[str, ...] = ()) -> str:
        done = subprocess.run([executable, *flags, "-c", code], cwd=cwd, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run
