"""Recipes become frozen dataclasses; whatever does not fit is refused by name."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slowfast import config
from slowfast.config import ConfigError


@dataclass(frozen=True)
class Network:
    channels: int = 32
    widths: tuple[int, ...] = (1, 2)
    size: tuple[int, int] = (64, 64)


@dataclass(frozen=True)
class Run:
    out: Path
    rate: float = 1e-3
    memory: Literal["off", "temp_lora"] = "off"
    resume: bool = False
    steps: int | None = None
    network: Network = Network(channels=16)
    weights: dict[str, float] = field(default_factory=dict)
    title: Annotated[str, "shown on the page"] = "a run"

    def __post_init__(self) -> None:
        if self.rate <= 0:
            raise ValueError(f"rate must be positive, got {self.rate}")


def _recipe(folder: Path, text: str) -> Path:
    path = folder / "recipe.yaml"
    path.write_text(text)
    return path


def test_recipe_overrides_defaults_and_overrides_beat_the_recipe(tmp_path: Path) -> None:
    path = _recipe(tmp_path, "out: here\nrate: 1e-4\nsteps: 10\nnetwork: {widths: [4, 5, 6]}\n")
    run = config.load(Run, path, {"steps": 20, "network.size": (48, 96)})
    network = Network(channels=16, widths=(4, 5, 6), size=(48, 96))
    assert run == Run(Path("here"), rate=1e-4, steps=20, network=network)


def test_unknown_key_names_the_file_the_key_and_the_nearest(tmp_path: Path) -> None:
    path = _recipe(tmp_path, "out: here\nnetwork: {chanels: 3}\n")
    with pytest.raises(ConfigError, match=r"recipe\.yaml: unknown key 'network\.chanels'; did you mean 'channels'\?"):
        config.load(Run, path)


@pytest.mark.parametrize(
    ("line", "key", "expected"),
    [
        ("steps: many", "steps", "int or None"),
        ("steps: 1.5", "steps", "int or None"),
        ("steps: true", "steps", "int or None"),
        ("rate: fast", "rate", "float"),
        ("resume: 1", "resume", "bool"),
        ("memory: lora", "memory", "one of 'off', 'temp_lora'"),
        ("out: 3", "out", "Path"),
        ("title: 7", "title", "str"),
        ("weights: {a: x}", "weights.a", "float"),
        ("network: 3", "network", "Network"),
        ("network: {widths: [1, x]}", r"network.widths\[1\]", "int"),
        ("network: {size: [1, 2, 3]}", "network.size", r"tuple\[int, int\]"),
    ],
)
def test_wrong_type_names_the_key_and_what_was_expected(tmp_path: Path, line: str, key: str, expected: str) -> None:
    path = _recipe(tmp_path, line)
    with pytest.raises(ConfigError, match=rf"recipe\.yaml: key '{key}' expects {expected}, got"):
        config.load(Run, path)


def test_a_key_given_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="'rate' is given twice"):
        config.load(Run, _recipe(tmp_path, "rate: 1.0\nout: here\nrate: 2.0\n"))


@pytest.mark.parametrize("text", ["- a\n- b\n", "just words", "a: [1"])
def test_what_is_not_a_mapping_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError, match=r"recipe\.yaml"):
        config.load(Run, _recipe(tmp_path, text))


def test_a_required_field_left_open_is_named() -> None:
    with pytest.raises(ConfigError, match="out has no default"):
        config.load(Run)


def test_values_are_checked_by_the_dataclass_itself() -> None:
    with pytest.raises(ValueError, match="rate must be positive"):
        config.load(Run, None, {"out": "here", "rate": -1.0})


def test_unknown_recipe_names_the_nearest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, "recipe_names", lambda: ["doom-rooms", "tiny"])
    with pytest.raises(ConfigError, match="no recipe 'doom-room'; did you mean 'doom-rooms'"):
        config.load(Run, "doom-room")


def test_missing_recipe_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.yaml: no such recipe file"):
        config.load(Run, tmp_path / "nowhere.yaml")


def test_a_saved_config_is_a_recipe_that_loads_to_the_same(tmp_path: Path) -> None:
    run = Run(Path("a/b"), rate=3e-5, steps=None, network=Network(widths=(7,)), weights={"x": 0.5}, title="1e-4")
    config.save(run, tmp_path / "deep" / "config.yaml")
    assert config.load(Run, tmp_path / "deep" / "config.yaml") == run
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["config.yaml"]


@settings(max_examples=60, deadline=None)
@given(
    rate=st.floats(min_value=1e-300, allow_infinity=False),
    title=st.text(),
    weights=st.dictionaries(st.text(min_size=1), st.floats(allow_nan=False)),
    steps=st.none() | st.integers(),
)
def test_any_config_survives_the_file(tmp_path_factory: pytest.TempPathFactory, **values: Any) -> None:
    run = Run(Path("here"), **values)
    path = tmp_path_factory.getbasetemp() / "any-config.yaml"
    config.save(run, path)
    assert config.load(Run, path) == run


def test_configs_are_frozen(tmp_path: Path) -> None:
    run = config.load(Run, None, {"out": "here"})
    with pytest.raises(dataclasses.FrozenInstanceError):
        run.rate = 2.0  # type: ignore[misc]


def test_recipes_that_ship_are_listed_by_name(root: Path) -> None:
    assert config.recipe_names() == sorted(path.stem for path in (root / "configs").glob("*.yaml"))
