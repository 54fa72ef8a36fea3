"""Actions as checks want them: which are missing, what kind each is, and as columns of numbers."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np

from slowfast.actions import ActionSpec, Columns, Component, Continuous, Discrete, Keyboard, Language

SENTENCE_BUCKETS = 16
COLUMNS = 32
"""Of numbers a step, at most; axes and keys beyond are left out."""
STILL = 0.05
"""A continuous value below this share of its clip's 95th percentile counts as none, and so does a change of it."""


def missing(component: Component, column: np.ndarray) -> np.ndarray:
    """Which of ``column`` ``[T, ...]`` are null as a whole, ``bool [T]``."""
    if isinstance(component, Language):
        return np.array([text == "" for text in column.tolist()], bool)
    null: Any = np.isnan(column) if isinstance(component, Continuous) else column == -1
    rows: Any = np.asarray(null, bool).reshape(len(column), -1)
    return np.asarray(rows.all(1), bool)


def known(spec: ActionSpec, actions: Columns) -> np.ndarray:
    """Where any component that an agent acts with is there, ``bool [T]``."""
    absent: Any = np.stack([missing(c, actions[c.name]) for c in spec.acting])
    return ~np.asarray(absent.all(0), bool)


def axis_names(component: Component) -> tuple[str, ...]:
    """Labels, keys, or the axes' labels or numbers."""
    if isinstance(component, Discrete):
        return component.labels
    if isinstance(component, Keyboard):
        return component.keys
    if isinstance(component, Continuous):
        return component.labels or tuple(f"axis {k}" for k in range(component.size))
    return ()


def numbers(spec: ActionSpec, actions: Columns) -> tuple[np.ndarray, np.ndarray]:
    """The acting components as ``float32 [T, p]`` (p at most 32; nulls are 0), and which columns are continuous,
    ``bool [p]``. Choices are one column a label, sentences one of 16 by their hash."""
    parts, continuous = [], []
    for component in spec.acting:
        column = actions[component.name]
        if isinstance(component, Continuous):
            part = np.nan_to_num(column, posinf=0, neginf=0)
        elif isinstance(component, Keyboard):
            part = column == 1
        else:
            codes = column if isinstance(component, Discrete) else _hashed(column, SENTENCE_BUCKETS)
            size = len(component.labels) if isinstance(component, Discrete) else SENTENCE_BUCKETS
            part = codes[:, None] == np.arange(size)
        parts.append(np.asarray(part, np.float32).reshape(len(column), -1))
        continuous += [isinstance(component, Continuous)] * parts[-1].shape[1]
    return np.concatenate(parts, 1)[:, :COLUMNS], np.array(continuous[:COLUMNS])


def kinds(spec: ActionSpec, actions: Columns) -> np.ndarray:
    """A number for each action, ``int64 [T]``, equal for actions of a kind: the same choice and keys, and the same of
    none, held or changing for a vector. -1 where nothing is known."""
    total = np.zeros(len(next(iter(actions.values()))), np.int64)
    for component in spec.acting:
        column = actions[component.name]
        if isinstance(component, Discrete):
            codes, size = column, len(component.labels)
        elif isinstance(component, Keyboard):
            keys = (column[:, :16] == 1) @ (1 << np.arange(min(column.shape[1], 16), dtype=np.int64))
            codes, size = np.asarray(keys), 2**16
        elif isinstance(component, Continuous):
            codes, size = _vector_kinds(column), 3
        else:
            codes, size = _hashed(column, 2**16), 2**16
        total = total * (size + 1) + codes + 1
    return np.where(known(spec, actions), total, -1)


def _vector_kinds(column: np.ndarray) -> np.ndarray:
    """0: no action, 1: held as it was, 2: changing."""
    values = np.nan_to_num(np.abs(column.astype(np.float64)), posinf=0, neginf=0)
    scale = np.maximum(np.percentile(values, 95, axis=0), 1e-9)
    steps = np.abs(np.diff(np.nan_to_num(column, posinf=0, neginf=0), axis=0, prepend=column[:1]))
    acting = (values > STILL * scale).any(1)
    changing = (np.nan_to_num(steps) > STILL * scale).any(1)
    return np.where(acting | changing, np.where(changing, 2, 1), 0).astype(np.int64)


def _hashed(sentences: np.ndarray, buckets: int) -> np.ndarray:
    codes = {text: zlib.crc32(text.encode()) % buckets for text in set(sentences.tolist())}
    return np.array([codes[text] if text else -1 for text in sentences.tolist()], np.int64)
