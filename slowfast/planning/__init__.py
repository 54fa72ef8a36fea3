"""Planning: search for actions whose imagined outcome costs least.

A planner sees a cost over action sequences and nothing else (:class:`~slowfast.planning.plan.Planner`); what the cost
means is an objective's business (``objectives.py``), and imagining the outcome a dream's (``imagination.py``).
"""

from __future__ import annotations

import importlib
from typing import Any

from slowfast.actions import ActionSpec
from slowfast.planning.plan import Budget, Cost, Plan, Planner

PLANNERS = {
    "random_shooting": "slowfast.planning.sampling:RandomShooting",
    "cem": "slowfast.planning.sampling:CEM",
    "icem": "slowfast.planning.sampling:ICEM",
    "mppi": "slowfast.planning.sampling:MPPI",
    "gradient": "slowfast.planning.gradient:GradientDescent",
}
"""Planners by name; a new one is a class that takes (spec, **settings), and a line here."""


def make_planner(name: str, spec: ActionSpec, **settings: Any) -> Planner:
    """The planner ``name`` for actions of ``spec``. Raises ValueError for an unknown name or setting."""
    if name not in PLANNERS:
        raise ValueError(f"there is no planner {name!r}; there are {', '.join(PLANNERS)}")
    module, _, attribute = PLANNERS[name].partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)(spec, **settings)
    except TypeError as error:
        raise ValueError(f"planner {name!r}: {error}") from error


__all__ = ["PLANNERS", "Budget", "Cost", "Plan", "Planner", "make_planner"]
