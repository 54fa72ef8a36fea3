"""Which rule a memory follows: a kind of memory, the world's own rule, and what somebody wants of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from slowfast.fast.rules import MemoryRule, memory_rule

MEMORIES = ("off", "temp_lora", "retrieval", "hybrid")
"""Kinds of memory: none; an adapter that learns (Temp-LoRA); frames that are kept and shown again; both."""


def chosen_rule(
    own: Mapping[str, Any],
    recalled: int,
    rule: str | Mapping[str, Any] | MemoryRule | None = None,
    every: int | None = None,
    memory: str | None = None,
    usual: str | None = None,
) -> MemoryRule:
    """The world's ``own`` rule with ``rule`` over it: a name, settings (with or without a name), or a whole rule.

    Settings of ``own`` hold as long as the name is the same. ``every``: new frames between two updates. ``memory``: a
    kind, or None for whatever the rule says; kinds that keep frames show ``recalled`` of them, as many as the world's
    network was trained to read. A kind may stand in place of the rule's name. ``usual``: the kind that is made where
    neither a rule nor a kind is asked for. Raises ValueError for what is not known, and for a rule that is of another
    kind than ``memory`` asks for.
    """
    if rule is None and memory is None:
        memory = usual
    if memory is None and rule in MEMORIES[1:]:
        rule, memory = None, str(rule)
    if memory is not None and memory not in MEMORIES[1:]:
        raise ValueError(f"memory {memory!r} is not one of {', '.join(map(repr, MEMORIES[1:]))}")
    if isinstance(rule, MemoryRule):
        settings: dict[str, Any] = dict(vars(rule))
    else:
        name = "retrieval" if memory == "retrieval" else own["name"]
        given = {"name": rule} if isinstance(rule, str) else dict(rule or {})
        given = {"name": name, **given}
        shown = 0 if memory == "temp_lora" else max(recalled, 1)  # 1 where the network reads none: refused in words
        kind = {} if memory is None else {"recalled": shown}
        settings = {**(own if given["name"] == own["name"] else {}), **kind, **given}
    if every is not None:
        settings["every"] = every
    chosen = memory_rule(settings.pop("name"), **settings)
    if memory is not None and kind_of(chosen) != memory:
        raise ValueError(f"memory={memory!r} with a rule of kind {kind_of(chosen)!r}: {chosen}; choose one of the two")
    return chosen


def kind_of(rule: MemoryRule) -> str:
    """Which of :data:`MEMORIES` a rule makes."""
    if not rule.recalled:
        return "temp_lora" if rule.steps else "off"
    return "hybrid" if rule.steps else "retrieval"
