"""Pictures that travel inside a page: data URIs of PNG and MP4, and plots as SVG that take the page's colours."""

from __future__ import annotations

import base64
import io
import re
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from slowfast.video import VideoWriter

COLOURS = {"codec": "#009e73", "on": "#0a84d6", "other": "#c978a8", "off": "#d55e00", "repeat": "#8a8f98"}
"""One colour an arm, told apart by eyes of all kinds (Okabe and Ito's, a little lighter)."""
DASHES = {"codec": (5, 2), "repeat": (1, 2)}
INK = "#010203"
"""Stands in the plot for the page's own text colour."""


def png(frames: np.ndarray, gap: int = 2) -> str:
    """Pictures ``uint8 [n, H, W, 3]`` side by side, with transparent gaps, as a data URI."""
    count, height, width, _ = frames.shape
    strip = np.zeros((height, count * (width + gap) - gap, 4), np.uint8)
    for number, frame in enumerate(frames):
        left = number * (width + gap)
        strip[:, left : left + width] = np.concatenate([frame, np.full_like(frame[..., :1], 255)], -1)
    buffer = io.BytesIO()
    Image.fromarray(strip).save(buffer, "PNG", optimize=True)
    return _uri("image/png", buffer.getvalue())


def side_by_side(films: Sequence[np.ndarray], gap: int = 2, shade: int = 20) -> np.ndarray:
    """Films ``uint8 [n, H, W, 3]`` of equal length as one, with dark gaps: whatever plays it keeps them in step."""
    bar = np.full((*films[0].shape[:2], gap, 3), shade, np.uint8)
    parts = [part for film in films for part in (bar, film)][1:]
    return np.concatenate(parts, 2)


def mp4(film: np.ndarray, fps: float, scale: int, quality: int) -> str:
    """``uint8 [n, H, W, 3]`` enlarged pixel for pixel, as a data URI of H.264."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "film.mp4"
        with VideoWriter(path, fps, scale, quality) as video:
            video.write(film)
        return _uri("video/mp4", path.read_bytes())


def horizon_plot(recall: Mapping[str, Any], names: Mapping[str, str]) -> str:
    """Error over the dreamed frames as SVG: latents left, PSNR right. Needs matplotlib (extra ``eval``)."""
    import matplotlib
    from matplotlib.figure import Figure

    style: Any = {
        "svg.fonttype": "none",
        "svg.hashsalt": "slowfast",
        "font.family": "sans-serif",
        "font.size": 11,
        **dict.fromkeys(("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), INK),
    }
    with matplotlib.rc_context(style):
        figure = Figure(figsize=(11.2, 3.9), layout="constrained")
        left, right = figure.subplots(1, 2)
        for axes, kind, label in (
            (left, "latent_frames", "squared error of the latents (lower is better)"),
            (right, "psnr_frames", "PSNR of the frames in dB (higher is better)"),
        ):
            for arm, name in names.items():
                values = recall["arms"][arm][kind]
                if values is not None:
                    wide = 2.4 if arm in ("on", "off") else 1.6
                    frames = range(1, len(values) + 1)
                    (line,) = axes.plot(frames, values, color=COLOURS[arm], linewidth=wide, label=name)
                    if arm in DASHES:
                        line.set_dashes(DASHES[arm])
            _shade_stages(axes, recall["stages"])
            axes.set_title(label, loc="left", fontsize=11, pad=22 if len(recall["stages"]) > 1 else 8)
            axes.set_xlabel("dreamed frame")
            axes.set_xlim(0.5, recall["dreamed"] + 0.5)
            axes.spines[["top", "right"]].set_visible(False)
        left.set_ylim(bottom=0)
        # A repeated frame that comes true has no error at all: its peaks may leave the plot.
        finite = [value for arm in names if arm != "repeat" for value in recall["arms"][arm]["psnr_frames"]]
        right.set_ylim(min(finite) - 2, max(finite) + 1.5)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return _inline(buffer.getvalue())


def _shade_stages(axes: Any, stages: Sequence[Mapping[str, Any]]) -> None:
    """Every other part of the tour on a shade, each with its name above."""
    if len(stages) < 2:
        return
    for number, stage in enumerate(stages):
        if number % 2:
            axes.axvspan(stage["start"] + 0.5, stage["stop"] + 0.5, color="#8a8f98", alpha=0.13, linewidth=0)
        middle = (stage["start"] + stage["stop"] + 1) / 2
        name = stage["name"].replace(" ", "\n", 1)
        above = axes.get_xaxis_transform()
        axes.text(middle, 1.01, name, transform=above, ha="center", va="bottom", fontsize=8, linespacing=0.95)


def _inline(svg: str) -> str:
    """The bare ``<svg>`` element: no prologue, names or addresses of other sites, and ink in the page's colour."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\sxmlns(:\w+)?="[^"]*"', "", svg)
    svg = re.sub(r'(<svg[^>]*?)\swidth="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'(<svg[^>]*?)\sheight="[^"]*"', r"\1", svg, count=1)
    return svg.replace(INK, "currentColor")


def _uri(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"
