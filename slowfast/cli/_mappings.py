"""Mappings on a command line: one YAML mapping, as it would stand in a recipe."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, get_origin

import yaml
from tyro.constructors import ConstructorRegistry, PrimitiveConstructorSpec, PrimitiveTypeInfo

from slowfast._config_values import convert, plain

MAPPINGS = ConstructorRegistry()
"""tyro's own way would give every key that the defaults have an option, and take no other key."""


@MAPPINGS.primitive_rule
def yaml_mapping(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[Any] | None:
    """``--memory '{name: paper, steps: 2}'`` for a field that is a dict."""
    if get_origin(info.type) is not dict:
        return None

    def parsed(arguments: list[str]) -> dict[str, Any]:
        try:
            value = yaml.safe_load(arguments[0])
        except yaml.YAMLError as error:
            raise ValueError(f"not YAML: {' '.join(str(error).split())}") from error
        if not isinstance(value, Mapping):
            raise ValueError(f"a mapping is expected, such as '{{name: value}}', not {arguments[0]!r}")
        return dict(convert(info.type, value, "the command line", "value"))

    return PrimitiveConstructorSpec(
        nargs=1,
        metavar="{KEY: VALUE}",
        instance_from_str=parsed,
        is_instance=lambda value: isinstance(value, Mapping),
        str_from_instance=lambda value: [on_one_line(value)],
    )


def on_one_line(value: Mapping[str, Any]) -> str:
    """A mapping as an option takes it."""
    return yaml.safe_dump(plain(value), default_flow_style=True, sort_keys=False, width=math.inf).strip()
