"""Recall against cost: every rule of ``benchmarks/memory_tuning.py`` as a point, drawn for the documentation.

python benchmarks/memory_curve.py
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro
from report import RESULTS, read_json

KINDS = {"retrieval": ("kept frames", "#0b7a75"), "hybrid": ("both", "#7b2d8b"), "temp_lora": ("adapter", "#c8553d")}

TICKS = (1, 2, 5, 10, 20, 40)


@dataclass(frozen=True)
class Settings:
    """``results``: what the tuning found, of the same worlds; ``picture``: where to draw it."""

    results: tuple[Path, ...] = (RESULTS / "memory_tuning.json", RESULTS / "memory_tuning_back.json")
    picture: Path = Path(__file__).parents[1] / "docs/images/memory_cost.png"


def main(settings: Settings) -> None:
    found = [read_json(path) for path in settings.results]
    if not all(found):
        raise SystemExit(f"{settings.results} are not all there: run benchmarks/memory_tuning.py first")
    (worlds,) = {result["worlds"] for result in found}
    draw({"worlds": worlds, "rows": [row for result in found for row in result["rows"]]}, settings.picture)
    print(settings.picture)


def draw(result: dict[str, Any], path: Path) -> None:
    """Change of the error over seconds a world, to teach and to dream, with 95 % intervals; a line joins the best."""
    from matplotlib.figure import Figure

    figure = Figure((7.2, 4.2), dpi=120, layout="constrained")
    axes = figure.subplots()
    worlds, seen = result["worlds"], set()
    points = []
    for row in result["rows"]:
        rule = row["rule"]
        kind = "temp_lora" if not rule["recalled"] else "hybrid" if rule["steps"] else "retrieval"
        seconds, change = (row["seconds"] + row["dream_seconds"]) / worlds, -100 * row["own"]["value"]
        reach = [[100 * (row["own"]["value"] - row["own"]["low"])], [100 * (row["own"]["high"] - row["own"]["value"])]]
        label, colour = KINDS[kind]
        axes.errorbar(
            seconds,
            change,
            [reach[1], reach[0]],
            fmt="o",
            markersize=4,
            linewidth=0.8,
            color=colour,
            label=None if kind in seen else label,
        )
        seen.add(kind)
        if kind == "temp_lora":
            points.append((seconds, change))
    front = list(frontier(points))
    axes.plot(*zip(*front, strict=True), color=KINDS["temp_lora"][1], linewidth=0.8, linestyle=":")
    axes.axhline(0, color="#8a8f98", linewidth=0.8)
    axes.set_xscale("log")
    axes.set_xticks(TICKS, [f"{tick:g}" for tick in TICKS])
    axes.minorticks_off()
    axes.set_xlabel("seconds a world: to teach 16 frames and to dream 16")
    axes.set_ylabel("change of squared latent error, %")
    axes.set_title("Recall of a second turn around, against its cost", loc="left", fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)


def frontier(points: Iterable[tuple[float, float]]) -> Iterable[tuple[float, float]]:
    """Points that no cheaper one beats, from the cheapest on."""
    best = float("inf")
    for seconds, change in sorted(points):
        if change < best:
            best = change
            yield seconds, change


if __name__ == "__main__":
    main(tyro.cli(Settings, description=__doc__))
