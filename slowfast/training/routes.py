"""Which part of an action a window shows: the index, the words, both, or nothing; drawn a window."""

from __future__ import annotations

import numpy as np

from slowfast.actions import ActionSpec, Columns, Language
from slowfast.conditioning.phrases import describe
from slowfast.evaluation.one_chunk import has_text_route
from slowfast.training.odometry_config import OdometryTaskConfig
from slowfast.training.outcome_config import OutcomeTaskConfig
from slowfast.training.slow_config import SlowTaskConfig

Config = SlowTaskConfig | OdometryTaskConfig | OutcomeTaskConfig


def draw_routes(spec: ActionSpec, columns: Columns, config: Config, rng: np.random.Generator) -> Columns:
    """Columns ``[B, F]`` with words filled in and parts dropped to null, as the config's shares say.

    The part that is not words is dropped only when words carry the action; words are dropped whatever they are.
    """
    columns = describe(spec, columns, rng, config.phrases)
    windows = len(next(iter(columns.values())))
    draw = rng.random(windows)
    nothing = draw < config.drop_all
    wordless = ~nothing & (draw < config.drop_all + config.drop_text)
    words_alone = ~nothing & ~wordless & (draw < config.drop_all + config.drop_text + config.drop_index)
    if not has_text_route(spec):
        words_alone[:] = False
    null = spec.null(next(iter(columns.values())).shape[:2])
    kept = {}
    for component in spec.components:
        dropped = nothing | (wordless if isinstance(component, Language) else words_alone)
        kept[component.name] = columns[component.name].copy()
        kept[component.name][dropped] = null[component.name][dropped]
    return kept
