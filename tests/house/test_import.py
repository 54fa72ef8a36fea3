"""``import slowfast`` is quick and light, names its parts lazily, and works from the repository's own root."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

HEAVY = ("torch", "diffusers", "transformers", "peft", "accelerate", "h5py", "vizdoom", "mujoco", "av", "matplotlib")
HEAVY += ("tyro",)


def test_import_takes_less_than_four_tenths_of_a_second(python: Callable[..., str], tmp_path: Path) -> None:
    code = "import time; start = time.perf_counter(); import slowfast; print(time.perf_counter() - start)"
    assert min(float(python(code, tmp_path)) for _ in range(5)) <= 0.4


def test_import_loads_nothing_heavy(python: Callable[..., str], tmp_path: Path) -> None:
    code = f"import sys, slowfast; print([name for name in {HEAVY!r} if name in sys.modules])"
    assert python(code, tmp_path).strip() == "[]"


def test_import_registers_the_environments(python: Callable[..., str], tmp_path: Path) -> None:
    code = "import slowfast, gymnasium; print(*sorted(name for name in gymnasium.registry if 'slowfast' in name))"
    assert python(code, tmp_path).split() == ["slowfast/DoomRooms-v0", "slowfast/Dream-v0", "slowfast/Tabletop-v0"]


def test_importing_twice_does_not_register_twice(python: Callable[..., str], tmp_path: Path) -> None:
    code = "import slowfast, importlib; importlib.reload(slowfast)"
    assert python(code, tmp_path, flags=("-W", "error")) == ""


def test_public_names_are_found_where_they_live() -> None:
    import slowfast

    for name in slowfast.__all__:
        assert getattr(slowfast, name) is not None
        assert name in dir(slowfast)


def test_an_unknown_name_is_an_attribute_error() -> None:
    import slowfast

    with pytest.raises(AttributeError, match="WordModel"):
        slowfast.WordModel  # noqa: B018


def test_every_module_imports_from_the_repository_root(python: Callable[..., str], root: Path) -> None:
    code = """
import importlib, pkgutil, slowfast, slowfast.envs, slowfast.datasets, slowfast.configs
count = 0
for package in (slowfast, slowfast.envs, slowfast.datasets, slowfast.configs):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
            count += 1
print(count)
"""
    assert int(python(code, root)) > 10


def test_a_world_runs_from_the_repository_root(python: Callable[..., str], root: Path) -> None:
    code = """
import gymnasium, slowfast
with gymnasium.make("slowfast/DoomRooms-v0") as env:
    env.reset(seed=1)
    print(env.step(0)[0].shape)
"""
    assert python(code, root).strip() == "(64, 64, 3)"


def test_nothing_of_ours_is_a_bare_top_level_package() -> None:
    owners = packages_distributions()
    for name in ("envs", "datasets", "configs", "tests", "examples", "benchmarks"):
        assert "slowfast" not in owners.get(name, []), name
    assert owners["slowfast"] == ["slowfast"]
