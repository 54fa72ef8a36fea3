"""Examples run as a user runs them: a script in a fresh interpreter, somewhere else."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

RunExample = Callable[..., str]


@pytest.fixture
def example(tmp_path: Path) -> RunExample:
    """Run an example in ``tmp_path`` and return what it printed."""

    def run(name: str, *arguments: str) -> str:
        command = [sys.executable, str(ROOT / "examples" / name), *arguments]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=600, env=dict(os.environ))
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run
