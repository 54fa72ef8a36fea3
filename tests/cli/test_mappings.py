"""Fields that are dicts are given on the command line as a YAML mapping, whole."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
import tyro

from slowfast.cli._mappings import MAPPINGS


@dataclass(frozen=True)
class Config:
    memory: dict[str, Any] = field(default_factory=lambda: {"name": "paper", "layers": ("a", "b")})
    swap: dict[str, str] = field(default_factory=dict)
    phrases: dict[str, tuple[str, ...]] = field(default_factory=dict)


def parse(*arguments: str) -> Config:
    with MAPPINGS:
        return tyro.cli(Config, args=arguments)


def test_a_mapping_replaces_the_default() -> None:
    assert parse() == Config()
    assert parse("--memory", "{name: ancestor, steps: 2}").memory == {"name": "ancestor", "steps": 2}
    assert parse("--swap", "{left: right, right: left}").swap == {"left": "right", "right": "left"}
    assert parse("--phrases", "left: [go left, aside]").phrases == {"left": ("go left", "aside")}
    assert parse("--memory", "{}").memory == {}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--swap", "{left: 3}"), "expects str"),
        (("--swap", "left"), "mapping is expected"),
        (("--memory", "{left"), "not YAML"),
        (("--memory", "- 1"), "mapping is expected"),
    ],
)
def test_what_is_no_such_mapping_is_named(
    arguments: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        parse(*arguments)
    said = capsys.readouterr()
    assert message in " ".join((said.out + said.err).replace("│", " ").split())
    assert arguments[0] in said.out + said.err
