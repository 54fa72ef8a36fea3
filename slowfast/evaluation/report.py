"""One HTML page that shows what a memory does, with everything inside: pictures, films, plot, figures, settings.

What it says comes from the metrics alone. Needs the extra ``eval`` (matplotlib, jinja2).
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from slowfast.evaluation import figures, verdicts
from slowfast.evaluation.revisit import Frames
from slowfast.fast.files import write_text

PANELS = {"truth": "truth", "on": "memory on", "off": "memory off", "other": "another world's memory"}
STRIPS = {"truth": "truth", "codec": "truth through the codec", **{arm: PANELS[arm] for arm in ("on", "off", "other")}}


@dataclass(frozen=True)
class ReportConfig:
    """``columns``: pictures a strip; ``fps``, ``scale``, ``quality``: of the films (enlarged by whole pixels, so that
    yuv420p keeps the colours; x264's crf); ``open_worlds``: worlds that are shown without unfolding."""

    columns: int = 10
    fps: float = 5.0
    scale: int = 2
    quality: int = 20
    open_worlds: int = 2


def require_packages() -> None:
    """Raises ImportError that names the extra when a page could not be written."""
    missing = [name for name in ("jinja2", "matplotlib") if importlib.util.find_spec(name) is None]
    if missing:
        raise ImportError(f'{" and ".join(missing)} missing: a report needs `pip install "slowfast[eval]"`')


def write_report(
    path: Path, metrics: Mapping[str, Any], recall: Frames, back: Frames, config: ReportConfig | None = None
) -> None:
    """Writes the page for ``metrics`` (what ``metrics.json`` holds) and the frames that were measured."""
    require_packages()
    import jinja2

    config = config or ReportConfig()
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    environment.globals.update(percent=verdicts.percent)
    template = files("slowfast.evaluation").joinpath("templates/demo.html").read_text(encoding="utf-8")
    page = environment.from_string(template).render(
        metrics=metrics,
        colours=figures.COLOURS,
        arm_names=verdicts.ARM_NAMES,
        headline=verdicts.headline(metrics["recall"]),
        recall_verdicts=verdicts.recall_verdicts(metrics["recall"]),
        return_verdicts=verdicts.return_verdicts(metrics["return"]),
        recall_table=verdicts.recall_table(metrics["recall"]),
        stage_table=verdicts.stage_table(metrics["recall"]),
        return_table=verdicts.return_table(metrics["return"]),
        plot=figures.horizon_plot(metrics["recall"], verdicts.ARM_NAMES),
        panels=PANELS,
        worlds=[_world(metrics, recall, number, config) for number in range(metrics["recall"]["worlds"])],
        open_worlds=config.open_worlds,
        tours=[_tour(metrics, back, number) for number in range(metrics["return"]["worlds"])],
    )
    write_text(path, page.replace(" %", "\u00a0%"))  # a figure stays with its unit


def _world(metrics: Mapping[str, Any], frames: Frames, number: int, config: ReportConfig) -> dict[str, Any]:
    """One world of the recall: its film, its strips, and what the caption tells."""
    measured = metrics["recall"]
    count = measured["dreamed"]
    shown = np.unique(np.linspace(1, count - 1, min(config.columns, count)).round().astype(int))
    film = figures.side_by_side([frames[arm][number] for arm in PANELS])
    on, off, other = (measured["arms"][arm]["latent_worlds"][number] for arm in ("on", "off", "other"))
    return {
        "seed": metrics["environment"]["recall_seeds"][number],
        "film": figures.mp4(film, config.fps, config.scale, config.quality),
        "poster": figures.png(film[count // 2, None]),
        "columns": [{"frame": int(frame) + 1, "stage": _stage(measured, int(frame))} for frame in shown],
        "strips": [(arm, name, figures.png(frames[arm][number, shown])) for arm, name in STRIPS.items()],
        "on": on,
        "off": off,
        "other": other,
        "change": on / max(off, 1e-12) - 1,
    }


def _tour(metrics: Mapping[str, Any], frames: Frames, number: int) -> dict[str, Any]:
    """One world of the return: first and later visits, farthest apart first."""
    pairs = metrics["return"]["pairs"]
    first, later = ([pair[side] for pair in pairs] for side in (0, 1))
    rows = [("truth", "truth (both visits)", figures.png(frames["truth"][number, first]))]
    for arm, name in (("on", "memory on"), ("off", "memory off")):
        rows.append((arm, f"{name}, first visit", figures.png(frames[arm][number, first])))
        rows.append((arm, f"{name}, later visit", figures.png(frames[arm][number, later])))
    return {
        "seed": metrics["environment"]["return_seeds"][number],
        "apart": [late - early for early, late in pairs],
        "given": [early < metrics["return"]["given"] for early, _ in pairs],
        "rows": rows,
    }


def _stage(measured: Mapping[str, Any], frame: int) -> str:
    return next((str(s["name"]) for s in measured["stages"] if s["start"] <= frame < s["stop"]), "")
