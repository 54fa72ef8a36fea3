"""The benchmark as a picture: error over the gap, and who brings back the right view."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from slowfast.evaluation.recall.arms import CONTROLS, NONE
from slowfast.evaluation.recall.benchmark import CODEC, REPEAT
from slowfast.evaluation.recall.places import BEYOND

FIXED = {CODEC: "#009e73", REPEAT: "#8a8f98", NONE: "#d55e00"}
RULES = ("#0a84d6", "#56b4e9", "#5e3c99", "#b8860b", "#00696b", "#9c2f2f", "#6b8e23", "#4a4a4a")
FADED = ("#c978a8", "#e0a3c4", "#9a7590")
"""Colours of the fixed arms, of the memory rules and of their controls."""


def save_plots(result: dict[str, Any], path: Path) -> None:
    """Latent error and PSNR over the gap, and the share of right views beyond the context. Needs matplotlib."""
    from matplotlib.figure import Figure

    curve = result["curve"]
    colours = _colours(list(curve["psnr"]))
    figure = Figure(figsize=(14, 4.8), layout="constrained", dpi=110)
    error, psnr, right = figure.subplots(1, 3, width_ratios=(1, 1, 0.8))
    for axes, kind, label in (
        (error, "latent", "squared error of the latents (lower is better)"),
        (psnr, "psnr", "PSNR in dB (higher is better)"),
    ):
        for arm, values in curve[kind].items():
            style = "--" if arm in CONTROLS else "-"
            axes.plot(curve["gaps"], values, style, marker="o", markersize=3, color=colours[arm], label=arm)
        axes.set_title(label, loc="left", fontsize=10)
        axes.set_xlabel("frames since the view was seen")
        axes.tick_params(axis="x", labelsize=8)
        axes.spines[["top", "right"]].set_visible(False)
    beyond = result["places"].get(BEYOND)
    if beyond:
        arms = list(beyond["arms"])[::-1]
        right.barh(arms, [100 * beyond["arms"][arm]["right"] for arm in arms], color=[colours[arm] for arm in arms])
        right.axvline(100 * beyond["chance"], color="#8a8f98", linewidth=0.8, linestyle=":")
        right.set_title("right view brought back, % (dots: chance)", loc="left", fontsize=10)
        right.tick_params(axis="y", labelsize=8)
        right.spines[["top", "right"]].set_visible(False)
    names = error.get_legend_handles_labels()
    figure.legend(*names, loc="outside lower center", ncols=5, fontsize=8, frameon=False)
    figure.savefig(path)


def _colours(arms: list[str]) -> dict[str, str]:
    rules, faded = iter(RULES * 4), iter(FADED * 4)
    return {arm: FIXED.get(arm) or next(faded if arm in CONTROLS else rules) for arm in arms}
