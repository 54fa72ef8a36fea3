"""Action columns as plain numeric arrays and back, for files that hold no Python objects.

A language column becomes ``int32`` codes and a table of its distinct sentences; its null (the empty string) is -1.
The other columns are numeric already.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from slowfast.actions import ActionSpec, Columns, Discrete, Language

Tables = dict[str, list[str]]


def to_arrays(spec: ActionSpec, columns: Columns) -> tuple[dict[str, np.ndarray], Tables]:
    """Numeric arrays per component, and the sentences of each language component."""
    arrays, tables = {}, {}
    for component in spec.components:
        column = columns[component.name]
        if isinstance(component, Language):
            sentences, codes = np.unique(column.astype(str), return_inverse=True)
            has_null = int(len(sentences) > 0 and sentences[0] == "")  # the empty string sorts first
            tables[component.name] = [str(sentence) for sentence in sentences[has_null:]]
            column = codes.reshape(column.shape).astype(np.int32) - has_null
        arrays[component.name] = column
    return arrays, tables


def from_arrays(spec: ActionSpec, arrays: Mapping[str, np.ndarray], tables: Mapping[str, Sequence[str]]) -> Columns:
    """The inverse of :func:`to_arrays`. Raises ``ActionError`` where an array does not fit its component."""
    columns = dict(arrays)
    for component in spec.components:
        if isinstance(component, Language):
            table = np.array([*tables[component.name], ""], dtype=object)
            columns[component.name] = table[columns[component.name]]  # code -1 is the last entry, the null
    return spec.columns(columns)


def fill_descriptions(spec: ActionSpec, columns: Columns) -> Columns:
    """Language columns that put a discrete component in words, filled with its labels where they are null."""
    filled = dict(columns)
    for component in spec.components:
        if not isinstance(component, Language) or component.describes is None:
            continue
        described = spec[component.describes]
        if isinstance(described, Discrete):
            words = np.array([*described.labels, ""], dtype=object)[columns[described.name]]
            given = columns[component.name]
            filled[component.name] = np.where(given == "", words, given)
    return filled
