"""An agent's finished trips in a file of their own: a comparison that was interrupted goes on with the next agent."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from slowfast.evaluation.acting.trips import Trips
from slowfast.fast.files import write_text


def save(trips: Trips, asked: Mapping[str, Any], path: Path) -> None:
    """``asked``: all that the trips depend on, as JSON can hold it."""
    own = {name: value.tolist() for name, value in vars(trips).items() if name != "seconds"}
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, json.dumps({"asked": asked, "seconds": trips.seconds, **own}, indent=1) + "\n")


def load(asked: Mapping[str, Any], path: Path) -> Trips | None:
    """The trips in ``path``, if they are what is ``asked`` for; None where there are none, or others."""
    if not path.is_file():
        return None
    found = json.loads(path.read_text(encoding="utf-8"))
    if found.pop("asked") != json.loads(json.dumps(asked)):
        return None
    seconds = float(found.pop("seconds"))
    return Trips(**{name: np.asarray(value) for name, value in found.items()}, seconds=seconds)
