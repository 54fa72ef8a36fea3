"""The wheel holds what is on disk and works in an environment that has never seen the repository."""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

ROOTS = {
    "slowfast": "slowfast",
    "envs": "slowfast/envs",
    "datasets": "slowfast/datasets",
    "configs": "slowfast/configs",
}
BUILD_FILES = ("pyproject.toml", "setup.py", "LICENSE", "README.md")


def _run(*command: str | Path, cwd: Path) -> None:
    done = subprocess.run(list(command), cwd=cwd, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def wheel(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy, so that setuptools' build folder never lands in the repository."""
    source = tmp_path_factory.mktemp("source")
    for folder in ROOTS:
        shutil.copytree(root / folder, source / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for name in BUILD_FILES:
        if (root / name).exists():
            shutil.copy(root / name, source / name)
    _run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", source / "dist", source, cwd=source)
    return next((source / "dist").glob("*.whl"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment that has the wheel, and sees this environment's libraries behind it."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False)
    python = folder / "bin" / "python"
    _run(sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index", wheel, cwd=folder)
    site = next(folder.glob("lib/python*/site-packages"))
    paths = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    (site / "outer.pth").write_text("".join(f"{path}\n" for path in sorted(paths)))
    return python


def _on_disk(root: Path, *patterns: str) -> set[str]:
    return {
        f"{target}/{path.relative_to(root / folder)}"
        for folder, target in ROOTS.items()
        for pattern in patterns
        for path in (root / folder).rglob(pattern)
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_wheel_holds_every_module_and_nothing_else(wheel: Path, root: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {name for name in names if name.endswith(".py")} == _on_disk(root, "*.py")
    assert {name.split("/")[0].split("-")[0] for name in names} == {"slowfast"}


def test_every_folder_with_code_is_a_package(root: Path) -> None:
    for folder in ROOTS:
        for path in (root / folder).rglob("*.py"):
            assert (path.parent / "__init__.py").exists(), f"{path.parent} needs an __init__.py to be packaged"


def test_wheel_holds_recipes_checkpoints_templates_and_the_typing_marker(wheel: Path, root: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    data = _on_disk(root, "*.yaml", "*.html", "py.typed")
    data |= {name for name in _on_disk(root, "*") if name.startswith("slowfast/checkpoints/")}
    assert "slowfast/py.typed" in names
    assert data <= names


def test_installed_wheel_registers_and_steps_its_worlds(
    installed: Path, python: Callable[..., str], tmp_path: Path
) -> None:
    code = """
import gymnasium, slowfast
print(slowfast.__file__)
for world in ("slowfast/DoomRooms-v0", "slowfast/Dream-v0"):
    with gymnasium.make(world) as env:
        env.reset(seed=3)
        for action in (0, 2, 6):
            observation = env.step(action)[0]
        assert observation.shape == (64, 64, 3), observation.shape
"""
    assert python(code, tmp_path, executable=installed, flags=("-I",)).startswith(str(installed.parents[1]))


def test_installed_wheel_offers_no_bare_top_level_package(
    installed: Path, python: Callable[..., str], tmp_path: Path
) -> None:
    code = """
from importlib.util import find_spec
import slowfast.envs, slowfast.datasets, slowfast.configs
print([name for name in ("envs", "configs") if find_spec(name)])
"""
    assert python(code, tmp_path, executable=installed, flags=("-I",)).strip() == "[]"
    site = next(installed.parents[1].glob("lib/python*/site-packages"))
    ours = {path.name for path in site.iterdir() if path.name != "outer.pth" and not path.name.endswith(".dist-info")}
    assert ours == {"slowfast"}


def test_installed_command_answers(installed: Path, tmp_path: Path) -> None:
    _run(installed.parent / "slowfast", "--help", cwd=tmp_path)
