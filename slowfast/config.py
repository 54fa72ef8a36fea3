"""Frozen dataclasses from YAML recipes: every key is checked by name and type before anything runs.

A recipe is a YAML mapping whose keys are the fields of a config dataclass; a nested dataclass is a nested mapping.
``load(Collect, "doom-rooms")`` reads ``configs/doom-rooms.yaml`` of the installed package, ``load(Collect, path)`` a
file. What a recipe leaves out keeps the dataclass's default.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, get_args, get_origin, get_type_hints

from slowfast._config_values import ConfigError, convert, plain, read_yaml, write_yaml

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Config = TypeVar("Config", bound="DataclassInstance")
_REQUIRED = object()

__all__ = ["ConfigError", "draft", "dump", "load", "recipe_names", "save"]


def load(cls: type[Config], recipe: str | Path | None = None, overrides: Mapping[str, Any] | None = None) -> Config:
    """A ``cls`` from its defaults, then ``recipe`` (a name in ``configs/`` or a path), then ``overrides``.

    ``overrides`` maps field names to values; a dot reaches into a nested config (``{"model.channels": 64}``).
    Raises :class:`ConfigError` for an unknown key, a value of another type, a required field that nobody set, or an
    unreadable file.
    """
    return _finish(draft(cls, recipe, overrides, missing=_REQUIRED), "")


def draft(
    cls: type[Config],
    recipe: str | Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    *,
    missing: object,
) -> Config:
    """Like :func:`load`, but a required field that nobody set holds ``missing`` and ``__post_init__`` has not run.

    For a command line, whose parser fills in the rest and builds the real thing.
    """
    config = _defaults(cls, missing)
    if recipe is not None:
        path = _recipe_path(recipe)
        config = _apply(config, read_yaml(path), str(path), "", missing)
    if overrides:
        config = _apply(config, _nest(overrides), "overrides", "", missing)
    return config


def recipe_names() -> list[str]:
    """The recipes that ship with the package, sorted."""
    return sorted(item.name[:-5] for item in files("slowfast.configs").iterdir() if item.name.endswith(".yaml"))


def dump(config: DataclassInstance) -> str:
    """The config as YAML text that :func:`load` reads back to an equal config."""
    return write_yaml(plain(config))


def save(config: DataclassInstance, path: str | Path) -> None:
    """Write :func:`dump` to ``path``, making its folder; the file appears whole or not at all."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.write_text(dump(config), encoding="utf-8")
    os.replace(temporary, path)


def _recipe_path(recipe: str | Path) -> Path:
    text = str(recipe)
    if isinstance(recipe, Path) or text.endswith((".yaml", ".yml")) or os.sep in text:
        if not Path(recipe).is_file():
            raise ConfigError(f"{recipe}: no such recipe file")
        return Path(recipe)
    names = recipe_names()
    if text not in names:
        raise ConfigError(
            f"no recipe {text!r}{_hint(text, names)}; known: {', '.join(names) or 'none'}; or give a path"
        )
    with as_file(files("slowfast.configs") / f"{text}.yaml") as path:
        return path


def _defaults(cls: type[Config], missing: object) -> Config:
    values: dict[str, Any] = {}
    for item in fields(cls):
        if not item.init:
            continue
        if item.default is not MISSING:
            values[item.name] = item.default
        elif item.default_factory is not MISSING:
            values[item.name] = item.default_factory()
        else:
            values[item.name] = missing
    return _unchecked(cls, values)


def _apply(config: Config, values: Mapping[str, Any], source: str, prefix: str, missing: object) -> Config:
    """``config`` with ``values`` over it; nested configs are merged, everything else is replaced."""
    cls = type(config)
    hints = get_type_hints(cls, include_extras=True)
    merged = _values(config)
    for key, value in values.items():
        place = f"{prefix}{key}"
        if key not in merged:
            raise ConfigError(f"{source}: unknown key {place!r}{_hint(str(key), list(merged))}")
        nested = _nested(hints[key], merged[key])
        if nested is not None and isinstance(value, Mapping):
            base = merged[key] if is_dataclass(merged[key]) else _defaults(nested, missing)
            merged[key] = _apply(base, value, source, f"{place}.", missing)
        else:
            merged[key] = convert(hints[key], value, source, place)
    return _unchecked(cls, merged)


def _finish(config: Config, prefix: str) -> Config:
    """The real config: ``__post_init__`` runs, inner configs first."""
    values = _values(config)
    for name, value in values.items():
        if value is _REQUIRED:
            raise ConfigError(
                f"{type(config).__name__}: {prefix}{name} has no default: set it in the recipe or override it"
            )
        if is_dataclass(value) and not isinstance(value, type):
            values[name] = _finish(value, f"{prefix}{name}.")
    return type(config)(**values)


def _nested(hint: Any, current: Any) -> Any:
    """The dataclass that a field holds (the current value's own class first), or None for a plain field."""
    if is_dataclass(current):
        return type(current)
    if get_origin(hint) is Annotated:
        hint = get_args(hint)[0]
    inside = [kind for kind in (hint, *get_args(hint)) if isinstance(kind, type) and is_dataclass(kind)]
    return inside[0] if len(inside) == 1 and get_origin(hint) not in (tuple, list, dict) else None


def _unchecked(cls: type[Config], values: Mapping[str, Any]) -> Config:
    config = object.__new__(cls)
    for name, value in values.items():
        object.__setattr__(config, name, value)
    return config


def _values(config: DataclassInstance) -> dict[str, Any]:
    return {item.name: getattr(config, item.name) for item in fields(config) if item.init}


def _nest(flat: Mapping[str, Any]) -> dict[str, Any]:
    nested: dict[str, Any] = {}
    for key, value in flat.items():
        *parents, last = key.split(".")
        level = nested
        for parent in parents:
            level = level.setdefault(parent, {})
        level[last] = value
    return nested


def _hint(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, 1, cutoff=0.5)
    return f"; did you mean {near[0]!r}?" if near else f" (keys: {', '.join(known)})" if known else ""
