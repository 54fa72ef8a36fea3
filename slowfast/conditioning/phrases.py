"""Actions in words: fills a language column from the labels of the component that it describes.

So a world collected with indices alone also learns the words. A label may have several phrasings, drawn a window.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from slowfast.actions import ActionSpec, Columns, Discrete, Language

Phrases = Mapping[str, Sequence[str]]


def all_phrases(spec: ActionSpec, phrases: Phrases | None = None) -> list[str]:
    """Every text that :func:`describe` can produce for this spec, for training a tokenizer."""
    found = []
    for component in spec.components:
        if isinstance(component, Language) and component.describes:
            labels = getattr(spec[component.describes], "labels", ())
            found += [text for label in labels for text in (label, *(phrases or {}).get(label, ()))]
    return found


def describe(spec: ActionSpec, columns: Columns, rng: np.random.Generator, phrases: Phrases | None = None) -> Columns:
    """``columns`` ``[B, F]`` with empty texts filled from labels; each window draws one phrasing a label."""
    filled = dict(columns)
    for component in spec.components:
        if not isinstance(component, Language) or not component.describes:
            continue
        source = spec[component.describes]
        if not isinstance(source, Discrete):
            continue
        index, text = columns[source.name], columns[component.name].copy()
        choices = [(label, *(phrases or {}).get(label, ())) for label in source.labels]
        draw = rng.random((index.shape[0], len(choices)))
        table = np.array(
            [[options[int(u * len(options))] for u, options in zip(row, choices, strict=True)] + [""] for row in draw],
            object,
        )  # [B, n + 1]: the last entry is the null, which index -1 picks
        worded = np.take_along_axis(table, index.reshape(index.shape[0], -1) % (len(choices) + 1), 1)
        empty = text == ""
        text[empty] = worded.reshape(index.shape)[empty]
        filled[component.name] = text
    return filled
