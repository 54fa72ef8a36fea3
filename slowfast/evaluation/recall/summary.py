"""What the benchmark says: figures by place and arm with intervals, as JSON, and as a table for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from slowfast.evaluation.intervals import Comparison, compare
from slowfast.evaluation.one_chunk import decibels
from slowfast.evaluation.recall.arms import NONE
from slowfast.evaluation.recall.benchmark import CODEC, Judged
from slowfast.evaluation.recall.places import Place, curve, places
from slowfast.evaluation.recall.scores import Scores
from slowfast.evaluation.verdicts import Table, percent

DRAWS = 4000


def summary(judged: Judged, seed: int = 0) -> dict[str, Any]:
    """``places``: by name, ``frames`` a world, ``chance`` of a right view and ``arms``; ``curve``: latent error by arm
    over the gap's bins."""
    reference = judged.scores[NONE]
    found: dict[str, Any] = {"places": {}, "curve": {}}
    for place in places(judged.gaps, judged.in_context):
        found["places"][place.name] = {
            "frames": float(place.frames.sum(1).mean()),
            "chance": judged.share(place),
            "arms": {arm: _arm(scores, reference, place, seed) for arm, scores in judged.scores.items()},
        }
    bins = curve(judged.gaps, judged.in_context)
    found["curve"] = {
        "gaps": [place.name for place in bins],
        "latent": {
            arm: [float(place.by_world(scores.latent).mean()) for place in bins]
            for arm, scores in judged.scores.items()
            if arm != CODEC
        },
        "psnr": {
            arm: [decibels(place.by_world(scores.pixel)) for place in bins] for arm, scores in judged.scores.items()
        },
    }
    return found


def table(place: dict[str, Any]) -> Table:
    """One place: every arm's figures; changes are of the squared error of the latents against no memory."""
    rows = []
    for arm, figures in place["arms"].items():
        effect = figures["against_none"]
        change = "" if arm == NONE or effect is None else _shown(effect["reduction"])
        latent = "" if figures["latent"] is None else f"{figures['latent']:.3f}"
        cells = [f"{figures['psnr']:.2f}", f"{figures['ssim']:.3f}", f"{figures['feature']:.3f}"]
        rows.append([arm, latent, change, *cells, f"{100 * figures['right']:.0f} %"])
    header = ["arm", "latent error", "against no memory [95 %]", "PSNR (dB)", "SSIM", "feature distance", "right view"]
    return Table(header, rows)


def _arm(scores: Scores, reference: Scores, place: Place, seed: int) -> dict[str, Any]:
    pixel = place.by_world(scores.pixel)
    latent = place.by_world(scores.latent) if not np.isnan(scores.latent).any() else None
    return {
        "latent": None if latent is None else float(latent.mean()),
        "latent_worlds": None if latent is None else latent.tolist(),
        "psnr": decibels(pixel),
        "pixel_worlds": pixel.tolist(),
        "ssim": float(place.by_world(scores.ssim).mean()),
        "feature": float(place.by_world(scores.feature).mean()),
        "right": float(place.by_world(scores.right).mean()),
        "against_none": None if latent is None else asdict(_against(latent, place.by_world(reference.latent), seed)),
        "pixel_against_none": asdict(_against(pixel, place.by_world(reference.pixel), seed)),
    }


def _against(errors: np.ndarray, reference: np.ndarray, seed: int) -> Comparison:
    return compare(errors, reference, DRAWS, seed)


def _shown(interval: dict[str, float]) -> str:
    """A reduction as a change of the error, with its bounds."""
    value, low, high = (percent(-interval[name]) for name in ("value", "high", "low"))
    return f"{value} [{low}, {high}]"


def tables(result: dict[str, Any]) -> Sequence[tuple[str, Table]]:
    return [(name, table(place)) for name, place in result["places"].items()]
