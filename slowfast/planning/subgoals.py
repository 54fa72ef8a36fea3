"""Where sub-goals come from: what is to be done next, in words, one chunk of video each (SlowFast-VGen, §3.4)."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from slowfast.actions import ActionSpec, Discrete, Language


class SubGoals(Protocol):
    """Splits a task. It holds nothing of how far an episode is, so one of them serves any number of episodes."""

    def next(self, task: str, done: Sequence[str], frame: np.ndarray | None = None) -> str | None:
        """The sub-goal that follows ``done`` (those that were carried out, in order), or None when nothing is left.

        ``task``: what is to be reached, in words; ``frame`` ``uint8 [H, W, 3]``: what is seen now.
        """
        ...


@dataclass(frozen=True)
class ListedSubGoals:
    """Sub-goals from a list, one after the other, whatever the task is and the frames show. Raises ValueError for an
    empty one: no words are the null, and say nothing."""

    subgoals: tuple[str, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "subgoals", checked_words(self.subgoals))

    def next(self, task: str, done: Sequence[str], frame: np.ndarray | None = None) -> str | None:
        return self.subgoals[len(done)] if len(done) < len(self.subgoals) else None


def language_of(spec: ActionSpec) -> Language:
    """The component that words go into. Raises ValueError when there is none."""
    for component in spec.components:
        if isinstance(component, Language):
            return component
    names = [component.name for component in spec.components]
    raise ValueError(f"sub-goals are words, and these actions have no language component beside {names}")


def known_words(spec: ActionSpec) -> tuple[str, ...] | None:
    """What a world of these actions was told in words: the labels of the choice that they describe, or None where they
    describe none, and are free. Raises ValueError when the actions have no words."""
    described = language_of(spec).describes
    source = None if described is None else spec[described]
    return source.labels if isinstance(source, Discrete) else None


def checked_words(subgoals: Sequence[str], words: Sequence[str] | None = None) -> tuple[str, ...]:
    """``subgoals`` if each says something and, with ``words``, is one of these. Raises ValueError that names the one
    that does not."""
    if isinstance(subgoals, str):
        raise ValueError(f"a list of sub-goals is expected, got the words {subgoals!r} alone")
    for number, subgoal in enumerate(subgoals):
        if not isinstance(subgoal, str) or not subgoal.strip():
            raise ValueError(f"sub-goal {number} has to be words, got {subgoal!r}")
        if words is not None and subgoal not in words:
            near = difflib.get_close_matches(subgoal, words, 1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise ValueError(f"the world does not know the sub-goal {subgoal!r}{hint} (it knows {', '.join(words)})")
    return tuple(subgoals)
