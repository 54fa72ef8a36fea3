"""Imports point one way, and only the command line talks to the terminal and the environment."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

FOLDERS = {
    "slowfast": "slowfast",
    "envs": "slowfast.envs",
    "datasets": "slowfast.datasets",
    "configs": "slowfast.configs",
}
LAYERS = {
    "actions": 0,
    "action_components": 0,
    "action_spaces": 0,
    "video": 0,
    "frames": 0,
    "model_folder": 0,
    "starts": 1,
    "conditioning": 1,
    "heads": 1,
    "codecs": 1,
    "fast": 1,
    "slow": 1,
    "world_folder": 2,
    "pixels": 2,
    "world_model": 2,
    "dream": 2,
    "dream_state": 2,
    "datasets": 2,
    "envs": 3,
    "planning": 4,
    "evaluation": 5,
    "training": 6,
    "cli": 7,
}


def _modules(root: Path) -> Iterator[tuple[str, Path, ast.Module]]:
    """Dotted name as imported, path, syntax tree."""
    for folder, package in FOLDERS.items():
        for path in sorted((root / folder).rglob("*.py")):
            inner = path.relative_to(root / folder).with_suffix("").parts
            name = ".".join((package, *(part for part in inner if part != "__init__")))
            yield name, path, ast.parse(path.read_text(encoding="utf-8"))


def _imports(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _part(name: str) -> str:
    return name.split(".")[1] if name.startswith("slowfast.") else ""


def test_imports_point_down(root: Path) -> None:
    for name, _, tree in _modules(root):
        own = LAYERS.get(_part(name))
        for imported in _imports(tree):
            other = LAYERS.get(_part(imported))
            if own is not None and other is not None:
                assert other <= own, f"{name} imports {imported}, which is a layer above it"


def test_datasets_know_only_actions_and_the_size_of_frames(root: Path) -> None:
    for name, _, tree in _modules(root):
        if _part(name) == "datasets":
            ours = {_part(imported) for imported in _imports(tree) if imported.startswith("slowfast")}
            assert ours <= {"datasets", "actions", "frames"}, f"{name} imports {ours}"
        elif LAYERS.get(_part(name), 9) <= LAYERS["world_model"]:
            assert "datasets" not in {_part(imported) for imported in _imports(tree)}, f"{name} imports datasets"


def test_folders_are_imported_by_their_installed_names(root: Path) -> None:
    for name, _, tree in _modules(root):
        for imported in _imports(tree):
            assert imported.split(".")[0] not in ("envs", "datasets", "configs"), f"{name} imports {imported}"


@pytest.mark.parametrize("forbidden", ["os.environ", "os.getenv", "argparse", "pickle", "tyro"])
def test_only_the_command_line_reads_the_environment_and_nobody_reads_a_pickle(root: Path, forbidden: str) -> None:
    for name, path, tree in _modules(root):
        if _part(name) == "cli" and forbidden != "pickle":
            continue
        used = {ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute)} | set(_imports(tree))
        assert not any(item == forbidden or item.startswith(f"{forbidden}.") for item in used), f"{path}: {forbidden}"
