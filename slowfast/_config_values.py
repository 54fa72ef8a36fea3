"""One value of a config: from YAML to the type that a field's annotation asks for, and back to plain data."""

from __future__ import annotations

import re
import types
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import yaml


class ConfigError(ValueError):
    """A config that does not fit; the message says which file, which key and what was expected."""


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file; an empty file is an empty mapping."""
    try:
        data = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not readable as YAML: {error}") from error
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise ConfigError(f"{path}: expected a mapping from field names to values, got {_name(type(data))}")
    return data


def write_yaml(value: Any) -> str:
    """Plain data as YAML text that :func:`read_yaml` reads back as the same data (hence ASCII, with escapes)."""
    return str(yaml.dump(value, Dumper=_Dumper, sort_keys=False, width=120))


def convert(hint: Any, value: Any, source: str, key: str) -> Any:
    """``value`` as the type ``hint``, or :class:`ConfigError` naming ``source``, ``key`` and the expected type."""
    origin = get_origin(hint)
    if origin is Annotated:
        return convert(get_args(hint)[0], value, source, key)
    if origin in _CONTAINERS:
        return _CONTAINERS[origin](hint, value, source, key)
    if hint is Any or (isinstance(hint, type) and type(value) is hint):
        return value
    if hint is float and type(value) is int:
        return float(value)
    if hint is Path and isinstance(value, (str, Path)):
        return Path(value)
    if hint is None or hint is type(None):
        if value is None:
            return None
    elif isinstance(hint, type) and isinstance(value, hint) and not isinstance(value, bool):
        return value
    raise _unfit(hint, value, source, key)


def plain(value: Any) -> Any:
    """A config as nested dicts, lists, strings and numbers."""
    if is_dataclass(value) and not isinstance(value, type):
        return {item.name: plain(getattr(value, item.name)) for item in fields(value) if item.init}
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, (tuple, list)):
        return [plain(inner) for inner in value]
    return str(value) if isinstance(value, Path) else value


def _union(hint: Any, value: Any, source: str, key: str) -> Any:
    choices = get_args(hint)
    for choice in choices:
        try:
            return convert(choice, value, source, key)
        except ConfigError:
            continue
    raise _unfit(hint, value, source, key)


def _literal(hint: Any, value: Any, source: str, key: str) -> Any:
    for choice in get_args(hint):
        if choice == value and type(choice) is type(value):
            return choice
    raise _unfit(hint, value, source, key)


def _tuple(hint: Any, value: Any, source: str, key: str) -> tuple[Any, ...]:
    kinds = get_args(hint)
    if not isinstance(value, (list, tuple)):
        raise _unfit(hint, value, source, key)
    if len(kinds) == 2 and kinds[1] is Ellipsis:
        kinds = (kinds[0],) * len(value)
    if len(kinds) != len(value):
        raise _unfit(hint, value, source, key)
    return tuple(
        convert(kind, item, source, f"{key}[{i}]") for i, (kind, item) in enumerate(zip(kinds, value, strict=True))
    )


def _list(hint: Any, value: Any, source: str, key: str) -> list[Any]:
    if not isinstance(value, (list, tuple)):
        raise _unfit(hint, value, source, key)
    return [convert(get_args(hint)[0], item, source, f"{key}[{i}]") for i, item in enumerate(value)]


def _dict(hint: Any, value: Any, source: str, key: str) -> dict[Any, Any]:
    if not isinstance(value, Mapping):
        raise _unfit(hint, value, source, key)
    of_key, of_value = get_args(hint)
    return {
        convert(of_key, name, source, f"{key}.{name}"): convert(of_value, item, source, f"{key}.{name}")
        for name, item in value.items()
    }


_CONTAINERS: dict[Any, Callable[[Any, Any, str, str], Any]] = {
    Union: _union,
    types.UnionType: _union,
    Literal: _literal,
    tuple: _tuple,
    list: _list,
    dict: _dict,
}


def _unfit(hint: Any, value: Any, source: str, key: str) -> ConfigError:
    return ConfigError(f"{source}: key {key!r} expects {_name(hint)}, got {value!r} ({_name(type(value))})")


def _name(hint: Any) -> str:
    if hint is type(None):
        return "None"
    if get_origin(hint) is Literal:
        return "one of " + ", ".join(repr(choice) for choice in get_args(hint))
    if get_origin(hint) in (Union, types.UnionType):
        return " or ".join(_name(choice) for choice in get_args(hint))
    return hint.__name__ if isinstance(hint, type) and not get_args(hint) else str(hint).replace("typing.", "")


class _Loader(yaml.SafeLoader):
    """YAML 1.2's floats (``1e-4`` is a number), and a key given twice is an error instead of the last one winning."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        names = [self.construct_object(key, deep=True) for key, _ in node.value]
        twice = [name for i, name in enumerate(names) if name in names[:i]]
        if twice:
            raise yaml.constructor.ConstructorError(None, None, f"key {twice[0]!r} is given twice", node.start_mark)
        return super().construct_mapping(node, deep)


class _Dumper(yaml.SafeDumper):
    """Quotes the strings that the loader would read as numbers."""


for _side in (_Loader, _Dumper):
    _side.add_implicit_resolver(
        "tag:yaml.org,2002:float", re.compile(r"^[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"), list("-+.0123456789")
    )
