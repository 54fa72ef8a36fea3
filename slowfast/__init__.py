"""Learned worlds you can step into, that remember: slow-fast video generation behind Gymnasium.

Importing the package registers its Gymnasium ids and loads nothing heavy; the names below are looked up on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from slowfast._register import register

if TYPE_CHECKING:
    from slowfast.actions import ActionError, ActionSpec, Continuous, Discrete, Keyboard, Language
    from slowfast.fast import EpisodicMemory
    from slowfast.world_model import WorldModel

__version__ = "0.1.0"

__all__ = [
    "ActionError",
    "ActionSpec",
    "Continuous",
    "Discrete",
    "EpisodicMemory",
    "Keyboard",
    "Language",
    "WorldModel",
    "__version__",
]

_HOMES = {
    "ActionError": "slowfast.actions",
    "ActionSpec": "slowfast.actions",
    "Continuous": "slowfast.actions",
    "Discrete": "slowfast.actions",
    "EpisodicMemory": "slowfast.fast",
    "Keyboard": "slowfast.actions",
    "Language": "slowfast.actions",
    "WorldModel": "slowfast.world_model",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'slowfast' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


register()
